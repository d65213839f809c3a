"""Conversion of what the user gives to arrays on a backend: exact, or refused in one line.

A value is looked at where it is and as it is, before anything is moved or rounded.
"""

import math
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import find_backend, is_array, open_host_backend
from neuron_xp.errors import LEARN_CLASSES, one_line
from neuron_xp.neuron.reproducible.elementary import SMALLEST_NORMAL, TINY_INPUT, flush
from neuron_xp.neuron.types import Array

LOOK_ELEMENTS = 2**18
"""Numbers that are looked at together, where the library does not want more."""
MOST_LOOK_ELEMENTS = 2**22
"""However many it wants: threads that convert parts side by side share the memory."""

DIGITS = {"float64": 53, "float32": 24}
MEANING = {
    ("inputs", 1): "(features)",
    ("inputs", 2): "(examples, features)",
    ("targets", 2): "(examples,) or (examples, neurons)",
    ("sample_weight", 2): "(examples,)",
}


class Requirement(NamedTuple):
    """A function that is true where an array is bad, and the words that say what it must be.

    advise : what to do about a bad number: the end of a message
    """

    is_bad: Callable[[Array], Array]
    words: str
    advise: Callable[[float], str] = lambda value: ""


def convert_numbers(
    name: str,
    value: Any,
    backend: Backend,
    *,
    dtype: str,
    dimensions: int,
    requirement: Requirement | None = None,
    first_row: int = 0,
) -> Array:
    """Return the value as an array of `dtype` on the backend, finite, and as required.

    Call it inside `backend.context()`. Magnitudes below 2^-1022 become 0. Messages count rows
    from `first_row`.
    """
    array = as_plain_array(name, value)
    source = find_backend(array)
    if dtype == "float64" and not _widens_exactly(source) and _is_narrow(array, source):
        array, source = source.to_host(array).astype("float32"), open_host_backend()
    with source.context():
        _check_shape(name, array.shape, dimensions)
        array = _widen(name, array, source, dtype)
        finite = Requirement(lambda x: ~source.xp.isfinite(x), "must be finite numbers")
        _check_numbers(name, array, finite, source, first_row=first_row)
        if requirement is not None:
            _check_numbers(name, array, requirement, source, first_row=first_row)
    if str(source) != str(backend):
        with source.context():
            on_host = source.to_host(array)
        array = backend.from_host(np.asarray(on_host, dtype=dtype))
    return _round(name, array, backend, dtype, first_row)


def convert_unseen(name: str, value: Any, backend: Backend, *, dimensions: int) -> Array:
    """Return the value as an array of float64 on the backend, whatever its floats are.

    For what finds out by itself whether they are finite, and takes subnormals for 0.
    """
    array = as_plain_array(name, value)
    source = find_backend(array)
    with source.context():
        _check_shape(name, array.shape, dimensions)
        if str(source) != str(backend) or (_is_narrow(array, source) and source.compiled):
            array, source = source.to_host(array), open_host_backend()
    with source.context():
        wide = source.xp.astype(_widen(name, array, source, "float64"), source.xp.float64)
    return wide if str(source) == str(backend) else backend.from_host(wide)


def _round(name: str, array: Array, backend: Backend, dtype: str, first_row: int) -> Array:
    """Return the array as `dtype`, without subnormals; ValueError for what float32 cannot hold."""
    xp = backend.xp
    rounded = xp.astype(array, getattr(xp, dtype), copy=False)
    if dtype == "float32":
        fits = Requirement(
            lambda x: ~xp.isfinite(xp.astype(x, xp.float32)), "must fit into float32"
        )
        _check_numbers(name, array, fits, backend, first_row=first_row)
        return rounded
    if _needs_no_flush(rounded, backend):
        return rounded
    return flush(rounded, SMALLEST_NORMAL, xp=xp)


def _widen(name: str, array: Array, source: Backend, dtype: str) -> Array:
    """Return integers as floats, and the smallest floats as float32: exactly, or refused."""
    xp = source.xp
    if xp.isdtype(array.dtype, "complex floating"):
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    if not xp.isdtype(array.dtype, "real floating"):
        floats = xp.astype(array, getattr(xp, dtype))
        if not _holds_for_all(lambda x: xp.abs(x) < 2.0 ** DIGITS[dtype], floats, source):
            raise _too_large_error(name, dtype)
        return floats
    usual = array.dtype in (xp.float64, xp.float32)
    return array if usual else xp.astype(array, xp.float32)


def _is_narrow(array: Array, source: Backend) -> bool:
    is_float = source.xp.isdtype(array.dtype, "real floating")
    return bool(is_float and array.dtype != source.xp.float64)


@lru_cache(maxsize=64)
def _widens_exactly(source: Backend) -> bool:
    """Tell whether the library keeps float32's subnormals: XLA takes them for 0.

    Its narrow floats are widened on the host then.
    """
    tiny = 2.0**-140
    with source.context():
        single = source.from_host(np.full(8, tiny, dtype="float32"))
        widened = source.to_host(source.xp.astype(single, source.xp.float64))
    return bool((widened == tiny).all())


