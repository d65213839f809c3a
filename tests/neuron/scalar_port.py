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


def column(matrix, j):
    return [row[j] for row in matrix]


def weighted(x, weights, j):
    """The weighted sum of neuron j."""
    return ordered_sum([product(a, w) for a, w in zip(x, column(weights, j), strict=True)])


def forward(x, weights, biases):
    """x, then the outputs of each layer."""
    values = [x]
    for layer, matrix in enumerate(weights):
        sums = [weighted(values[-1], matrix, j) for j in range(len(matrix[0]))]
        if biases:
            sums = [z + b for z, b in zip(sums, biases[layer], strict=True)]
        values.append([sigmoid(z) for z in sums])
    return values


def deltas_of(values, y, weights, rule, weight):
    """The delta of each layer's neurons for one example."""
    pairs = list(zip(y, values[-1], strict=True))
    if rule == "cross_entropy":
        delta = [flush(t - o) for t, o in pairs]
    else:
        delta = [flush((t - o) * (o * (1.0 - o))) for t, o in pairs]
    if weight is not None:
        delta = [flush(d * weight) for d in delta]
    deltas = [delta]
    for layer in range(len(weights) - 1, 0, -1):
        errors = [
            ordered_sum([product(d, w) for d, w in zip(deltas[0], row, strict=True)])
            for row in weights[layer]
        ]
        gradients = [o * (1.0 - o) for o in values[layer]]
        deltas.insert(0, [flush(e * g) for e, g in zip(errors, gradients, strict=True)])
    return deltas


def over_examples(terms):
    return exact_total([ordered_sum(terms[a : a + 64]) for a in range(0, len(terms), 64)])


def step(
    weights, biases, inputs, targets, learning_rate, *,
    rule="error_weighted_derivative", l2=0.0, sample_weight=None,
):  # fmt: skip
    """One iteration: nested lists of floats in; (weights, biases) out."""
    counts = sample_weight or [None] * len(inputs)
    values = [forward(x, weights, biases) for x in inputs]
    deltas = [
        deltas_of(v, y, weights, rule, c) for v, y, c in zip(values, targets, counts, strict=True)
    ]
    rows = range(len(inputs))

    def new_weight(layer, i, j):
        old = weights[layer][i][j]
        terms = [product(values[r][layer][i], deltas[r][layer][j]) for r in rows]
        total = over_examples(terms)
        if l2:
            total = total - product(old, l2)
        return flush(old + total * learning_rate)

    def new_bias(layer, j):
        terms = [deltas[r][layer][j] for r in rows]
        return flush(biases[layer][j] + over_examples(terms) * learning_rate)

    return (
        [[[new_weight(layer, i, j) for j in range(len(w[0]))] for i in range(len(w))]
         for layer, w in enumerate(weights)],
        [[new_bias(layer, j) for j in range(len(b))] for layer, b in enumerate(biases)],
    )  # fmt: skip
