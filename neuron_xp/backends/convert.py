"""From what the user gives to arrays on the backend: converted exactly, or refused in one line.

A value is looked at where it is and as it is, before anything is moved or rounded.
"""

import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import backend_of, is_array
from neuron_xp.errors import one_line
from neuron_xp.neuron.reproducible import SMALLEST_NORMAL, TINY_INPUT, flush
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array

PART = 2**18
"""Numbers that are looked at together, where the library does not want more."""

DIGITS = {"float64": 53, "float32": 24}
MEANING = {
    ("inputs", 1): "(features)",
    ("inputs", 2): "(examples, features)",
    ("targets", 2): "(examples,) or (examples, neurons)",
    ("sample_weight", 2): "(examples,)",
}

Rule = tuple[Callable[[Array], Array], str]
"""Where an array is bad, and the words for it."""

IN_0_1: Rule = (lambda x: (x < 0) | (x > 1), "must lie in [0, 1]")
NO_WEIGHT = "sample_weight is 0 for every example; give one that is above 0"
NOT_NEGATIVE: Rule = (lambda x: x < 0, "must not be negative")


def examples(
    inputs: Any, targets: Any, sample_weight: Any, backend: Backend, *, dtype: str
) -> Examples:
    """Inputs, targets and sample weights, each with one row an example.

    Targets of one dimension are a column; so are the weights.
    """
    part = examples_part(inputs, targets, sample_weight, backend, dtype=dtype)
    weight = part.sample_weight
    if weight is not None and not bool(backend.xp.any(weight > 0)):
        raise ValueError(NO_WEIGHT)
    return part


def examples_part(
    inputs: Any, targets: Any, sample_weight: Any, backend: Backend, *, dtype: str, first: int = 0
) -> Examples:
    """Some examples of all; `first` is the number of their first row, for the messages."""
    x = numbers("inputs", inputs, backend, dtype=dtype, dimensions=2, first=first)
    column = partial(_column, rows=x.shape[0], backend=backend, dtype=dtype, first=first)
    y = column("targets", targets, rule=IN_0_1)
    if sample_weight is None:
        return Examples(x, y)
    weight = column("sample_weight", sample_weight, rule=NOT_NEGATIVE)
    if weight.shape[1] != 1:
        raise ValueError(f"sample_weight must have one column; got {tuple(weight.shape)}")
    return Examples(x, y, weight)


def _column(
    name: str, value: Any, *, rows: int, backend: Backend, dtype: str, rule: Rule, first: int
) -> Array:
    dimensions = 1 if depth(value) == 1 else 2
    array = numbers(
        name, value, backend, dtype=dtype, dimensions=dimensions, rule=rule, first=first
    )
    refuse_other_length(name, array.shape[0], rows)
    return backend.xp.reshape(array, (rows, -1))


def refuse_other_length(name: str, found: int, rows: int) -> None:
    """Raise ValueError unless there is one for each of the inputs' rows."""
    if found != rows:
        raise ValueError(f"inputs hold {rows} examples but {name} hold {found}; give one for each")


def numbers(
    name: str,
    value: Any,
    backend: Backend,
    *,
    dtype: str,
    dimensions: int,
    rule: Rule | None = None,
    first: int = 0,
) -> Array:
    """The value as an array of `dtype` on the backend, finite, and as the rule wants it.

    Inside `backend.context()`. Magnitudes below 2^-1022 become 0. Messages count rows from
    `first`.
    """
    array = plain(name, value)
    source = backend_of(array)
    with source.context():
        if 0 in array.shape:
            raise ValueError(f"{name} are empty: shape {tuple(array.shape)}")
        if array.ndim != dimensions:
            raise ValueError(_wrong_dimensions(name, array.shape, dimensions))
        array = _widened(name, array, source, dtype)
        _refuse_where(
            name, array, _not_finite(source), "must be finite numbers", source, first=first
        )
        if rule is not None:
            _refuse_where(name, array, *rule, source, first=first)
    if str(source) != str(backend):
        with source.context():
            on_host = source.to_host(array)
        array = backend.from_host(np.asarray(on_host, dtype=dtype))
    xp = backend.xp
    found = xp.astype(array, getattr(xp, dtype), copy=False)
    if dtype == "float32":
        too_large = _not_finite(backend)
        _refuse_where(
            name,
            array,
            lambda x: too_large(xp.astype(x, xp.float32)),
            "must fit into float32",
            backend,
            first=first,
        )
        return found
    return found if _needs_no_flush(found, backend) else flush(found, SMALLEST_NORMAL, xp=xp)


def _widened(name: str, array: Array, source: Backend, dtype: str) -> Array:
    """Integers as floats, and the smallest floats as float32: exactly, or refused."""
    xp = source.xp
    if xp.isdtype(array.dtype, "complex floating"):
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    if not xp.isdtype(array.dtype, "real floating"):
        floats = xp.astype(array, getattr(xp, dtype))
        if not _all(lambda x: xp.abs(x) < 2.0 ** DIGITS[dtype], floats, source):
            raise ValueError(_too_large(name, dtype))
        return floats
    usual = array.dtype in (xp.float64, xp.float32)
    return array if usual else xp.astype(array, xp.float32)