def as_plain_array(name: str, value: Any) -> Any:
    """Return the value as a plain array; raise for what only looks like one."""
    kind = type(value).__name__
    if getattr(value, "requires_grad", False):
        raise ValueError(f"{name} require grad; give {name}.detach()")
    if hasattr(value, "mask") and hasattr(value, "filled"):
        raise TypeError(f"{name} are a masked array; give {name}.filled(VALUE), or leave rows out")
    flags = (getattr(value, flag, False) for flag in ("is_sparse", "is_sparse_csr"))
    if hasattr(value, "toarray") or any(flag is True for flag in flags):
        dense = "toarray()" if hasattr(value, "toarray") else "to_dense()"
        raise TypeError(f"{name} are sparse ({kind}); give {name}.{dense}")
    if isinstance(value, list | tuple | bool | int | float):
        return _convert_list(name, value)
    if isinstance(value, np.ndarray | np.generic):
        return _check_real(name, np.asarray(value))
    if not is_array(value):
        hint = f"; give {name}.to_numpy()" if hasattr(value, "to_numpy") else ""
        if isinstance(value, str | os.PathLike):
            hint = "; give inputs and targets both as pathlib.Path of .npy files"
        raise TypeError(f"{name} must be lists of numbers or an array; got {kind}{hint}")
    return value


def _convert_list(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the items' library raises
        if "inhomogeneous" in str(error):
            problem = f"{name} are ragged: every example needs the same length"
            raise ValueError(problem) from None
        raise TypeError(f"{name} must be lists of numbers: {one_line(error)}") from error
    # NumPy turns integers in a list with floats, or of two types, into floats, and may round
    large = 2.0 ** DIGITS["float64"]
    if array.dtype.kind == "f" and array.size and abs(array).max() >= large:
        _check_integers(name, np.asarray(value, dtype=object))
    return _check_real(name, array)


def _check_real(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array in native byte order; raise TypeError unless it holds real numbers."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        hint = _suggest_real(name, array)
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}{hint}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _suggest_real(name: str, array: np.ndarray) -> str:
    """Say what may be done about an array of another type; raise for integers too large."""
    if array.dtype.kind == "O" and all(isinstance(n, Real) for n in array.flat):
        _check_integers(name, array)
        return f"; give {name}.astype('float64')"
    odd = next((repr(n) for n in array.ravel().tolist() if not isinstance(n, Real)), "")
    if not odd or array.dtype.kind not in "OUS":
        return ""
    cure = f"; {LEARN_CLASSES}" if name == "targets" else ""
    return f", such as {odd[:40]}{cure}"


def _check_integers(name: str, objects: np.ndarray) -> None:
    """Raise ValueError for integers that float64 cannot tell apart."""
    large = 2 ** DIGITS["float64"]
    if any(isinstance(n, Integral) and abs(int(n)) >= large for n in objects.flat):
        raise _too_large_error(name, "float64")


def _too_large_error(name: str, dtype: str) -> ValueError:
    return ValueError(
        f"{name} hold integers of 2^{DIGITS[dtype]} or more, which {dtype} cannot tell apart; "
        "scale them, or give them as floats"
    )


def _check_shape(name: str, shape: tuple[int, ...], dimensions: int) -> None:
    if 0 in shape:
        raise ValueError(f"{name} are empty: shape {tuple(shape)}")
    if len(shape) != dimensions:
        one_example = (name, len(shape), dimensions) == ("inputs", 1, 2)
        hint = "; for one example give [inputs]" if one_example else ""
        expected = f"{name} must have the shape {MEANING[name, dimensions]}"
        raise ValueError(f"{expected}; got {tuple(shape)}{hint}")


def count_dimensions(value: Any) -> int:
    """Count the dimensions of an array, or of lists in lists."""
    if isinstance(value, list | tuple):
        return 1 + max(map(count_dimensions, value), default=0)
    return getattr(value, "ndim", 0)


def _cut_row_blocks(array: Array, backend: Backend) -> Iterator[tuple[int, Array]]:
    """Yield (first row, rows): a few at a time, so that a look at them needs little memory."""
    rows = array.shape[0]
    elements = min(max(LOOK_ELEMENTS, backend.block_elements), MOST_LOOK_ELEMENTS)
    step = max(1, elements // max(1, math.prod(array.shape[1:])))
    for start in range(0, rows, step):
        yield start, array[start : min(start + step, rows), ...]


def _holds_for_all(condition: Callable[[Array], Array], array: Array, backend: Backend) -> bool:
    return all(bool(backend.xp.all(condition(rows))) for _, rows in _cut_row_blocks(array, backend))


def _check_numbers(
    name: str, array: Array, requirement: Requirement, backend: Backend, *, first_row: int
) -> None:
    """Raise ValueError that names the first bad number, if there is one."""
    xp = backend.xp
    for start, rows in _cut_row_blocks(array, backend):
        bad = requirement.is_bad(rows)
        if bool(xp.any(bad)):
            flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int64)))
            row, *rest = (int(i) for i in np.unravel_index(flat, rows.shape))
            index = ", ".join(map(str, [first_row + start + row, *rest]))
            value = float(xp.reshape(rows, (-1,))[flat])
            advice = requirement.advise(value)
            raise ValueError(f"{name}[{index}] is {value!r}; {name} {requirement.words}{advice}")


def has_no_tiny_inputs(array: Array, backend: Backend) -> bool:
    """Tell whether every number is 0 or at least 2^-60 in magnitude."""
    return _none_is_below(TINY_INPUT, array, backend)


def _none_is_below(smallest: float, array: Array, backend: Backend) -> bool:
    return _holds_for_all(lambda x: (x == 0) | (backend.xp.abs(x) >= smallest), array, backend)


def _needs_no_flush(array: Array, backend: Backend) -> bool:
    """Tell whether a large array, which is better not copied, certainly holds no subnormals.

    Some threads, and XLA, take subnormals for 0, and the answer is then not to be believed:
    so they are shown some first, as many as a library with threads gives to all of them.
    """
    if math.prod(array.shape) <= LOOK_ELEMENTS or not _none_is_below(
        SMALLEST_NORMAL, array, backend
    ):
        return False
    return bool(backend.xp.all(backend.from_host(np.full(LOOK_ELEMENTS, 2.0**-1030)) != 0))
