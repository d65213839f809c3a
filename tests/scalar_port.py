"""The contract once more, on Python's own floats: an oracle that shares no code with it.

One neuron, one number at a time, as a reader of the definition would write it. Tables and
roundings come from mpmath and fractions.
"""

from fractions import Fraction

import mpmath

SMALLEST_FACTOR = 2.0**-900
SMALLEST_PRODUCT = 2.0**-960


def product(a, b):
    p = a * b
    return 0.0 if abs(p) < SMALLEST_PRODUCT else p


def flush(x):
    return 0.0 if abs(x) < SMALLEST_FACTOR else x


def ordered_sum(terms):
    """32 lanes, each in order; then 16 + 16, 8 + 8, ...; segments of 1024."""
    if len(terms) > 1024:
        return ordered_sum([ordered_sum(terms[i : i + 1024]) for i in range(0, len(terms), 1024)])
    lanes = list(terms[:32]) + [0.0] * (32 - len(terms))
    for i, term in enumerate(terms[32:]):
        lanes[i % 32] += term
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[i] + lanes[i + half] for i in range(half)]
    return lanes[0]


def exp(x):
    """e^x for x <= 0, by 2^m 2^(j/256) e^r."""
    x = max(x, -700.0)
    k = round(x * 369.32993046757463)
    m, j = divmod(k, 256)
    with mpmath.workprec(300):
        root = mpmath.mpf(2) ** (mpmath.mpf(j) / 256)
        high = float(root)
        low = float(root - high)
        step = mpmath.log(2) / 256
        step_high = float(mpmath.floor(step * 2**41)) * 2.0**-41
        step_low = float(step - step_high)
    r = (x - k * step_high) - k * step_low
    series = ((r * (1 / 120) + 1 / 24) * r + 1 / 6) * r + 0.5
    return (high + (low + high * ((r * r) * series + r))) * 2.0**m


def sigmoid(x):
    e = exp(-abs(x))
    d = 1.0 / (1.0 + e)
    return d if x >= 0 else e * d


def exact_total(leaf_sums):
    """The leaf sums on the grid of multiples of 2^(32 b), as one float."""
    if any(not abs(g) <= 2.0**1023 for g in leaf_sums):
        return float("nan")

    def level(g):
        return next(t for t in range(-28, 32) if abs(g) <= 2.0 ** (32 * t + 31))

    top = max(map(level, leaf_sums))
    bins = dict.fromkeys(range(-30, 32), 0)
    for g in leaf_sums:
        rest = Fraction(g)
        for b in (level(g), level(g) - 1, level(g) - 2):
            unit = Fraction(2) ** (32 * b)
            digit = round(rest / unit)  # half to even
            rest -= digit * unit
            bins[b] += digit
    high, middle, low = (bins[top - i] for i in range(3))
    middle, low = middle + (low + 2**31) // 2**32, (low + 2**31) % 2**32 - 2**31
    high, middle = high + (middle + 2**31) // 2**32, (middle + 2**31) % 2**32 - 2**31
    parts = [float(d) * 2.0 ** (32 * (top - i)) for i, d in enumerate((high, middle, low))]
    return parts[0] + (parts[1] + parts[2])


def step(weights, inputs, targets, learning_rate):
    """One iteration for one neuron: lists of floats in, a list out."""
    outputs = [sigmoid(ordered_sum([product(x, w) for x, w in zip(row, weights, strict=True)]))
               for row in inputs]  # fmt: skip
    deltas = [flush((y - o) * (o * (1.0 - o))) for y, o in zip(targets, outputs, strict=True)]
    adjusted = []
    for i, weight in enumerate(weights):
        terms = [product(row[i], delta) for row, delta in zip(inputs, deltas, strict=True)]
        leaves = [ordered_sum(terms[a : a + 64]) for a in range(0, len(terms), 64)]
        adjusted.append(flush(weight + exact_total(leaves) * learning_rate))
    return adjusted
