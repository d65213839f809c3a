"""The correctly rounded square root, from + - * alone: ../README.md, "The square root".

PyTorch's on the processor is off by an ulp at times, and XLA rewrites quotients by it.
"""

from dataclasses import dataclass
from functools import partial
from math import isqrt

from neuron_xp.neuron.reproducible.elementary import make_floats, multiply
from neuron_xp.neuron.types import Array, Namespace

STEPS = 64
_BITS = 160
_SPLIT = 2.0**25
SMALLEST_POWER, LARGEST_POWER = -511, 511


@dataclass(frozen=True, eq=False)
class RootTables:
    """First guesses, and the powers of four that bring a number into [1, 4).

    guess : (193,), 1 / sqrt(1 + j/64)
    power : (1023,), 4^k for k in -511 ... 511
    per_power, root : (1024,), 4^-k and 2^k for the k of as many powers as are not above a
        number; 1 and 0 for none
    """

    guess: Array
    power: Array
    per_power: Array
    root: Array


def root_tables(*, xp: Namespace, device: object = None) -> RootTables:
    """Make the tables of `sqrt` from integer square roots."""
    array = make_floats(xp=xp, device=device)
    powers = range(SMALLEST_POWER, LARGEST_POWER + 1)
    one = STEPS << 2 * _BITS
    return RootTables(
        guess=array([isqrt(one // (STEPS + j)) / (1 << _BITS) for j in range(3 * STEPS + 1)]),
        power=array([4.0**k for k in powers]),
        per_power=array([1.0, *(4.0**-k for k in powers)]),
        root=array([0.0, *(2.0**k for k in powers)]),
    )


def sqrt(x: Array, *, xp: Namespace, tables: RootTables, fence: bool) -> Array:
    """The square root, rounded to nearest, of 2^-1022 <= x < 2^1024; 0 for 0; NaN and inf stay.

    x = 4^k f with f in [1, 4). Newton's iteration for 1 / sqrt(f), from a table, gives a root s
    that is good to a few ulp. What is left of f, f - s^2, is exact when s is split into two
    halves, and corrects s, to so near the root that less than a hundred f could be rounded
    wrongly. None of them is.
    """
    times = partial(multiply, xp=xp, fence=fence)
    flat = xp.reshape(x, (-1,))
    number = xp.searchsorted(tables.power, flat, side="right")
    f = xp.clip(flat * xp.take(tables.per_power, number, axis=0), 1.0, 4.0)
    f = xp.where(xp.isnan(flat), 1.0, f)
    place = xp.astype(xp.round((f - 1.0) * STEPS), xp.int64)
    inverse = xp.take(tables.guess, place, axis=0)
    half = 0.5 * f
    for _ in range(3):
        square = times(inverse, inverse)
        inverse = times(inverse, 1.5 - times(half, square))
    s = times(f, inverse)
    s = s + times(_find_rest(f, s, xp=xp, times=times), 0.5 * inverse)
    root = s * xp.take(tables.root, number, axis=0)
    return xp.reshape(xp.where(flat < xp.inf, root, flat), x.shape)


def _find_rest(f: Array, s: Array, *, xp: Namespace, times: partial[Array]) -> Array:
    """Return f - s^2, of which only the last digit is rounded, for s near the root of f."""
    high = xp.round(s * _SPLIT) * (1 / _SPLIT)
    low = s - high
    return ((f - times(high, high)) - 2.0 * times(high, low)) - times(low, low)
