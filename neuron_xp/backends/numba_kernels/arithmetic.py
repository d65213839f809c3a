"""The reproducible arithmetic, compiled by Numba for the processor: the bits of `neuron/`.

Inner loops run over the 64 examples of a leaf, or over the inputs of a layer, so that the
compiler can use vector instructions. Every sum keeps the order that `neuron/` defines;
missing examples and lanes are zeros, which change no sum. Numba fuses no multiplication
with an addition unless it is told to.
"""

from typing import NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.compiler import allocating, compiled, inlined
from neuron_xp.backends.numba_kernels.functions import flush, round_half_even
from neuron_xp.backends.numba_kernels.vectors import (
    WIDTH,
    column_sums,
    row_sums,
)
from neuron_xp.neuron.reproducible import exact_sum
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT, SMALLEST_PRODUCT
from neuron_xp.neuron.reproducible.exact_sum import BITS, BROKEN, HALF_DIGIT, LEAF

_ZERO, _ONE = (
    np.int64(0),
    np.int64(1),
)  # typed: Numba compiles a function anew for each constant that it is given
# Read by the compiler as constants: it then knows that nothing overwrites them.
_GRID = exact_sum.grid(xp=np)
_LIMIT, _UNITS = _GRID.limit, np.ascontiguousarray(_GRID.units.T)


# --- one leaf, 64 rows of a flat array, through one layer ------------------------------


@inlined
def _divide_up(count, size):
    """Return how many groups of `size` hold `count` things."""
    return (count + size - 1) // size


@inlined
def take_together(left, most):
    """Return how many of the neurons that are left to compute together: `most`, or one."""
    return most if left >= most else _ONE


@compiled
def pad(count):
    """Return the next multiple of 32."""
    return _divide_up(count, LANES) * LANES


PAIR = np.int64(2)
"""Neurons whose weighted sums of many inputs are computed together."""


@compiled
def weighted_sums(
    rows, first, stride, weights, start, inputs, count, neurons, no_tiny_inputs, s, z, j
):
    """z[j + n, r] = the sum over i of rows[first + r * stride + i] * weights[at + i].

    For n < neurons, one or a pair, and r < count. The weights of a neuron begin `pad(inputs)`
    after the last one's, and zeros follow them: what a row reads of the next, it multiplies by 0.
    """
    size = pad(inputs)
    if size > SEGMENT:
        for n in range(neurons):
            at = start + n * size
            _sum_segments(rows, first, stride, weights, at, size, count, no_tiny_inputs, s)
            sum_terms(s.products, _divide_up(size, SEGMENT), s, z[j + n])
        return
    for r in range(0, count, WIDTH):
        row, place = first + r * stride, j * LEAF + r
        if no_tiny_inputs:
            if neurons == PAIR:
                row_sums(2, 4, True, rows, row, stride, weights, start, size, z, place)
            elif inputs > 3 * WIDTH:
                row_sums(1, 4, True, rows, row, stride, weights, start, size, z, place)
            elif inputs > 2 * WIDTH:
                row_sums(1, 3, True, rows, row, stride, weights, start, size, z, place)
            elif inputs > WIDTH:
                row_sums(1, 2, True, rows, row, stride, weights, start, size, z, place)
            else:
                row_sums(1, 1, True, rows, row, stride, weights, start, size, z, place)
        elif neurons == PAIR:
            row_sums(2, 4, False, rows, row, stride, weights, start, size, z, place)
        elif inputs > WIDTH:
            row_sums(1, 4, False, rows, row, stride, weights, start, size, z, place)
        else:
            row_sums(1, 1, False, rows, row, stride, weights, start, size, z, place)


@compiled
def _sum_segments(rows, first, stride, weights, start, size, count, no_tiny_inputs, s):
    """Store one neuron's weighted sums of each segment."""
    for part in range(0, size, SEGMENT):
        weight, terms, place = start + part, min(SEGMENT, size - part), part // SEGMENT * LEAF
        for r in range(0, count, WIDTH):
            row, at = first + part + r * stride, place + r
            if no_tiny_inputs:
                row_sums(1, 4, True, rows, row, stride, weights, weight, terms, s.products, at)
            else:
                row_sums(1, 4, False, rows, row, stride, weights, weight, terms, s.products, at)


class Segments(NamedTuple):
    """Arrays in which long sums are added.

    products, sums : (segments, 64), a row's segments, and the sums of segments
    lanes : (32, 64)
    """

    products: np.ndarray
    sums: np.ndarray
    lanes: np.ndarray


@compiled
def copy(source, target):
    """Copy 64 numbers."""
    for r in range(LEAF):
        target[r] = source[r]


