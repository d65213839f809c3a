"""CuPy's functions, as far as they are needed, with CuPy's signatures: NumPy does their work."""

from typing import Any

import numpy as np

from cupy import _devices
from cupy._array import apply, ndarray, unwrap, wrap

_NAMES = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "copysign", "cos", "cosh",
    "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal",
    "hypot", "invert", "isfinite", "isinf", "isnan", "left_shift", "less", "less_equal", "log",
    "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "maximum", "minimum", "multiply", "negative", "nextafter", "not_equal",
    "positive", "power", "reciprocal", "remainder", "right_shift", "sign", "signbit", "sin",
    "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "trunc",
]  # fmt: skip


def _make_ufunc(name: str) -> Any:
    def ufunc(*inputs: Any, out: ndarray | None = None) -> Any:
        found = apply(getattr(np, name), *inputs)
        if out is None:
            return found
        out[...] = found
        return out

    ufunc.__name__ = ufunc.__qualname__ = name
    return ufunc


UFUNCS = {name: _make_ufunc(name) for name in _NAMES}


# --- new arrays ----------------------------------------------------------------------------


def array(
    obj: Any, dtype: Any = None, copy: bool | None = True, order: str = "K", subok: bool = False,
    ndmin: int = 0, *, blocking: bool = False,
) -> ndarray:  # fmt: skip
    if isinstance(obj, ndarray):
        if obj.device != _devices.Device():
            obj = obj.copy()
        return obj.astype(obj.dtype if dtype is None else dtype, order=order, copy=bool(copy))
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if isinstance(obj, (list, tuple)) and any(isinstance(x, ndarray) for x in obj):
        return stack([asarray(x, dtype) for x in obj])
    numbers = np.array(obj, dtype=dtype, ndmin=ndmin)
    if numbers.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {numbers.dtype}")
    return wrap(numbers)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None,
    blocking: bool = False,
) -> ndarray:  # fmt: skip
    return array(a, dtype, copy, order or "K", blocking=blocking)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return array(a, dtype, None, "C")


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    return np.asarray(a)


def from_dlpack(array: Any, *, device: Any = None, copy: bool | None = None) -> ndarray:
    if not isinstance(array, ndarray):
        raise BufferError(f"the stand-in takes only arrays of its own; got {type(array).__name__}")
    return array.copy() if copy else array[...]


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Return numbers that nobody should read: broken ones."""
    return full(shape, np.nan if np.dtype(dtype).kind in "fc" else 77, dtype)


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return wrap(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return wrap(np.ones(shape, dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    return wrap(np.full(shape, unwrap(fill_value), dtype))


def _like(a: ndarray, dtype: Any, shape: Any) -> tuple[Any, Any]:
    if not isinstance(a, ndarray):
        raise TypeError(f"Unsupported type {type(a)}")
    return (a.shape if shape is None else shape), (a.dtype if dtype is None else dtype)


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    return empty(*_like(prototype, dtype, shape))


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    return zeros(*_like(a, dtype, shape))


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    return ones(*_like(a, dtype, shape))


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: None = None,
    shape: Any = None,
) -> ndarray:  # fmt: skip
    shape, dtype = _like(a, dtype, shape)
    return full(shape, fill_value, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    limits = (0, start) if stop is None else (start, stop)
    return wrap(np.arange(*limits, step, dtype=dtype))


# --- of arrays -----------------------------------------------------------------------------


def copy(a: ndarray, order: str = "K") -> ndarray:
    return a.copy(order)


def astype(x: ndarray, dtype: Any, /, *, copy: bool = True) -> ndarray:
    return x.astype(dtype, copy=copy)


def reshape(a: ndarray, newshape: Any, order: str = "C", *, copy: bool | None = None) -> ndarray:
    return a.reshape(newshape, order=order, copy=copy)


def expand_dims(a: ndarray, axis: Any) -> ndarray:
    return a._view(np.expand_dims(a._numbers, axis))


def squeeze(a: ndarray, axis: Any = None) -> ndarray:
    return a.squeeze(axis)


def transpose(a: ndarray, axes: Any = None) -> ndarray:
    return a.transpose(axes)


def permute_dims(a: ndarray, axes: Any = None) -> ndarray:
    return a.transpose(axes)


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    return array._view(np.broadcast_to(array._numbers, shape))


def broadcast_arrays(*args: ndarray) -> list[ndarray]:
    shape = np.broadcast_shapes(*(x.shape for x in args))
    return [broadcast_to(x, shape) for x in args]


def ravel(a: ndarray, order: str = "C") -> ndarray:
    return a.ravel(order)


def concatenate(
    tup: Any, axis: int | None = 0, out: Any = None, *, dtype: Any = None,
    casting: str = "same_kind",
) -> ndarray:  # fmt: skip
    return wrap(np.concatenate(_arrays(tup), axis=axis, dtype=dtype))


def stack(
    tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> ndarray:
    return wrap(np.stack(_arrays(tup), axis=axis, dtype=dtype))


def _arrays(tup: Any) -> list[np.ndarray]:
    if not all(isinstance(x, ndarray) for x in tup):
        raise TypeError("Only cupy arrays can be concatenated")
    return [unwrap(x) for x in tup]


def where(condition: ndarray, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return nonzero(condition)
    return apply(np.where, condition, x, y)


def nonzero(a: ndarray) -> tuple[ndarray, ...]:
    return tuple(map(wrap, np.nonzero(unwrap(a))))


def take(a: ndarray, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
    """Take elements; an index that is too large begins anew, as CuPy has it."""
    chosen = unwrap(indices)
    return apply(lambda x: np.take(x, chosen, axis, mode="wrap"), a)


def searchsorted(a: ndarray, v: Any, side: str = "left", sorter: Any = None) -> ndarray:
    if not isinstance(v, ndarray):
        raise NotImplementedError("Only int or ndarray are supported for v")
    return apply(lambda x, y: np.searchsorted(x, y, side=side), a, v)


def clip(a: ndarray, a_min: Any, a_max: Any, out: Any = None) -> ndarray:
    given = [None if x is None else unwrap(x) for x in (a_min, a_max)]
    return apply(lambda x: np.clip(x, *given), a)


def round(a: ndarray, decimals: int = 0, out: Any = None) -> ndarray:
    return apply(lambda x: np.round(x, decimals), a)


def repeat(a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
    return apply(lambda x: np.repeat(x, repeats, axis), a)


def argsort(a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
    return apply(lambda x: np.argsort(x, axis=axis, kind="stable"), a)


def sort(a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
    return apply(lambda x: np.sort(x, axis=axis, kind="stable"), a)


def unique(
    ar: ndarray, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, *, equal_nan: bool = True,
) -> Any:  # fmt: skip
    wanted = return_index, return_inverse, return_counts
    found = np.unique(unwrap(ar), *wanted, axis=axis, equal_nan=equal_nan)
    return tuple(map(wrap, found)) if any(wanted) else wrap(found)


def cumsum(a: ndarray, axis: int | None = None, dtype: Any = None, out: Any = None) -> ndarray:
    return apply(lambda x: np.cumsum(x, axis, dtype), a)


def matmul(x1: ndarray, x2: ndarray, /, out: Any = None) -> ndarray:
    return apply(np.matmul, x1, x2)


def dot(a: ndarray, b: ndarray, out: Any = None) -> ndarray:
    return apply(np.dot, a, b)


__all__ = [
    name
    for name, value in list(globals().items())
    if getattr(value, "__module__", None) == __name__ and not name.startswith("_")
]
