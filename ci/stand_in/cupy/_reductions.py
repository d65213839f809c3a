"""CuPy's functions over an axis, with CuPy's signatures: what has no dimensions stays an array."""

from typing import Any

import numpy as np

from cupy._array import SCALARS, apply, ndarray


def _reduce(name: str, a: Any, axis: Any, keepdims: bool, **keywords: Any) -> Any:
    if not isinstance(a, (ndarray, *SCALARS)):
        raise TypeError(f"Unsupported type {type(a)}")
    reduce_ = getattr(np, name)
    return apply(lambda x: reduce_(x, axis=axis, keepdims=keepdims, **keywords), a)


def all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return _reduce("all", a, axis, keepdims)


def any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return _reduce("any", a, axis, keepdims)


def max(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return _reduce("max", a, axis, keepdims)


def min(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return _reduce("min", a, axis, keepdims)


def argmax(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    return _reduce("argmax", a, axis, keepdims)


def argmin(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    return _reduce("argmin", a, axis, keepdims)


def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    return _reduce("sum", a, axis, keepdims, dtype=dtype)


def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    return _reduce("prod", a, axis, keepdims, dtype=dtype)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    return _reduce("mean", a, axis, keepdims, dtype=dtype)


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    return _reduce("std", a, axis, keepdims, dtype=dtype, ddof=ddof)


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    return _reduce("var", a, axis, keepdims, dtype=dtype, ddof=ddof)


def count_nonzero(a: Any, axis: Any = None) -> Any:
    return apply(lambda x: np.count_nonzero(x, axis), a)


__all__ = [
    name
    for name, value in list(globals().items())
    if getattr(value, "__module__", None) == __name__ and not name.startswith("_")
]