def plain(name: str, value: Any) -> Any:
    """The value as a plain array, or an error for what only looks like one."""
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
        return _from_list(name, value)
    if isinstance(value, np.ndarray | np.generic):
        return _real(name, np.asarray(value))
    if not is_array(value):
        hint = f"; give {name}.to_numpy()" if hasattr(value, "to_numpy") else ""
        if isinstance(value, str | os.PathLike):
            hint = "; give inputs and targets both as pathlib.Path of .npy files"
        raise TypeError(f"{name} must be lists of numbers or an array; got {kind}{hint}")
    return value


def _from_list(name: str, value: Any) -> np.ndarray:
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
        _refuse_large_integers(name, np.asarray(value, dtype=object))
    return _real(name, array)


def _real(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        hint = _hint_for_real(name, array)
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}{hint}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _hint_for_real(name: str, array: np.ndarray) -> str:
    """What may be done about an array of another type; raises for integers that are too large."""
    if array.dtype.kind == "O" and all(isinstance(n, Real) for n in array.flat):
        _refuse_large_integers(name, array)
        return f"; give {name}.astype('float64')"
    odd = next((repr(n) for n in array.ravel().tolist() if not isinstance(n, Real)), "")
    return f", such as {odd[:40]}" if odd and array.dtype.kind in "OUS" else ""


def _refuse_large_integers(name: str, objects: np.ndarray) -> None:
    large = 2 ** DIGITS["float64"]
    if any(isinstance(n, Integral) and abs(int(n)) >= large for n in objects.flat):
        raise ValueError(_too_large(name, "float64"))


def _too_large(name: str, dtype: str) -> str:
    return (
        f"{name} hold integers of 2^{DIGITS[dtype]} or more, which {dtype} cannot tell apart; "
        "scale them, or give them as floats"
    )


def _wrong_dimensions(name: str, shape: tuple[int, ...], dimensions: int) -> str:
    one_example = (name, len(shape), dimensions) == ("inputs", 1, 2)
    hint = "; for one example give [inputs]" if one_example else ""
    return f"{name} must have the shape {MEANING[name, dimensions]}; got {tuple(shape)}{hint}"


def depth(value: Any) -> int:
    """The number of dimensions of an array, or of lists in lists."""
    if isinstance(value, list | tuple):
        return 1 + max(map(depth, value), default=0)
    return getattr(value, "ndim", 0)


def _parts(array: Array, backend: Backend) -> Iterator[tuple[int, Array]]:
    """(first row, rows): a few at a time, so that what is asked of them needs little memory."""
    rows = array.shape[0]
    step = max(1, max(PART, backend.block_elements) // max(1, math.prod(array.shape[1:])))
    for start in range(0, rows, step):
        yield start, array[start : min(start + step, rows), ...]


def _all(condition: Callable[[Array], Array], array: Array, backend: Backend) -> bool:
    return all(bool(backend.xp.all(condition(part))) for _, part in _parts(array, backend))


def _not_finite(backend: Backend) -> Callable[[Array], Array]:
    return lambda x: ~backend.xp.isfinite(x)


def _refuse_where(
    name: str,
    array: Array,
    is_bad: Callable[[Array], Array],
    rule: str,
    backend: Backend,
    *,
    first: int,
) -> None:
    """Raise ValueError that names the first place where `is_bad` is true, if there is one."""
    xp = backend.xp
    for start, part in _parts(array, backend):
        bad = is_bad(part)
        if bool(xp.any(bad)):
            flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int64)))
            row, *rest = (int(i) for i in np.unravel_index(flat, part.shape))
            index = ", ".join(map(str, [first + start + row, *rest]))
            value = float(xp.reshape(part, (-1,))[flat])
            raise ValueError(f"{name}[{index}] is {value!r}; {name} {rule}")


def has_no_tiny_inputs(array: Array, backend: Backend) -> bool:
    """Whether every number is 0 or at least 2^-60 in magnitude."""
    return _none_is_below(TINY_INPUT, array, backend)


def _none_is_below(smallest: float, array: Array, backend: Backend) -> bool:
    return _all(lambda x: (x == 0) | (backend.xp.abs(x) >= smallest), array, backend)


def _needs_no_flush(array: Array, backend: Backend) -> bool:
    """Whether a large array, which is better not copied, certainly holds no subnormals.

    Some threads, and XLA, take subnormals for 0, and the answer is then not to be believed:
    so the test shows some first, as many as a library with threads gives to all of them.
    """
    if math.prod(array.shape) <= PART or not _none_is_below(SMALLEST_NORMAL, array, backend):
        return False
    return bool(backend.xp.all(backend.from_host(np.full(PART, 2.0**-1030)) != 0))


def same_place(values: dict[str, Any]) -> list[Backend]:
    """The one place of the arrays among the values, if any; lists go anywhere."""
    places: dict[str, tuple[str, Backend]] = {}
    for name, value in values.items():
        if is_array(value):
            place = backend_of(plain(name, value))
            places.setdefault(str(place), (name, place))
    if len(places) > 1:
        (first, (one, _)), (second, (other, _)) = list(places.items())[:2]
        raise ValueError(
            f"{one} are in {first} but {other} are in {second}; give both in one place"
        )
    return [place for _, place in places.values()]
