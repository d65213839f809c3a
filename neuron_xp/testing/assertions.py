"""Assertions that two arrays, of any libraries, have the same bits, or nearly."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, is_lazy
from neuron_xp.backends.libraries import find_backend, is_array
from neuron_xp.testing.differences import Differences, find_differences

COMPARABLE = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
}  # fmt: skip
WIDE = {"int64", "uint64", "float64", "complex128"}
RANKS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
JAX_HINT = "; JAX has no 64 bits until it is started with JAX_ENABLE_X64=1"

_running: list[Backend] = []  # a plain list: what threads of a test assert is held to it, too


@contextmanager
def expect_backend(backend: Backend) -> Iterator[None]:
    """Hold assertions in this context to the library and device of a backend."""
    _running.append(backend)
    try:
        yield
    finally:
        _running.remove(backend)


def assert_same_bits(
    actual: Any, expected: Any, *, nan_bits: bool = False, anywhere: bool = False
) -> None:
    """Assert that two arrays have the same shape, dtype and bits.

    0.0 and -0.0 differ. Any NaN equals any NaN, as the standard leaves their bits open.

    actual : an array of any library that follows the Array API, or a NumPy scalar
    expected : likewise, of the same library or another; or a Python number or nested list of
        such, which take the dtype of `actual`
    nan_bits : whether the bits of NaN count, too
    anywhere : in a test with the fixture `backend` or `xp` the library and device of `actual`
        must be the test's; with True they may be others

    Raises AssertionError, whose message names the first difference and the largest; TypeError for
    what has no bits to compare, as bfloat16, which NumPy lacks.
    """
    __tracebackhide__ = True
    found = _compare(actual, expected, nan_bits=nan_bits, anywhere=anywhere)
    if found.differs.any():
        words = f"differs from expected in {_count(found.differs)}"
        raise AssertionError(f"{_name(actual)} {words}\n{found.describe()}")


def assert_within_ulp(actual: Any, expected: Any, ulp: int, *, anywhere: bool = False) -> None:
    """Assert that two arrays have the same shape and dtype, and are at most so many ulp apart.

    The distance of two floats is how many steps lead from one to its neighbour, and so on, to
    the other: 0 for 0.0 and -0.0, and for two NaN; none is enough for NaN and a number. That of
    complex numbers is the larger of their parts'.

    actual, expected, anywhere : as in `assert_same_bits`, but floats or complex numbers
    ulp : 0 or more

    Raises AssertionError, whose message names the first number that is farther, and the largest
    distance; TypeError for what has no ulp, as integers.
    """
    __tracebackhide__ = True
    if ulp != int(ulp) or ulp < 0:
        raise ValueError(f"ulp must be a whole number, 0 or more; got {ulp!r}")
    found = _compare(actual, expected, nan_bits=False, anywhere=anywhere)
    if found.actual.dtype.kind not in "fc":
        raise TypeError(f"{found.actual.dtype} has no ulp: give floats, or use assert_same_bits")
    farther = found.keep_farther(int(ulp))
    if farther.differs.any():
        words = f"is more than {int(ulp)} ulp from expected in {_count(farther.differs)}"
        raise AssertionError(f"{_name(actual)} {words}\n{farther.describe()}")


def _compare(actual: Any, expected: Any, *, nan_bits: bool, anywhere: bool) -> Differences:
    __tracebackhide__ = True
    if not _is_array(actual):
        raise TypeError(f"actual must be an array; got {type(actual).__name__}")
    if _running and not anywhere:
        _check_home(actual, _running[-1])
    a = _to_host(actual)
    b = _to_host(expected) if _is_array(expected) else _read_numbers(expected, a.dtype)
    if a.shape != b.shape:
        raise AssertionError(f"{_name(actual)} has shape {a.shape}, expected {b.shape}")
    if a.dtype != b.dtype:
        home = _name_home(actual)
        hint = JAX_HINT if home.startswith("jax ") and b.dtype.name in WIDE else ""
        words = f"has dtype {a.dtype}, expected {b.dtype}{hint}"
        raise AssertionError(f"actual ({home}) {words}")
    return find_differences(a, b, nan_bits=nan_bits)


def _check_home(actual: Any, backend: Backend) -> None:
    __tracebackhide__ = True
    home = _name_home(actual)
    if home == str(backend):
        return
    hint = ""
    if home.startswith("numpy "):
        hint = ": something fell back to NumPy"
    elif home.startswith(f"{backend.name} ") and backend.default_device is nullcontext:
        hint = "; it has no default device, so give device=backend.device"
    raise AssertionError(f"actual is of {home}, but this test runs on {backend}{hint}")


def _is_array(x: Any) -> bool:
    return is_array(x) or isinstance(x, np.generic)


def _name_home(array: Any) -> str:
    """Name the library and the device of an array: 'torch on cpu'."""
    return "dask" if is_lazy(array) else str(find_backend(array))


def _to_host(array: Any) -> np.ndarray:
    """Return the array as a NumPy array in the processor's byte order, computed."""
    if is_lazy(array):
        return _to_host(array.compute())
    try:
        host = np.asarray(find_backend(array).to_host(array))
    except TypeError as error:  # PyTorch's, for a dtype that NumPy lacks
        raise _dtype_error(array.dtype) from error
    if host.dtype.name not in COMPARABLE:
        raise _dtype_error(host.dtype)
    return host.astype(host.dtype.newbyteorder("="), copy=False)


def _dtype_error(dtype: Any) -> TypeError:
    cure = "convert both to float32, which is exact" if "bfloat16" in str(dtype) else ""
    return TypeError(
        f"arrays of {dtype} cannot be compared; {cure or 'give bools, integers or floats'}"
    )


def _read_numbers(numbers: Any, dtype: np.dtype) -> np.ndarray:
    """Return a Python number or nested list as an array of this dtype, if it can hold them."""
    array = np.asarray(numbers)
    kinds = array.dtype.kind, dtype.kind
    if array.dtype.name not in COMPARABLE:
        raise TypeError(f"expected must be an array, a number or a list of such; got {numbers!r}")
    if ("b" in kinds and kinds[0] != kinds[1]) or RANKS[kinds[0]] > RANKS[kinds[1]]:
        return array
    return np.asarray(numbers, dtype=dtype)


def _name(array: Any) -> str:
    return f"actual ({str(array.dtype).rpartition('.')[2]}, {_name_home(array)})"


def _count(differs: np.ndarray) -> str:
    return f"{np.count_nonzero(differs)} of {differs.size} numbers"
