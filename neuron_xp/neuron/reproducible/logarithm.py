"""log(1 + e) and log(x), for the losses: ../README.md, "The logarithm"."""

from dataclasses import dataclass
from functools import partial

from neuron_xp.neuron.reproducible.elementary import LN2_HIGH, LN2_LOW, make_floats, multiply
from neuron_xp.neuron.reproducible.elementary import STEPS as STEPS_OF_LN2
from neuron_xp.neuron.types import Array, Namespace

STEPS = 128
_BITS = 160
# log(1 + r) = r - r^2/2 + r^3/3 - ..., |r| <= 1/256
COEFFICIENTS = (1 / 7, -1 / 6, 1 / 5, -1 / 4, 1 / 3, -1 / 2)


@dataclass(frozen=True, eq=False)
class LogTables:
    """log(1 + j/128) for j in 0 ... 128, as `high + low`."""

    high: Array
    low: Array


def log_tables(*, xp: Namespace, device: object = None) -> LogTables:
    """Make the tables of `log1p` from integers: no library's `log`."""
    values = [_log(STEPS + j, STEPS) for j in range(STEPS + 1)]
    high = [value / (1 << _BITS) for value in values]
    low = [
        (value - int(h * 2.0**60) * (1 << (_BITS - 60))) / (1 << _BITS)
        for value, h in zip(values, high, strict=True)
    ]
    array = make_floats(xp=xp, device=device)
    return LogTables(array(high), array(low))


def _log(a: int, b: int) -> int:
    """2^160 log(a / b), by 2 artanh((a - b) / (a + b)) = 2 (s + s^3/3 + s^5/5 + ...)."""
    power = ((a - b) << _BITS) // (a + b)
    total, square, n = 0, power * power >> _BITS, 1
    while power:
        total += power // n
        power = power * square >> _BITS
        n += 2
    return 2 * total


def log1p(e: Array, *, xp: Namespace, tables: LogTables, fence: bool) -> Array:
    """log(1 + e) for 0 <= e <= 1, within 1.05 ulp; 0 for NaN.

    log(1 + c) + log(1 + r) with j = round(128 e), c = j/128 and r = (e - c) / (1 + c).
    """
    times = partial(multiply, xp=xp, fence=fence)
    flat = xp.reshape(e, (-1,))
    flat = xp.where(flat >= 0, flat, 0.0)
    j = xp.round(flat * STEPS)
    c = j * (1 / STEPS)
    r = (flat - c) / (1.0 + c)
    series = times(r, COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        series = times(r, series + coefficient)
    index = xp.astype(j, xp.int64)
    high, low = xp.take(tables.high, index, axis=0), xp.take(tables.low, index, axis=0)
    return xp.reshape(high + (low + (r + times(r, series))), e.shape)


def log(x: Array, *, xp: Namespace, tables: LogTables, fence: bool) -> Array:
    """The logarithm of 1 <= x < 2^16, within 1.05 ulp; 0 for NaN.

    k log(2) + log(1 + e) with x = 2^k (1 + e); k has four bits and log(2) two parts, so that
    the first product is exact.
    """
    k = xp.zeros_like(x)
    for bits in (8, 4, 2, 1):
        is_large = x >= 2.0**bits
        k = xp.where(is_large, k + bits, k)
        x = xp.where(is_large, x * 2.0**-bits, x)
    low = multiply(k, xp.full_like(k, LN2_LOW * STEPS_OF_LN2), xp=xp, fence=fence)
    return k * (LN2_HIGH * STEPS_OF_LN2) + (log1p(x - 1.0, xp=xp, tables=tables, fence=fence) + low)
