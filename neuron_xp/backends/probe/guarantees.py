"""A look at a library before it is trusted with reproducible arithmetic.

The definition stands on a few guarantees of the Array API standard and IEEE 754. Before its
first use in a process each backend and device shows them, compiled as training is, on
run-time arguments of several lengths; the expected values come from Python's own floats and
integers. What a library gets wrong is then named, not trained on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import UnusableBackendError, one_line
from neuron_xp.neuron.arithmetic import Arithmetic, reproducible_arithmetic
from neuron_xp.neuron.types import Array

LENGTHS = (1, 7, 1000)
Sample: TypeAlias = tuple[float, float, float]
ROUNDED_TWICE = (
    (float.fromhex("0x1.9a1e9eb173225p+0"), float.fromhex("0x1.26812865ebaccp+0")),
    (float.fromhex("0x1.fb074cb16dc04p+0"), float.fromhex("0x1.f027e27629d07p+0")),
)
"""x, y whose quotient, and whose product, differ if rounded to 64 bits first, as x87 does."""


@dataclass(frozen=True)
class Guarantee:
    """A promise to look at: the same formula on arrays and on Python floats, to be compared.

    The arguments are x and y in [1, 2), and z = -x y; arrays have some of `LENGTHS`.
    formula : what is computed, for a reader
    """

    name: str
    formula: str
    on_arrays: Callable[..., Array]  # (arithmetic, x, y, z)
    on_floats: Callable[[float, float, float], float]
    lengths: tuple[int, ...] = LENGTHS


def _as_int(x: Array, arithmetic: Arithmetic) -> Array:
    return arithmetic.xp.astype(x, arithmetic.xp.int64)


def _as_float(x: Array, arithmetic: Arithmetic) -> Array:
    return arithmetic.xp.astype(x, arithmetic.xp.float64)


def _count_finite(arithmetic: Arithmetic, x: Array, infinite: Array, zero: Array) -> Array:
    """Count, for each element, which of x, infinity, NaN and 0 are said to be finite."""
    isfinite = arithmetic.xp.isfinite
    four = (isfinite(each) for each in (x, infinite, infinite * zero, zero))
    return sum(_as_float(_as_int(finite, arithmetic), arithmetic) for finite in four)


GUARANTEES = (
    Guarantee(
        "numbers down to 2^-1022 are kept",
        "x * 2^-1022",
        lambda a, x, y, z: x * 2.0**-1022,
        lambda x, y, z: x * 2.0**-1022,
    ),
    Guarantee(
        "a product is rounded before it is added to (no fused multiply-add)",
        "x * y + z",
        lambda a, x, y, z: a.multiply(x, y) + z,
        lambda x, y, z: x * y + z,
    ),
    Guarantee(
        "sums keep the order in which they are written",
        "((x * 2^-30 + y) - y) + z",
        lambda a, x, y, z: ((x * 2.0**-30 + y) - y) + z,
        lambda x, y, z: ((x * 2.0**-30 + y) - y) + z,
    ),
    Guarantee(
        "1/x is correctly rounded",
        "1 / (1 + x)",
        lambda a, x, y, z: 1.0 / (1.0 + x),
        lambda x, y, z: 1.0 / (1.0 + x),
    ),
    Guarantee(
        "x/y is correctly rounded",
        "x / y",
        lambda a, x, y, z: x / y,
        lambda x, y, z: x / y,
    ),
    Guarantee(
        "square roots are correctly rounded",
        "sqrt(-z)",
        lambda a, x, y, z: a.sqrt(-z),
        lambda x, y, z: math.sqrt(-z),
        lengths=LENGTHS[-1:],  # XLA takes a while to compile ours, for each length
    ),
    Guarantee(
        "halves are rounded to even",
        "round(round(64 z) * 0.5)",
        lambda a, x, y, z: a.xp.round(a.xp.round(z * 64.0) * 0.5),
        lambda x, y, z: round(round(z * 64.0) * 0.5),
    ),
    Guarantee(
        "int64 and float64 are converted exactly, or rounded to nearest",
        "float(int(x * 2^61) + int(y * 2^52))",
        lambda a, x, y, z: _as_float(_as_int(x * 2.0**61, a) + _as_int(y * 2.0**52, a), a),
        lambda x, y, z: float(int(x * 2.0**61) + int(y * 2.0**52)),
    ),
    Guarantee(
        "shifts of negative integers round down",
        "float(int(z * 2^50) >> 32)",
        lambda a, x, y, z: _as_float(_as_int(z * 2.0**50, a) >> 32, a),
        lambda x, y, z: float(int(z * 2.0**50) >> 32),
    ),
    Guarantee(
        "infinity and NaN are told from numbers",
        "how many of x, infinity, NaN, 0 are finite",
        lambda a, x, y, z: _count_finite(a, x, x * 2.0**1000 * 2.0**1000, z * 0.0),
        lambda x, y, z: 2.0,
    ),
)


def find_guarantees(length: int, among: Sequence[Guarantee] = GUARANTEES) -> list[Guarantee]:
    """Return what arrays of that length are to show."""
    return [guarantee for guarantee in among if length in guarantee.lengths]


def draw_samples(count: int) -> list[Sample]:
    """Return x, y in [1, 2) with all bits in use, and z = -(x * y).

    They are `ROUNDED_TWICE`, and then golden ratio sequences.
    """
    x = [1 + math.modf(i * (math.sqrt(5) - 1) / 2)[0] for i in range(1, 2 * count + 1)]
    pairs = [*ROUNDED_TWICE, *zip(x[::2], x[1::2], strict=True)]
    return [(a, b, -(a * b)) for a, b in pairs[:count]]


def has_float64(backend: Backend) -> bool:
    """Tell whether the device can hold float64 at all."""
    try:
        check_float64(backend)
    except UnusableBackendError:
        return False
    return True


def check_float64(backend: Backend) -> None:
    """Raise `UnusableBackendError`, with the library's own reason, for a device without float64."""
    reason: Exception | None = None
    try:
        with backend.context():
            holds = bool(backend.from_host(np.ones(1)).dtype == backend.xp.float64)
    except Exception as error:  # each library has its own
        holds, reason = False, error
    if not holds:
        why = "" if reason is None else f" ({one_line(reason)})"
        raise broken_error(backend, f"has no float64{why}") from reason


def broken_error(backend: Backend, problem: str) -> UnusableBackendError:
    """Return the error that says so, and what to give instead."""
    return UnusableBackendError(
        f"{backend} {problem}, so it cannot be reproducible; give arithmetic='native', "
        "or another backend or device"
    )


def make_reproducible(backend: Backend, *, no_tiny_inputs: bool) -> Arithmetic:
    """Return the reproducible arithmetic on a backend, unchecked."""
    return reproducible_arithmetic(
        backend.xp,
        device=backend.device,
        compiled=backend.compiled,
        rounds_sqrt=backend.rounds_sqrt,
        no_tiny_inputs=no_tiny_inputs,
    )
