"""Functions of one number, compiled by Numba into the loops that call them."""

import numpy as np

from neuron_xp.backends.numba_kernels.compiler import inlined
from neuron_xp.backends.numba_kernels.llvm.vectors import power_of_two
from neuron_xp.neuron.reproducible import elementary, logarithm
from neuron_xp.neuron.reproducible.elementary import (
    LN2_HIGH,
    LN2_LOW,
    SMALLEST_EXPONENT,
    STEPS,
    STEPS_PER_LN2,
)
from neuron_xp.neuron.reproducible.logarithm import COEFFICIENTS

# Read by the compiler as constants: it then knows that nothing overwrites them.
_EXP, _LOG = elementary.exp_tables(xp=np), logarithm.log_tables(xp=np)
_EXP_HIGH, _EXP_LOW = _EXP.high, _EXP.low
_LOG_HIGH, _LOG_LOW = _LOG.high, _LOG.low

_ROUND = 1.5 * 2.0**52
"""x + _ROUND - _ROUND is x rounded half to even, for |x| <= 2^51."""

_POWERS = tuple((bits, 2.0**bits, 2.0**-bits) for bits in (8.0, 4.0, 2.0, 1.0))


@inlined
def round_half_even(x):
    """Return the whole number nearest to x, for |x| <= 2^51."""
    return (x + _ROUND) - _ROUND


@inlined
def flush(x, smallest):
    """See `elementary.flush`."""
    return 0.0 if abs(x) < smallest else x


@inlined
def exp(x):
    """See `elementary.exp`."""
    x = x if x > SMALLEST_EXPONENT else SMALLEST_EXPONENT
    k = round_half_even(x * STEPS_PER_LN2)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    series = r * (r * (r * (1 / 120) + 1 / 24) + 1 / 6) + 0.5
    growth = (r * r) * series + r
    n = np.int64(k)
    high = _EXP_HIGH[n & 255]
    return (high + (_EXP_LOW[n & 255] + high * growth)) * power_of_two(n >> 8)


@inlined
def log1p(e):
    """See `logarithm.log1p`."""
    e = e if e >= 0.0 else 0.0
    j = round_half_even(e * 128.0)
    c = j * (1 / 128)
    r = (e - c) / (1.0 + c)
    c1, c2, c3, c4, c5, c6 = COEFFICIENTS
    series = r * (r * (r * (r * (r * (r * c1 + c2) + c3) + c4) + c5) + c6)
    n = np.int64(j)
    return _LOG_HIGH[n] + (_LOG_LOW[n] + (r + r * series))


@inlined
def log(x):
    """See `logarithm.log`."""
    k = 0.0
    for bits, power, inverse in _POWERS:
        is_large = x >= power
        k = k + bits if is_large else k
        x = x * inverse if is_large else x
    return k * (LN2_HIGH * STEPS) + (log1p(x - 1.0) + k * (LN2_LOW * STEPS))


@inlined
def sigmoid(x, e):
    """See `activations.sigmoid`: that of x, from e = e^-|x|."""
    d = 1.0 / (1.0 + e)
    return d if x >= 0.0 else (e * d if x < 0.0 else x)
