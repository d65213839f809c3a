"""What an argument may be, and the one line that is said when it is not."""

import math
import operator
from collections.abc import Iterable
from typing import Any

from neuron_xp.backend import Backend, HostArray
from neuron_xp.backends import backend_of, host, is_array
from neuron_xp.errors import did_you_mean
from neuron_xp.neuron.reproducible import SMALLEST_NORMAL, SMALLEST_ORDINARY_INPUT, flush
from neuron_xp.neuron.types import Array

LARGEST_INTEGER = 2.0**53


def whole_number(name: str, value: object, *, most: float = math.inf) -> int:
    """The value as an int, 0 or more."""
    upper = "" if most == math.inf else f" to {most}"
    problem = f"{name} must be a whole number from 0{upper}; got {value!r}"
    if isinstance(value, bool):
        raise TypeError(problem)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(problem) from None
    if not 0 <= number <= most:
        raise ValueError(problem)
    return number


def positive_number(name: str, value: object) -> float:
    """The value as a float, finite and above 0."""
    problem = f"{name} must be a finite number above 0; got {value!r}"
    if isinstance(value, bool | str | bytes):
        raise TypeError(problem)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(problem) from None
    if not (math.isfinite(number) and number >= SMALLEST_NORMAL):
        raise ValueError(problem)
    return number


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """The value, if it is one of the options."""
    if value not in (names := tuple(options)):
        raise ValueError(f"unknown {name} {value!r}{did_you_mean(value, names)}")
    return str(value)


def same_place(inputs: Any, targets: Any) -> None:
    """Refuse arrays of two libraries or devices; lists go anywhere."""
    if not (is_array(inputs) and is_array(targets)):
        return
    first, second = (str(backend_of(_plain(n, x))) for n, x in _named(inputs, targets))
    if first != second:
        raise ValueError(
            f"inputs are in {first} but targets are in {second}; give both in one place"
        )


def _named(inputs: Any, targets: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("inputs", inputs), ("targets", targets)


def _plain(name: str, value: Any) -> Any:
    """The value as a list or a plain array, or an error for what only looks like one."""
    kind = type(value).__name__
    if getattr(value, "requires_grad", False):
        raise ValueError(f"{name} require grad; give {name}.detach()")
    if hasattr(value, "mask") and hasattr(value, "filled"):
        raise TypeError(f"{name} are a masked array; give {name}.filled(VALUE), or leave rows out")
    if hasattr(value, "toarray") or getattr(value, "is_sparse", False) is True:
        dense = "toarray()" if hasattr(value, "toarray") else "to_dense()"
        raise TypeError(f"{name} are sparse ({kind}); give {name}.{dense}")
    if isinstance(value, list | tuple | bool | int | float):
        return _from_list(name, value)
    if isinstance(value, host.ndarray):
        return _real(name, host.asarray(value))
    if not is_array(value):
        hint = f"; give {name}.to_numpy()" if hasattr(value, "to_numpy") else ""
        raise TypeError(f"{name} must be lists of numbers or an array; got {kind}{hint}")
    return value


def _from_list(name: str, value: Any) -> HostArray:
    try:
        array = _real(name, host.asarray(value))
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(f"{name} are ragged: every example needs the same length") from None
    # NumPy turns integers in a list with floats into floats, and may round them
    if array.dtype.kind == "f" and array.size and abs(array).max() >= LARGEST_INTEGER:
        for number in host.asarray(value, dtype=object).flat:
            if isinstance(number, int) and abs(number) >= LARGEST_INTEGER:
                raise ValueError(_too_large(name))
    return array


def _real(name: str, array: HostArray) -> HostArray:
    if array.dtype.kind == "O" and all(isinstance(n, int | float) for n in array.flat):
        raise ValueError(_too_large(name))
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    return array


def _too_large(name: str) -> str:
    return (
        f"{name} hold integers of 2^53 or more, which float64 cannot tell apart; "
        "scale them, or give them as floats"
    )


def numbers(name: str, value: Any, backend: Backend, *, dtype: str, dimensions: int) -> Array:
    """The value as a finite array on the backend, converted exactly if `dtype` is float64.

    Inside `backend.context()`. Magnitudes below 2^-1022 become 0.
    """
    value = _plain(name, value)
    if isinstance(value, host.ndarray):
        was_integer = value.dtype.kind in "biu"
        value = value.astype(dtype, copy=False)
    else:
        was_integer = _is_integer(name, value)
    xp = backend.xp
    array = xp.astype(_move(value, backend), getattr(xp, dtype), copy=False)
    if array.ndim != dimensions:
        raise ValueError(_wrong_dimensions(name, array.shape, dimensions))
    if 0 in array.shape:
        raise ValueError(f"{name} are empty: shape {tuple(array.shape)}")
    refuse_where(name, array, ~xp.isfinite(array), "must be finite numbers", backend)
    if was_integer and bool(xp.any(xp.abs(array) >= LARGEST_INTEGER)):
        raise ValueError(_too_large(name))
    return array if ordinary(array, backend) else flush(array, SMALLEST_NORMAL, xp=xp)


def _is_integer(name: str, array: Array) -> bool:
    xp = backend_of(array).xp
    if xp.isdtype(array.dtype, "complex floating"):
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    return not xp.isdtype(array.dtype, "real floating")


def _move(array: Any, backend: Backend) -> Array:
    source = backend_of(array)
    if str(source) == str(backend):
        return array
    with source.context():
        return backend.from_host(source.to_host(array))


def _wrong_dimensions(name: str, shape: tuple[int, ...], dimensions: int) -> str:
    meaning = {1: "(features)", 2: "(examples, features)"}[dimensions]
    hint = f"; for one example give [{name}]" if (len(shape), dimensions) == (1, 2) else ""
    return f"{name} must have the shape {meaning}; got {tuple(shape)}{hint}"


def depth(value: Any) -> int:
    """The number of dimensions of an array, or of lists in lists."""
    if isinstance(value, list | tuple):
        return 1 + max(map(depth, value), default=0)
    return getattr(value, "ndim", 0)


def refuse_where(name: str, array: Array, bad: Array, rule: str, backend: Backend) -> None:
    """Raise ValueError that names the first place where `bad` is true, if there is one."""
    xp = backend.xp
    if not bool(xp.any(bad)):
        return
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int64)))
    place = host.unravel_index(flat, array.shape)
    index = ", ".join(str(int(i)) for i in place)
    value = float(xp.reshape(array, (-1,))[flat])
    raise ValueError(f"{name}[{index}] is {value!r}; {name} {rule}")


def ordinary(array: Array, backend: Backend) -> bool:
    """Whether every number is 0 or at least 2^-60 in magnitude."""
    xp = backend.xp
    return bool(xp.all((array == 0) | (xp.abs(array) >= SMALLEST_ORDINARY_INPUT)))


def training_set(inputs: Any, targets: Any, backend: Backend, *, dtype: str) -> tuple[Array, Array]:
    """(examples, features) and (examples, neurons); targets of one dimension are a column."""
    x = numbers("inputs", inputs, backend, dtype=dtype, dimensions=2)
    dimensions = 1 if depth(targets) == 1 else 2
    y = numbers("targets", targets, backend, dtype=dtype, dimensions=dimensions)
    if x.shape[0] != y.shape[0]:
        raise ValueError(
            f"inputs hold {x.shape[0]} examples but targets {y.shape[0]}; give one target for each"
        )
    refuse_where("targets", y, (y < 0) | (y > 1), "must lie in [0, 1]", backend)
    return x, y if y.ndim == 2 else backend.xp.reshape(y, (-1, 1))
