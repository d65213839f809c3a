"""Sums over examples with the same bits for every cut of the data and every order.

A *leaf* is 64 consecutive examples, at a multiple of 64 from the first. Its sum is ordered
(`ordered_sum`). Leaf sums are then added **exactly**, as integers: the largest of them fixes a
level T, each is written with three digits in the bins T, T - 1 and T - 2 (bin b holds multiples
of 2^(32 b)), and the digits of a bin are added. So blocks, threads, workers and devices may each
sum what they have, and merge the accumulators as they arrive. README.md, "Sums over examples",
has the definition, the error bound and the rule for NaN.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import fsum, inf, isfinite
from typing import NamedTuple

from neuron_xp.neuron.reproducible.elementary import Products, make_floats, ordered_sum
from neuron_xp.neuron.types import Array, Namespace

LEAF = 64
BITS = 32
HALF_DIGIT = 2 ** (BITS - 1)
BOTTOM, TOP = -28, 31
LARGEST = 2.0 ** (BITS * TOP + BITS - 1)
BROKEN = TOP - BOTTOM + 1  # of NaN and overflow: the highest level, so that merging keeps it


class Accumulator(NamedTuple):
    """An exact sum for each weight, as int64 arrays of its shape.

    level : T + 28
    high, middle, low : the digits in the bins T, T - 1, T - 2
    """

    level: Array
    high: Array
    middle: Array
    low: Array


@dataclass(frozen=True, eq=False)
class Grid:
    """Tables of float64; level t + 28 stands for t.

    limit : (60,), the largest magnitude of each level: 2^(32 t + 31)
    units : (6, 61), for each level's bins t, t - 1, t - 2: 2^(32 b), then 2^(-32 b); 0 at the
        level BROKEN
    """

    limit: Array
    units: Array


def grid(*, xp: Namespace, device: object = None) -> Grid:
    """Make the grid's tables."""
    array = make_floats(xp=xp, device=device)
    levels = range(BOTTOM, TOP + 1)
    signs = [(sign, digit) for sign in (1, -1) for digit in range(3)]
    return Grid(
        limit=array([2.0 ** (BITS * t + BITS - 1) for t in levels]),
        units=array(
            [[2.0 ** (sign * BITS * (t - digit)) for t in levels] + [0.0] for sign, digit in signs]
        ),
    )


def _units(grid: Grid, level: Array, *, xp: Namespace) -> Array:
    """Look the six units of each level up: (...) -> (6, ...)."""
    units = xp.take(grid.units, xp.reshape(level, (-1,)), axis=1)
    return xp.reshape(units, (6, *level.shape))


def leaves(x: Array, *, xp: Namespace) -> list[Array]:
    """Cut the rows of x into leaves: (leaves, 64, m), and (1, the rest, m) if there is one.

    The first row starts a leaf.
    """
    rows, columns = x.shape
    whole = rows - rows % LEAF
    cuts = ((0, whole, LEAF), (whole, rows, rows - whole))
    return [xp.reshape(x[a:b, :], (-1, count, columns)) for a, b, count in cuts if a < b]


def leaf_sums(x: Array, *, xp: Namespace) -> Array:
    """The sum of each leaf of x: (rows, m) -> (leaves, m)."""
    return _concat([ordered_sum(leaf, xp=xp) for leaf in leaves(x, xp=xp)], xp=xp)


def leaf_products(inputs: Array, delta: Array, *, products: Products, xp: Namespace) -> Array:
    """inputs.T @ delta of each leaf: (rows, n) and (rows, m) -> (leaves, n, m)."""
    pairs = zip(leaves(inputs, xp=xp), leaves(delta, xp=xp), strict=True)
    sums = [ordered_sum(products(a[..., None], b[..., None, :]), xp=xp) for a, b in pairs]
    return _concat(sums, xp=xp)


def _concat(parts: list[Array], *, xp: Namespace) -> Array:
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


def accumulate(sums: Array, *, xp: Namespace, grid: Grid) -> Accumulator:
    """Sum exactly over axis 0: (leaves, ...) -> (...)."""
    largest = xp.max(xp.abs(sums), axis=0)
    level = xp.reshape(xp.searchsorted(grid.limit, xp.reshape(largest, (-1,))), largest.shape)
    # a comparison with NaN is false
    level = xp.where(largest <= LARGEST, xp.astype(level, xp.int64), BROKEN)
    units = _units(grid, level, xp=xp)
    high = xp.round(sums * units[3, ...])
    rest = sums - high * units[0, ...]
    middle = xp.round(rest * units[4, ...])
    rest = rest - middle * units[1, ...]
    low = xp.round(rest * units[5, ...])
    digits = (xp.sum(xp.astype(d, xp.int64), axis=0) for d in (high, middle, low))
    return Accumulator(level, *digits)


def _align(sum_: Accumulator, level: Array, *, xp: Namespace) -> tuple[Array, Array, Array]:
    """Move the digits of `sum_` into the bins of a level that is no lower than its own."""
    up = level - sum_.level
    high = xp.where(up == 0, sum_.high, 0)
    middle = xp.where(up == 0, sum_.middle, xp.where(up == 1, sum_.high, 0))
    low = xp.where(up == 1, sum_.middle, xp.where(up == 2, sum_.high, 0))
    return high, middle, xp.where(up == 0, sum_.low, low)


def merge(a: Accumulator, b: Accumulator, *, xp: Namespace) -> Accumulator:
    """Add two accumulators: associative and commutative."""
    level = xp.maximum(a.level, b.level)
    digits = zip(_align(a, level, xp=xp), _align(b, level, xp=xp), strict=True)
    return Accumulator(level, *(x + y for x, y in digits))


def total(sum_: Accumulator, *, xp: Namespace, grid: Grid) -> Array:
    """Convert the sum to float64: carry upward, then add from the small end."""
    level, high, middle, low = sum_
    carry = (low + HALF_DIGIT) >> BITS
    middle, low = middle + carry, low - (carry << BITS)
    carry = (middle + HALF_DIGIT) >> BITS
    high, middle = high + carry, middle - (carry << BITS)
    units = _units(grid, level, xp=xp)
    digits = (xp.astype(digit, xp.float64) for digit in (high, middle, low))
    first, second, third = (digit * units[i, ...] for i, digit in enumerate(digits))
    return xp.where(level == BROKEN, xp.nan, first + (second + third))


def add_exactly(terms: Iterable[float]) -> float:
    """Add on the host and round once, as IEEE 754 does: a sum that is too large is infinite."""
    terms = list(terms)
    try:
        return fsum(terms)
    except (OverflowError, ValueError):  # a part of the sum is too large, or infinity - infinity
        odd = [term for term in terms if not isfinite(term)]
    if odd:
        return sum(odd)
    exact = sum(map(Fraction, terms))
    try:
        return float(exact)
    except OverflowError:
        return inf if exact > 0 else -inf
