"""exp, products and ordered sums with one bit pattern, whoever computes them.

The Array API standard promises correctly rounded `+ - * /` on floats and nothing about
`exp`, `sum` or `matmul`. So those are made here from `+ - *`, one division, comparisons,
`where`, `round`, `take` and integers, in the order that ../README.md defines. Any other program
that follows that page (a compiled kernel, say) gives the same bits, and can be tested for
just that. Sums over examples are in `exact_sum.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any, TypeAlias

from neuron_xp.neuron.types import Array, Namespace

Products: TypeAlias = Callable[[Array, Array], Array]

CONTRACT_VERSION = 1
"""The version of README.md that this package keeps."""

LANES = 32
SEGMENT = 1024
SMALLEST_NORMAL = 2.0**-1022
SMALLEST_FACTOR = 2.0**-900
SMALLEST_PRODUCT = 2.0**-960
TINY_INPUT = SMALLEST_PRODUCT / SMALLEST_FACTOR
"""2^-60. Smaller inputs, other than 0, are tiny: their products may have to be flushed."""

SMALLEST_EXPONENT = -700.0
STEPS = 256
STEPS_PER_LN2 = float.fromhex("0x1.71547652b82fep+8")
# ln(2)/256 in two parts. The first has 33 bits and k at most 18, so k * LN2_HIGH is exact.
LN2_HIGH = float.fromhex("0x1.62e42fefp-9")
LN2_LOW = float.fromhex("0x1.473de6af278edp-42")
# e^r = 1 + r + r^2 (1/2 + r/6 + r^2/24 + r^3/120), |r| <= ln(2)/512
COEFFICIENTS = (1 / 120, 1 / 24, 1 / 6, 1 / 2)
MIN_POWER = -1010  # 2^-1010 <= exp(-700)


@dataclass(frozen=True, eq=False)
class ExpTables:
    """2^(j/256) for j in 0 ... 255 as `high + low`, and 2^m for m in -1010 ... 0."""

    high: Array
    low: Array
    power: Array


def make_floats(*, xp: Namespace, device: object = None) -> Callable[[list[Any]], Array]:
    """Return a function that makes lists of floats float64 arrays on the device.

    Without one, the library need not know the keyword.
    """
    if device is None:
        return partial(xp.asarray, dtype=xp.float64)
    return partial(xp.asarray, dtype=xp.float64, device=device)


def exp_tables(*, xp: Namespace, device: object = None) -> ExpTables:
    """Make the tables of `exp` from integer square roots: no library's `exp` or `pow`."""
    bits = 2 * 160
    root = 2 << bits
    for _ in range(STEPS.bit_length() - 1):
        root = isqrt(root << bits)  # 2, then 2^(1/2), 2^(1/4), ... 2^(1/256), times 2^bits
    high, low, value = [], [], 1 << bits
    for _ in range(STEPS):
        high.append(value / (1 << bits))
        rest = value - int(high[-1] * 2.0**52) * (1 << (bits - 52))
        low.append(rest / (1 << bits))
        value = value * root >> bits
    array = make_floats(xp=xp, device=device)
    power = [2.0**m for m in range(MIN_POWER, 1)]
    return ExpTables(array(high), array(low), array(power))


def multiply(a: Array, b: Array, *, xp: Namespace, fence: bool) -> Array:
    """Multiply a by b, and round before anything is added.

    With `fence`, for compiled arithmetic, the product passes through `copysign(|p|, p)`,
    which changes no value and stops XLA from fusing it with a later addition.
    """
    product = a * b
    return xp.copysign(xp.abs(product), product) if fence else product


def flush(x: Array, smallest: float, *, xp: Namespace) -> Array:
    """Replace magnitudes below `smallest` by 0. NaN stays NaN."""
    return xp.where(xp.abs(x) < smallest, 0.0, x)


def exp(x: Array, *, xp: Namespace, tables: ExpTables, fence: bool) -> Array:
    """e^x for x <= 0, within 0.504 ulp; e^-700 below -700, and for NaN.

    2^m * 2^(j/256) * e^r with k = round(256 x / ln 2) = 256 m + j and r = x - k ln(2)/256.
    """
    times = partial(multiply, xp=xp, fence=fence)
    flat = xp.reshape(x, (-1,))  # the standard's `take` wants one-dimensional indices
    flat = xp.where(flat > SMALLEST_EXPONENT, flat, SMALLEST_EXPONENT)
    k = xp.round(flat * STEPS_PER_LN2)
    r = (flat - k * LN2_HIGH) - times(k, LN2_LOW)
    series = COEFFICIENTS[0]
    for coefficient in COEFFICIENTS[1:]:
        series = times(r, series) + coefficient
    growth = times(times(r, r), series) + r  # e^r - 1
    k = xp.astype(k, xp.int64)
    j, m = k & (STEPS - 1), k >> 8
    high, low = xp.take(tables.high, j, axis=0), xp.take(tables.low, j, axis=0)
    mantissa = high + (low + times(high, growth))
    result = mantissa * xp.take(tables.power, m - MIN_POWER, axis=0)
    return xp.reshape(result, x.shape)


def _add_first(low: Array, high: Array, *, xp: Namespace) -> Array:
    """Add the terms of axis 1 in pairs: the shorter `high` to the first terms of `low`."""
    width = high.shape[1]
    if width == low.shape[1]:
        return low + high
    return xp.concat([low[:, :width, ...] + high, low[:, width:, ...]], axis=1)


def ordered_sum(terms: Array, *, xp: Namespace) -> Array:
    """The sum over axis 1 in the defined order: 32 strided lanes, then halving.

    The order suits array operations, vector registers and a GPU's warp of 32 alike.
    """
    count = terms.shape[1]
    if count > SEGMENT:
        return ordered_sum(_segment_sums(terms, xp=xp), xp=xp)
    total = terms[:, : min(LANES, count), ...]
    for start in range(LANES, count, LANES):
        total = _add_first(total, terms[:, start : min(start + LANES, count), ...], xp=xp)
    for half in (16, 8, 4, 2, 1):
        if total.shape[1] > half:
            total = _add_first(total[:, :half, ...], total[:, half:, ...], xp=xp)
    return total[:, 0, ...]


def _segment_sums(terms: Array, *, xp: Namespace) -> Array:
    """The ordered sum of each segment of axis 1: 1024 terms, or the rest."""
    rows, count, *rest = terms.shape
    whole = count // SEGMENT
    body = xp.reshape(terms[:, : whole * SEGMENT, ...], (rows * whole, SEGMENT, *rest))
    sums = xp.reshape(ordered_sum(body, xp=xp), (rows, whole, *rest))
    if count == whole * SEGMENT:
        return sums
    tail = ordered_sum(terms[:, whole * SEGMENT :, ...], xp=xp)
    return xp.concat([sums, xp.expand_dims(tail, axis=1)], axis=1)


def products(a: Array, b: Array, *, xp: Namespace, fence: bool, no_tiny_inputs: bool) -> Array:
    """The products a * b, flushed below 2^-960.

    `no_tiny_inputs` says that the inputs among the factors are 0 or at least 2^-60: no product
    is that small then, and the three operations of the flush are saved.
    """
    terms = multiply(a, b, xp=xp, fence=fence)
    return terms if no_tiny_inputs else flush(terms, SMALLEST_PRODUCT, xp=xp)


def weighted_sum(inputs: Array, weights: Array, *, products: Products, xp: Namespace) -> Array:
    """The product inputs @ weights: (rows, n) and (n, neurons) -> (rows, neurons)."""
    return ordered_sum(products(inputs[:, :, None], weights[None, :, :]), xp=xp)
