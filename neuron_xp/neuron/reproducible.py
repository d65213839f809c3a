r"""The defined arithmetic: every value below has one bit pattern, whoever computes it.

The Array API standard promises correctly rounded `+ - * /` on floats and nothing about
`exp`, `sum` or `matmul`. So those three are defined here, from `+ - *`, one division,
comparisons, `where`, `round`, `take` and integers, in an order that is part of the
definition. Where an operation could still differ, the contract says what happens:

- **Products** that may enter a sum go through `multiply`, so that a compiler cannot merge
  the two into one fused multiply-add, which rounds once instead of twice.
- **Sums of products** are added in the order of `ordered_sum`.
- **Subnormals** (below 2^-1022), which some compilers and threads replace by 0, never
  change a result. Inputs below 2^-1022 are 0; weights and deltas below `SMALLEST_FACTOR`
  = 2^-900 are 0; products in a sum that are below `SMALLEST_PRODUCT` = 2^-960 count as 0.
  What is left of a product is a multiple of 2^-1012, and so is every sum of such products.
  Elsewhere (r^2 in `exp`, a small rate times a sum, a small delta) one may occur, and is
  then added to a number at least 2^53 times as large, or flushed, or rounded to 0.

Sums over examples are in `exact_sum.py`. Any other program that follows the same
definition (a compiled kernel, say) gives the same bits, and can be tested for just that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import TypeAlias

from neuron_xp.neuron.types import Array, Namespace

Products: TypeAlias = Callable[[Array, Array], Array]

CONTRACT_VERSION = 1
"""Changes when the definition does; two versions may train to different bits."""

LANES = 32
SEGMENT = 1024
SMALLEST_NORMAL = 2.0**-1022
SMALLEST_FACTOR = 2.0**-900
SMALLEST_PRODUCT = 2.0**-960
TINY_INPUT = SMALLEST_PRODUCT / SMALLEST_FACTOR
"""2^-60. Inputs below it, other than 0, are tiny: products with them may count as 0."""

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


def exp_tables(*, xp: Namespace, device: object = None) -> ExpTables:
    """The tables of `exp`, from integer square roots: no library's `exp` or `pow`."""
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
    array = partial(xp.asarray, dtype=xp.float64, device=device)
    power = [2.0**m for m in range(MIN_POWER, 1)]
    return ExpTables(array(high), array(low), array(power))


def multiply(a: Array, b: Array, *, xp: Namespace, fence: bool) -> Array:
    """The product a * b, rounded on its own.

    With `fence`, for compiled arithmetic, the product passes through `copysign(|p|, p)`,
    which changes no value and stops XLA from fusing it with a later addition.
    """
    product = a * b
    return xp.copysign(xp.abs(product), product) if fence else product


def flush(x: Array, smallest: float, *, xp: Namespace) -> Array:
    """x, with 0 in place of magnitudes below `smallest`. NaN stays NaN."""
    return xp.where(xp.abs(x) < smallest, 0.0, x)


def exp(x: Array, *, xp: Namespace, tables: ExpTables, fence: bool) -> Array:
    r"""e^x for x <= 0, within 0.504 ulp; e^-700 below -700, and for NaN.

    With k = round(256 x / ln 2), r = x - k ln(2)/256, k = 256 m + j:

        e^x = 2^m * 2^(j/256) * e^r,    |r| <= ln(2)/512,    0 <= j < 256

    Tang, "Table-driven implementation of the exponential function in IEEE
    floating-point arithmetic", ACM TOMS 15 (1989), with the series of e^r to degree 5.
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
    """Add over axis 1; the shorter `high` is added to the first terms of `low`."""
    width = high.shape[1]
    if width == low.shape[1]:
        return low + high
    return xp.concat([low[:, :width, ...] + high, low[:, width:, ...]], axis=1)


def ordered_sum(terms: Array, *, xp: Namespace) -> Array:
    """The sum over axis 1 in the defined order.

    Lane l of 32 adds terms l, l + 32, l + 64, ... one after the other; then lanes 16 to 31
    are added to lanes 0 to 15, and so on with 8, 4, 2, 1. The order suits array operations,
    vector registers and a GPU's warp of 32 alike. More than 1024 terms are cut into
    segments of 1024, whose sums are added in the same way.
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
    rows, count, *rest = terms.shape
    whole = count // SEGMENT
    body = xp.reshape(terms[:, : whole * SEGMENT, ...], (rows * whole, SEGMENT, *rest))
    sums = xp.reshape(ordered_sum(body, xp=xp), (rows, whole, *rest))
    if count == whole * SEGMENT:
        return sums
    tail = ordered_sum(terms[:, whole * SEGMENT :, ...], xp=xp)
    return xp.concat([sums, xp.expand_dims(tail, axis=1)], axis=1)


def products(a: Array, b: Array, *, xp: Namespace, fence: bool, no_tiny_inputs: bool) -> Array:
    """The products a * b, with 0 in place of products below 2^-960.

    `no_tiny_inputs` says that the inputs among the factors are 0 or at least 2^-60: then there
    are no such products, and the three operations that look for them are saved.
    """
    terms = multiply(a, b, xp=xp, fence=fence)
    return terms if no_tiny_inputs else flush(terms, SMALLEST_PRODUCT, xp=xp)


def weighted_sum(inputs: Array, weights: Array, *, products: Products, xp: Namespace) -> Array:
    """The product inputs @ weights: (rows, n) and (n, neurons) -> (rows, neurons)."""
    return ordered_sum(products(inputs[:, :, None], weights[None, :, :]), xp=xp)
