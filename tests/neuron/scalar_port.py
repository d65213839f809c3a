"""The contract on Python's own floats: the readable reference of neuron_xp/neuron/README.md.

One function, or a few, for each section of that page, in its order and with its names; the
sections from "The exponential" on are in scalar_functions.py, those from "Layers" on in
scalar_training.py, and the optimizers in scalar_optimizers.py. Nothing here is shared with the
package: one number at a time, tables and exact roundings from mpmath and fractions.
"""

import math
import random
from fractions import Fraction

# Numbers

CONTRACT_VERSION = 1
SMALLEST_NORMAL = 2.0**-1022
SMALLEST_PRODUCT = 2.0**-960
SMALLEST_FACTOR = 2.0**-900
TINY_INPUT = 2.0**-60


def flush(x, smallest):
    return 0.0 if abs(x) < smallest else x


# Random numbers


def seeded(seed):
    """MT19937 after init_genrand(seed), as Python's generator."""
    state = [seed]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) % 2**32)
    return generator_in(state)


def seeded_by_array(key):
    """MT19937 after init_by_array(key), as Python's generator."""
    state = list(seeded(19650218).getstate()[1][:624])
    i, j = 1, 0
    for _ in range(624):
        mixed = (state[i - 1] ^ (state[i - 1] >> 30)) * 1664525
        state[i] = ((state[i] ^ mixed) + key[j] + j) % 2**32
        i, j = i + 1, (j + 1) % len(key)
        if i == 624:
            state[0], i = state[623], 1
    for _ in range(623):
        mixed = (state[i - 1] ^ (state[i - 1] >> 30)) * 1566083941
        state[i] = ((state[i] ^ mixed) - i) % 2**32
        i += 1
        if i == 624:
            state[0], i = state[623], 1
    return generator_in([2**31, *state[1:]])


def generator_in(state):
    generator = random.Random()
    generator.setstate((3, (*state, 624), None))
    return generator


def random_start(sizes, seed):
    draw = seeded(seed).random  # (2^26 a + b) / 2^53, of 27 and 26 random bits
    return [
        [[2 * draw() - 1 for _ in range(sizes[layer + 1])] for _ in range(sizes[layer])]
        for layer in range(len(sizes) - 1)
    ]


def permutation(count, key):
    generator, order = seeded_by_array(key), list(range(count))
    for i in range(count - 1, 0, -1):
        j = i + 1
        while j > i:
            j = generator.getrandbits(32) & (2 ** i.bit_length() - 1)
        order[i], order[j] = order[j], order[i]
    return order


# The order of a sum

LANES = 32
SEGMENT = 1024


def ordered_sum(terms):
    if len(terms) > SEGMENT:
        cuts = range(0, len(terms), SEGMENT)
        return ordered_sum([ordered_sum(terms[i : i + SEGMENT]) for i in cuts])
    lanes = list(terms[:LANES]) + [0.0] * (LANES - len(terms))
    for i, term in enumerate(terms[LANES:]):
        lanes[i % LANES] += term
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[i] + lanes[i + half] for i in range(half)]
    return lanes[0]


def add_exactly(terms):
    """The exact sum, rounded once; infinite where it is too large."""
    odd = [term for term in terms if not math.isfinite(term)]
    if odd:
        return sum(odd)
    exact = sum(map(Fraction, terms), Fraction(0))
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


# Products


def product(a, b):
    return flush(a * b, SMALLEST_PRODUCT)


def weighted_sum(values, weights):
    return ordered_sum([product(x, w) for x, w in zip(values, weights, strict=True)])


# Sums over examples

LEAF = 64
BITS = 32
BOTTOM = -28
TOP = 31
BROKEN = TOP + 1


def level(g):
    """The smallest t with |g| <= 2^(32 t + 31); BROKEN for NaN and what is too large."""
    limits = ((t, 2.0 ** (BITS * t + BITS - 1)) for t in range(BOTTOM, TOP + 1))
    return next((t for t, limit in limits if abs(g) <= limit), BROKEN)


def accumulate(leaf_sums):
    """(T, high, middle, low): the digits in the bins T, T - 1, T - 2."""
    top, digits = max(map(level, leaf_sums)), [0, 0, 0]
    if top == BROKEN:
        return top, *digits
    for g in leaf_sums:
        rest = Fraction(g)
        for i in range(3):
            unit = Fraction(2) ** (BITS * (top - i))
            digit = round(rest / unit)  # half to even
            rest -= digit * unit
            digits[i] += digit
    return top, *digits


def move_up(accumulator, top):
    """The digits in the bins of a larger T: those that fall out below are dropped."""
    t, *digits = accumulator
    return ([0] * min(top - t, 3) + digits)[:3]


def merge(a, b):
    top = max(a[0], b[0])
    pairs = zip(move_up(a, top), move_up(b, top), strict=True)
    return top, *(x + y for x, y in pairs)


def total(accumulator):
    top, high, middle, low = accumulator
    if top == BROKEN:
        return float("nan")
    carry = (low + 2**31) // 2**32  # rounded down
    middle, low = middle + carry, low - carry * 2**32
    carry = (middle + 2**31) // 2**32
    high, middle = high + carry, middle - carry * 2**32
    first, second, third = (
        float(digit) * 2.0 ** (BITS * (top - i)) for i, digit in enumerate((high, middle, low))
    )
    return first + (second + third)


def sum_over_examples(terms):
    kept = [flush(term, SMALLEST_PRODUCT) for term in terms]
    leaves = [ordered_sum(kept[i : i + LEAF]) for i in range(0, len(kept), LEAF)]
    return total(accumulate(leaves))