@compiled
def sum_terms(terms, count, s, sums):
    """sums[r] = the ordered sum of the first `count` terms[i, r]; see `elementary.ordered_sum`."""
    while count > SEGMENT:
        for start in range(0, count, SEGMENT):
            _sum_segment(terms, start, min(SEGMENT, count - start), s.lanes)
            copy(s.lanes[0], s.sums[start // SEGMENT])
        terms, count = s.sums, _divide_up(count, SEGMENT)
    _sum_segment(terms, _ZERO, count, s.lanes)
    copy(s.lanes[0], sums)


@compiled
def _sum_segment(terms, start, count, lanes):
    """Store the ordered sum of 1024 terms at most in the first of 32 lanes."""
    used = min(count, LANES)
    for i in range(used):
        copy(terms[start + i], lanes[i])
    for i in range(LANES, count):
        for r in range(LEAF):
            lanes[i % LANES, r] += terms[start + i, r]
    half = LANES // 2
    while half > 0:
        for lane in range(half, used):
            for r in range(LEAF):
                lanes[lane - half, r] += lanes[lane, r]
        used, half = min(used, half), half // 2


@compiled
def multiply_by_one(x, weight, z):
    """z[r] = x[r] * weight: the weighted sum of one input."""
    for r in range(LEAF):
        z[r] = flush(x[r] * weight, SMALLEST_PRODUCT)


FOUR = np.int64(4)
"""Neurons whose sums over the examples are computed together."""


@compiled
def sum_over_examples(
    rows, first, inputs, deltas, j, neurons, count, no_tiny_inputs, row, sums, first_sum, step
):
    """sums[at + i * step + n] = the sum over r of rows[first + r * inputs + i] * deltas[j + n, r].

    For n < neurons, one or four. Of the rows from `count` on deltas are 0.
    """
    place = j * LEAF
    for start in range(0, inputs, WIDTH):
        column = first + start
        if neurons == FOUR:
            if no_tiny_inputs:
                column_sums(4, True, rows, column, inputs, deltas, place, count, row)
            else:
                column_sums(4, False, rows, column, inputs, deltas, place, count, row)
        elif no_tiny_inputs:
            column_sums(1, True, rows, column, inputs, deltas, place, count, row)
        else:
            column_sums(1, False, rows, column, inputs, deltas, place, count, row)
        for n in range(neurons):
            for i in range(min(WIDTH, inputs - start)):
                sums[first_sum + (start + i) * step + n] = row[n * WIDTH + i]


@compiled
def sum_leaf(x, lanes):
    """Return the sum of the 64 numbers x, in the defined order."""
    half = LEAF // 2
    for lane in range(half):
        lanes[lane] = x[lane] + x[lane + half]
    while half > 1:
        half //= 2
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
    return lanes[0]


# --- exact sums: an accumulator is int64 (4, sums), level, high, middle, low -----------


class Units(NamedTuple):
    """Rows of `exact_sum.Grid` for each sum's level: limit (sums,), the others (3, sums)."""

    limit: np.ndarray
    unit: np.ndarray
    per_unit: np.ndarray


@allocating
def look_up_units(accumulator):
    """Return the units of the accumulator's levels."""
    count = accumulator.shape[1]
    units = Units(np.empty(count), np.empty((3, count)), np.empty((3, count)))
    renew_units(accumulator, units)
    return units


@compiled
def renew_units(accumulator, units):
    """Look the units up again, after the accumulator was changed."""
    for i in range(accumulator.shape[1]):
        _look_up(units, i, accumulator[0, i])


@compiled
def _look_up(units, i, level):
    units.limit[i] = _LIMIT[level] if level < BROKEN else np.inf
    for digit in range(3):
        units.unit[digit, i] = _UNITS[level, digit]
        units.per_unit[digit, i] = _UNITS[level, 3 + digit]


@compiled
def accumulate(sums, accumulator, units):
    """Add a leaf's sums, which are made 0 where they cannot be added."""
    for i in range(sums.shape[0]):
        if not abs(sums[i]) <= units.limit[i]:  # above, or NaN
            level = accumulator[0, i]
            while level < BROKEN and not abs(sums[i]) <= _LIMIT[level]:
                level += 1
            _raise(accumulator, i, level)
            _look_up(units, i, level)
            if level == BROKEN:
                sums[i] = 0.0
    for i in range(sums.shape[0]):
        high = round_half_even(sums[i] * units.per_unit[0, i])
        rest = sums[i] - high * units.unit[0, i]
        middle = round_half_even(rest * units.per_unit[1, i])
        low = round_half_even((rest - middle * units.unit[1, i]) * units.per_unit[2, i])
        accumulator[1, i] += np.int64(high)
        accumulator[2, i] += np.int64(middle)
        accumulator[3, i] += np.int64(low)


@compiled
def _raise(accumulator, i, level):
    """Keep the digits in the bins of a higher level."""
    for _ in range(min(level - accumulator[0, i], 3)):
        for digit in (3, 2):
            accumulator[digit, i] = accumulator[digit - 1, i]
        accumulator[1, i] = 0
    accumulator[0, i] = level


@compiled
def merge(into, other):
    """See `exact_sum.merge`: add the other to the first."""
    for i in range(into.shape[1]):
        level = max(into[0, i], other[0, i])
        _raise(into, i, level)
        up = level - other[0, i]
        for digit in range(1 + up, 4):
            into[digit, i] += other[digit - up, i]


@compiled
def total(accumulator, i):
    """Return the sum as a float: carried upward, then added from the small end."""
    level, high, middle, low = accumulator[:, i]
    if level == BROKEN:
        return np.nan
    carry = (low + HALF_DIGIT) >> BITS
    middle, low = middle + carry, low - (carry << BITS)
    carry = (middle + HALF_DIGIT) >> BITS
    high, middle = high + carry, middle - (carry << BITS)
    unit = _UNITS[level]
    return high * unit[0] + (middle * unit[1] + low * unit[2])
