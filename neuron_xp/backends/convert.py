"""Conversion of what the user gives to arrays on a backend: exact, or refused in one line.

A value is looked at where it is and as it is, before anything is moved or rounded.
"""

import math
import os
from collections.abc import Callable
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import find_backend, is_array, open_host_backend
from neuron_xp.backends.probe.look import (
    LOOK_ELEMENTS,
    Look,
    cut_row_blocks,
    has_host_memory,
    look_at,
)
from neuron_xp.errors import LEARN_CLASSES, one_line
from neuron_xp.neuron.extremes import Extremes
from neuron_xp.neuron.reproducible.elementary import SMALLEST_NORMAL, flush
from neuron_xp.neuron.types import Array

DIGITS = {"float64": 53, "float32": 24}
MEANING = {
    ("inputs", 1): "(features)",
    ("inputs", 2): "(examples, features)",
    ("targets", 2): "(examples,) or (examples, neurons)",
    ("sample_weight", 2): "(examples,)",
}


class Requirement(NamedTuple):
    """Ends between which finite numbers must lie, and the words that say so.

    advise : what to do about a bad number: the end of a message
    """

    least: float
    most: float
    words: str
    advise: Callable[[float], str] = lambda value: ""


FINITE = Requirement(-math.inf, math.inf, "must be finite numbers")
LARGEST_SINGLE = math.nextafter(2.0**128 - 2.0**103, 0)  # what is larger is rounded to infinity
FITS_SINGLE = Requirement(-LARGEST_SINGLE, LARGEST_SINGLE, "must fit into float32")


def convert_numbers(
    name: str, value: Any, backend: Backend, *, dtype: str, dimensions: int
) -> Array:
    """Return the value as a finite array of `dtype` on the backend; see `convert_and_look`."""
    return convert_and_look(name, value, backend, dtype=dtype, dimensions=dimensions)[0]


def convert_and_look(
    name: str,
    value: Any,
    backend: Backend,
    *,
    dtype: str,
    dimensions: int,
    requirement: Requirement = FINITE,
    first_row: int = 0,
    look: Look | None = None,
) -> tuple[Array, Extremes]:
    """Return the value as an array of `dtype` on the backend, as required, and its extremes.

    Call it inside `backend.context()`. Magnitudes below 2^-1022 become 0. Messages count rows
    from `first_row`. All numbers are read once, unless one is to be named, or becomes 0.
    look : what finds the extremes of many numbers in the host's memory sooner
    """
    array = as_plain_array(name, value)
    source = find_backend(array)
    if dtype == "float64" and not _widens_exactly(source) and _is_narrow(array, source):
        array, source = source.to_host(array).astype("float32"), open_host_backend()
    with source.context():
        _check_shape(name, array.shape, dimensions)
        floats = _widen(name, array, source, dtype)
        found, sees_all = look_at(floats, source, look)
        ends = float(found.low.min()), float(found.high.max())
        if not _is_real(array, source) and max(-ends[0], ends[1]) >= 2.0 ** DIGITS[dtype]:
            raise _too_large_error(name, dtype)
        for must in (FINITE, requirement):
            _check_numbers(name, floats, ends, must, source, first_row=first_row)
    is_fresh = source is not backend and str(source) != str(backend)
    if is_fresh:
        with source.context():
            on_host = source.to_host(floats)
        floats = backend.from_host(np.asarray(on_host, dtype=dtype))
    wanted = getattr(backend.xp, dtype)
    rounded = floats if floats.dtype == wanted else backend.xp.astype(floats, wanted)
    if dtype == "float32":
        _check_numbers(name, floats, ends, FITS_SINGLE, backend, first_row=first_row)
        return rounded, Extremes(*(end.astype(dtype).astype("float64") for end in found))
    if found.smallest < SMALLEST_NORMAL:
        flushed = flush(rounded, SMALLEST_NORMAL, xp=backend.xp)
        return flushed, look_at(flushed, backend, look)[0]
    is_large = math.prod(rounded.shape) > LOOK_ELEMENTS  # and better not copied
    if sees_all and (is_fresh or is_large or _lies_in_order(rounded, backend)):
        return rounded, found
    return flush(rounded, SMALLEST_NORMAL, xp=backend.xp), found


def convert_unseen(name: str, value: Any, backend: Backend, *, dimensions: int) -> Array:
    """Return the value as an array of float64 on the backend, whatever its floats are.

    For what finds out by itself whether they are finite, and takes subnormals for 0.
    """
    array = as_plain_array(name, value)
    source = find_backend(array)
    with source.context():
        _check_shape(name, array.shape, dimensions)
        if not _is_real(array, source):
            return convert_numbers(name, array, backend, dtype="float64", dimensions=dimensions)
        if str(source) != str(backend) or (_is_narrow(array, source) and source.compiled):
            array, source = source.to_host(array), open_host_backend()
    with source.context():
        floats = _widen(name, array, source, "float64")
        must_copy = not _lies_in_order(floats, source)
        wide = source.xp.astype(floats, source.xp.float64, copy=must_copy)
    return wide if str(source) == str(backend) else backend.from_host(wide)


def _lies_in_order(array: Array, backend: Backend) -> bool:
    """Tell whether the host's memory holds the array row after row."""
    if not has_host_memory(backend):
        return False
    flags = backend.to_host(array).flags
    return bool(flags.c_contiguous and flags.aligned)


def _widen(name: str, array: Array, source: Backend, dtype: str) -> Array:
    """Return integers as floats, and the smallest floats as float32."""
    xp = source.xp
    if not _is_real(array, source) and xp.isdtype(array.dtype, "complex floating"):
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    if not _is_real(array, source):
        return xp.astype(array, getattr(xp, dtype))
    is_usual = array.dtype in (xp.float64, xp.float32)
    return array if is_usual else xp.astype(array, xp.float32)


def _is_real(array: Array, source: Backend) -> bool:
    if isinstance(array, np.ndarray):
        return bool(array.dtype.kind == "f")
    return bool(source.xp.isdtype(array.dtype, "real floating"))


def _is_narrow(array: Array, source: Backend) -> bool:
    return _is_real(array, source) and array.dtype != source.xp.float64


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
    if type(value) is np.ndarray:
        return _check_real(name, value)
    kind = type(value).__name__
    if getattr(value, "requires_grad", False):
        raise ValueError(f"{name} require grad; give {name}.detach()")
    mask = getattr(value, "mask", None)
    if mask is not None and not callable(mask):  # as a data frame's is
        cure = f"{name}.filled(VALUE)" if hasattr(value, "filled") else f"numbers for {name}.mask"
        raise TypeError(f"{name} are a masked array; give {cure}, or leave rows out")
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
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


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


def _check_numbers(
    name: str, array: Array, ends: tuple[float, float], must: Requirement, backend: Backend, *,
    first_row: int,
) -> None:  # fmt: skip
    """Raise ValueError that names the first bad number, if the ends show that there is one."""
    if -math.inf < ends[0] and ends[1] < math.inf and must.least <= ends[0] <= ends[1] <= must.most:
        return
    xp = backend.xp
    for start, rows in cut_row_blocks(array, backend):
        bad = ~xp.isfinite(rows) | (rows < must.least) | (rows > must.most)
        if bool(xp.any(bad)):
            flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int64)))
            row, *rest = (int(i) for i in np.unravel_index(flat, rows.shape))
            index = ", ".join(map(str, [first_row + start + row, *rest]))
            value = float(xp.reshape(rows, (-1,))[flat])
            advice = must.advise(value)
            raise ValueError(f"{name}[{index}] is {value!r}; {name} {must.words}{advice}")
