"""The reproducible arithmetic, compiled by Numba for the processor: the bits of `neuron/`.

Inner loops run over the 64 examples of a leaf, or over the inputs of a layer, so that the
compiler can use vector instructions. Every sum keeps the order that `neuron/` defines;
missing examples and lanes are zeros, which change no sum. Numba fuses no multiplication
with an addition unless it is told to.
"""

from typing import NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.compiler import compiled, inlined
from neuron_xp.backends.numba_kernels.functions import flush, round_half_even
from neuron_xp.backends.numba_kernels.llvm.vectors import (
    WIDTH,
    bits_of,
    column_sums,
    power_of_two,
    row_sums,
)
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT, SMALLEST_PRODUCT
from neuron_xp.neuron.reproducible.exact_sum import BITS, BOTTOM, BROKEN, HALF_DIGIT, LEAF

_ZERO, _ONE = (
    np.int64(0),
    np.int64(1),
)  # typed: Numba compiles a function anew for each constant that it is given
_BIAS = 1023
"""What the bits of a float64 add to its exponent."""
_FRACTION = 2**52 - 1
"""Those of its bits that are below the exponent."""


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
    """Store one neuron's weighted sums of each segment, of all segments of eight rows first."""
    for r in range(0, count, WIDTH):
        for part in range(0, size, SEGMENT):
            weight, terms, place = start + part, min(SEGMENT, size - part), part // SEGMENT * LEAF
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
    for back in range(0, inputs, WIDTH):
        start = (inputs - 1) // WIDTH * WIDTH - back
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


@inlined
def _find_level(x):
    """Return the lowest level whose limit, 2^(32 t + 31), |x| does not exceed; BROKEN for NaN.

    It is told by e, where 2^e is the first power of two that |x| does not exceed.
    """
    bits = bits_of(abs(x))
    e = (bits >> 52) + ((bits & _FRACTION) != 0) - _BIAS  # adding to all bits might overflow
    return (max(e, BITS * BOTTOM) - BITS * BOTTOM) // BITS


@inlined
def _find_exponent(level, digit):
    """Return which power of two is a level's unit of the first, second or third digit."""
    return BITS * (min(level, BROKEN - 1) + (BOTTOM - digit))


@compiled
def accumulate(sums, accumulator):
    """Add a leaf's sums, which are made 0 where they cannot be added."""
    too_large = 0
    for i in range(sums.shape[0]):
        too_large += _find_level(sums[i]) > accumulator[0, i]
    if too_large > 0:
        for i in range(sums.shape[0]):
            level = max(_find_level(sums[i]), accumulator[0, i])
            _raise(accumulator, i, level)
            sums[i] = sums[i] if level < BROKEN else 0.0
    for i in range(sums.shape[0]):
        level = accumulator[0, i]
        first = _find_exponent(level, 0)
        second, third = _find_exponent(level, 1), _find_exponent(level, 2)
        high = round_half_even(sums[i] * power_of_two(-first))
        rest = sums[i] - high * power_of_two(first)
        middle = round_half_even(rest * power_of_two(-second))
        low = round_half_even((rest - middle * power_of_two(second)) * power_of_two(-third))
        accumulator[1, i] += np.int64(high)
        accumulator[2, i] += np.int64(middle)
        accumulator[3, i] += np.int64(low)


@inlined
def _raise(accumulator, i, level):
    """Keep the digits in the bins of a level that is no lower."""
    up = level - accumulator[0, i]
    high, middle, low = accumulator[1, i], accumulator[2, i], accumulator[3, i]
    accumulator[0, i] = level
    accumulator[1, i] = high if up == 0 else 0
    accumulator[2, i] = middle if up == 0 else high if up == 1 else 0
    accumulator[3, i] = low if up == 0 else middle if up == 1 else high if up == 2 else 0


@compiled
def merge(into, other):
    """See `exact_sum.merge`: add the other to the first, and change its level to theirs."""
    for i in range(into.shape[1]):
        level = max(into[0, i], other[0, i])
        _raise(into, i, level)
        _raise(other, i, level)
        for digit in range(1, 4):
            into[digit, i] += other[digit, i]


@compiled
def find_totals(accumulator, totals):
    """Store each sum as a float: carried upward, then added from the small end."""
    for i in range(totals.shape[0]):
        level, high = accumulator[0, i], accumulator[1, i]
        middle, low = accumulator[2, i], accumulator[3, i]
        carry = (low + HALF_DIGIT) >> BITS
        middle, low = middle + carry, low - (carry << BITS)
        carry = (middle + HALF_DIGIT) >> BITS
        high, middle = high + carry, middle - (carry << BITS)
        first = high * power_of_two(_find_exponent(level, 0))
        second = middle * power_of_two(_find_exponent(level, 1))
        third = low * power_of_two(_find_exponent(level, 2))
        totals[i] = first + (second + third) if level < BROKEN else np.nan
