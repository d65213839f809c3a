"""An array in what stands for a device's memory: nothing comes in or goes out unasked.

It does what CuPy's does, and refuses what that refuses: NumPy's arrays as operands, a conversion
by np.asarray, arrays of a device that is not the current one. Where CuPy allows more, as NumPy
arrays as indices, it is stricter.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cupy import _devices

SCALARS = (bool, int, float, complex, np.generic)


class ndarray:
    """An array of a device, around the NumPy array that holds its numbers."""

    __slots__ = ("__weakref__", "_device", "_numbers")

    def __init__(self, numbers: np.ndarray, device: int) -> None:
        self._numbers, self._device = numbers, device

    # --- out of the device ---------------------------------------------------------------

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> np.ndarray:
        _devices.refuse_in_capture("a copy to the host")
        copied = self._numbers.copy(order=order)
        if out is None:
            return copied
        out[...] = copied
        return out

    def __array__(self, dtype: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to "
            "construct a NumPy array explicitly."
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device  # CUDA's

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        raise BufferError("the stand-in has no memory that another library could take for a GPU's")

    def tolist(self) -> Any:
        return self.get().tolist()

    def item(self) -> Any:
        return self.get().item()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __repr__(self) -> str:
        return repr(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle, (self.get(),)

    # --- what it is ----------------------------------------------------------------------

    @property
    def device(self) -> _devices.Device:
        return _devices.Device(self._device)

    @property
    def data(self) -> _devices.MemoryPointer:
        return _devices.MemoryPointer(self._numbers, self._device)

    @property
    def T(self) -> "ndarray":
        return self._view(self._numbers.T)

    @property
    def mT(self) -> "ndarray":
        return self._view(self._numbers.mT)

    @property
    def flags(self) -> Any:
        return self._numbers.flags

    dtype = property(lambda self: self._numbers.dtype)
    itemsize = property(lambda self: self._numbers.itemsize)
    nbytes = property(lambda self: self._numbers.nbytes)
    ndim = property(lambda self: self._numbers.ndim)
    shape = property(lambda self: self._numbers.shape)
    size = property(lambda self: self._numbers.size)
    strides = property(lambda self: self._numbers.strides)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator["ndarray"]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    __hash__ = None

    # --- parts of it ---------------------------------------------------------------------

    def _view(self, numbers: np.ndarray) -> "ndarray":
        return ndarray(numbers, self._device)

    def __getitem__(self, key: Any) -> "ndarray":
        numbers = self._numbers[_unwrap_key(key)]
        if np.may_share_memory(numbers, self._numbers):  # a view has no need of its device
            return self._view(np.asarray(numbers))
        # a number, as an array without dimensions
        cut = self._numbers[(*_as_tuple(_unwrap_key(key)), ...)]
        return self._view(cut) if np.may_share_memory(cut, self._numbers) else wrap(cut)

    def __setitem__(self, key: Any, value: Any) -> None:
        _devices.refuse_in_capture("a change of an array")
        _devices.check_device(self._device)
        self._numbers[_unwrap_key(key)] = unwrap(value)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> "ndarray":
        numbers = self._numbers.reshape(*shape, order=order)
        if copy or not np.may_share_memory(numbers, self._numbers):
            return wrap(numbers.copy())
        return self._view(numbers)

    def ravel(self, order: str = "C") -> "ndarray":
        return self.reshape(-1, order=order)

    def flatten(self, order: str = "C") -> "ndarray":
        return self.ravel(order).copy()

    def transpose(self, *axes: Any) -> "ndarray":
        return self._view(self._numbers.transpose(*axes))

    def squeeze(self, axis: Any = None) -> "ndarray":
        return self._view(self._numbers.squeeze(axis))

    def copy(self, order: str = "C") -> "ndarray":
        """Copy it to the current device, whichever it is on."""
        return wrap(self._numbers.copy(order))

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None,
        copy: bool = True,
    ) -> "ndarray":  # fmt: skip
        if not copy and self.dtype == dtype:
            return self
        with np.errstate(all="ignore"):
            return wrap(unwrap(self).astype(dtype, order=order))

    def fill(self, value: Any) -> None:
        self[...] = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        allowed = all(isinstance(x, (ndarray, *SCALARS)) for x in inputs)
        if method != "__call__" or keywords or not allowed:
            return NotImplemented
        return apply(ufunc, *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        import cupy

        ours = getattr(cupy, function.__name__, None)
        if ours is None or not all(issubclass(kind, ndarray) for kind in types):
            return NotImplemented
        return ours(*args, **keywords)


def _as_tuple(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _unwrap_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_unwrap_key, key))
    if key is None or key is ... or isinstance(key, (int, np.integer, slice)):
        return key
    if isinstance(key, ndarray):
        return unwrap(key)
    raise IndexError(f"Unsupported type {type(key)} of an index")


def unwrap(x: Any) -> Any:
    """Return the numbers of an array of the current device; a scalar as it is."""
    if isinstance(x, ndarray):
        _devices.check_device(x._device)
        return x._numbers
    if isinstance(x, SCALARS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def wrap(numbers: Any) -> Any:
    """Return new numbers as an array of the current device."""
    _devices.refuse_in_capture("a new array")
    return ndarray(np.asarray(numbers), _devices.current.device)


def unpickle(numbers: np.ndarray) -> ndarray:
    """Return a pickled array, on the current device."""
    return wrap(numbers.copy())


def apply(function: Callable[..., Any], *inputs: Any, **keywords: Any) -> Any:
    """Apply a function of NumPy, which makes new arrays, to arrays of the current device."""
    with np.errstate(all="ignore"):
        return wrap(function(*map(unwrap, inputs), **keywords))


def _binary(function: Callable[..., Any]) -> tuple[Any, Any, Any]:
    def forward(self: ndarray, other: Any) -> Any:
        return apply(function, self, other)

    def reverse(self: ndarray, other: Any) -> Any:
        return apply(function, other, self)

    def in_place(self: ndarray, other: Any) -> ndarray:
        _devices.refuse_in_capture("a change of an array")
        with np.errstate(all="ignore"):
            function(unwrap(self), unwrap(other), out=self._numbers)
        return self

    return forward, reverse, in_place


_OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift,
    "matmul": np.matmul,
}  # fmt: skip
_COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}  # fmt: skip
_UNARY = {"abs": np.abs, "neg": np.negative, "pos": np.positive, "invert": np.invert}
_REDUCTIONS = ("all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "var")
_METHODS = ("argsort", "clip", "cumsum", "nonzero", "repeat", "round", "searchsorted", "take")


def _method(name: str) -> Any:
    def method(self: ndarray, *arguments: Any, **keywords: Any) -> Any:
        import cupy

        return getattr(cupy, name)(self, *arguments, **keywords)

    return method


for _name, _function in _OPERATORS.items():
    _forward, _reverse, _in_place = _binary(_function)
    setattr(ndarray, f"__{_name}__", _forward)
    setattr(ndarray, f"__r{_name}__", _reverse)
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _in_place)
for _name, _function in _COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _binary(_function)[0])
for _name, _function in _UNARY.items():
    setattr(ndarray, f"__{_name}__", lambda self, function=_function: apply(function, self))
for _name in (*_REDUCTIONS, *_METHODS):
    setattr(ndarray, _name, _method(_name))
