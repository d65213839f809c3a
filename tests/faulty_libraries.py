"""Libraries that are NumPy with one wrong behaviour each."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.guarantees import find_guarantees

NUMPY = open_backend("numpy")
EXACT = np.longdouble  # 64 bits of significand on x86: what x87 computes with


class Faulty(np.ndarray):
    """An array whose operators go through a table of faults; see `with_fault`."""

    ufuncs: dict = {}  # noqa: RUF012  each fault's class has its own

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [x.view(np.ndarray) if isinstance(x, np.ndarray) else x for x in inputs]
        fault = self.ufuncs.get(ufunc.__name__) if method == "__call__" else None
        result = fault(ufunc, *plain) if fault else getattr(ufunc, method)(*plain, **options)
        return np.asarray(result).view(type(self))


def with_fault(*, ufuncs=None, **functions):
    """A namespace around NumPy with one wrong behaviour."""
    kind = type("Faulty", (Faulty,), {"ufuncs": ufuncs or {}})

    def as_faulty(x):
        if isinstance(x, np.ndarray) and x.dtype != object:
            return x.view(kind)
        return tuple(map(as_faulty, x)) if isinstance(x, tuple) else x

    def wrap(name, function):
        def call(*arguments, **options):
            plain = [x.view(np.ndarray) if isinstance(x, np.ndarray) else x for x in arguments]
            if name in functions:
                return as_faulty(functions[name](*plain, **options))
            if name == "concat":
                plain = [[x.view(np.ndarray) for x in plain[0]]]
            return as_faulty(function(*plain, **options))

        return call

    names = {
        name: wrap(name, value) if callable(value) and not isinstance(value, type) else value
        for name, value in vars(NUMPY.xp).items()
    }
    xp = SimpleNamespace(**names)
    return dataclasses.replace(
        NUMPY, name="make-believe", xp=xp, make_kernels=None, threaded=False,
        to_host=lambda x: np.asarray(x).view(np.ndarray),
    )  # fmt: skip


def twice(ufunc, *inputs):
    """Round to 64 bits and then to 53, as x87 does."""
    if all(np.asarray(x).dtype == np.float64 or np.isscalar(x) for x in inputs):
        return ufunc(*(np.asarray(x, dtype=EXACT) for x in inputs)).astype("float64")
    return ufunc(*inputs)


def coarse_if_large(ufunc, a, b):
    found = ufunc(a, b)
    is_large = np.size(found) > 4096 and found.dtype == np.float64
    return found.astype("float32").astype("float64") if is_large else found


def shift_in_32_bits(ufunc, a, b):
    return ufunc(a, np.asarray(b) % 32)


def and_of_magnitudes(ufunc, a, b):
    return ufunc(abs(a), b) if np.asarray(a).dtype == np.int64 else ufunc(a, b)


def sum_in_32_bits(x, **options):
    if x.dtype == np.int64:
        return np.sum(x.astype("int32"), dtype="int32", **options).astype("int64")
    return np.sum(x, **options)


def take_wrong_at_the_end(x, indices, **options):
    found = np.take(x, indices, **options)
    return np.where(indices == len(x) - 1, np.take(x, indices - 1, **options), found)


def where_in_float32(condition, a, b):
    found = np.where(condition, a, b)
    return found.astype("float32").astype("float64") if found.dtype == np.float64 else found


def lists_in_float32(x, **options):
    if isinstance(x, list | tuple):
        return np.asarray(np.asarray(x, dtype="float32"), dtype="float64")
    return NUMPY.xp.asarray(x, **options)


FAULTS = {
    "products rounded twice": {"ufuncs": {"multiply": twice}},
    "sums rounded twice": {"ufuncs": {"add": twice, "subtract": twice}},
    "quotients rounded twice": {"ufuncs": {"divide": twice}},
    "products of large arrays in float32": {"ufuncs": {"multiply": coarse_if_large}},
    "where in float32": {"where": where_in_float32},
    "lists as float32": {"asarray": lists_in_float32},
    "int64 summed in int32": {"sum": sum_in_32_bits},
    "shifts modulo 32 bits": {
        "ufuncs": {"left_shift": shift_in_32_bits, "right_shift": shift_in_32_bits}
    },
    "& of a negative": {"ufuncs": {"bitwise_and": and_of_magnitudes}},
    "take wrong at the last place": {"take": take_wrong_at_the_end},
    "take modulo 128": {"take": lambda x, i, **more: np.take(x, i % 128, **more)},
    "reshape in column order": {"reshape": lambda x, shape, **_: x.reshape(shape, order="F")},
    "everything is finite": {"isfinite": lambda x: np.ones(np.shape(x), dtype=bool)},
}


def broken_by(guarantee, function):
    """NumPy compiled by a compiler that gets one guarantee wrong."""

    def compile_(show):
        def shown(*columns):
            results = show(*columns)
            names = [g.name for g in find_guarantees(len(columns[0]))]
            if guarantee in names and len(results) == len(names):  # the probe was compiled
                results[names.index(guarantee)] = function(*columns)
            return results

        return shown

    return dataclasses.replace(NUMPY, name="altered", compile=compile_)


WRONG = {
    "numbers down to 2^-1022 are kept": lambda x, y, z: 0 * x,
    "a product is rounded before it is added to (no fused multiply-add)": (
        lambda x, y, z: x * y + z + 2.0**-53
    ),
    "sums keep the order in which they are written": lambda x, y, z: x * 2.0**-30 + z,
    "1/x is correctly rounded": lambda x, y, z: np.nextafter(1 / (1 + x), 1),
    "x/y is correctly rounded": lambda x, y, z: x * (1 / y),
    "square roots are correctly rounded": lambda x, y, z: -z * (1 / np.sqrt(-z)),
    "halves are rounded to even": lambda x, y, z: np.floor(np.round(z * 64) * 0.5 + 0.5),
    "int64 and float64 are converted exactly, or rounded to nearest": (
        lambda x, y, z: np.floor(x) * 2.0**61
    ),
    "shifts of negative integers round down": lambda x, y, z: np.trunc(z * 2.0**18),
    "infinity and NaN are told from numbers": lambda x, y, z: 0 * x + 4,
}
