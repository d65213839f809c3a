"""Layers, steps and whole trainings on Python's own floats: the third part of the port."""

import hashlib
import math
import struct

from scalar_functions import (
    cross_entropy,
    error_weighted_derivative,
    logarithmic_loss,
    sigmoid,
    sigmoid_gradient,
    softmax,
    softmax_loss,
    sqrt,
    squared_error,
)
from scalar_port import (
    LEAF,
    SMALLEST_FACTOR,
    SMALLEST_PRODUCT,
    TINY_INPUT,
    add_exactly,
    flush,
    permutation,
    product,
    sum_over_examples,
    weighted_sum,
)

# Layers


def column(matrix, j):
    return [row[j] for row in matrix]


def sums_and_outputs(x, weights, biases, rule):
    """The last layer's weighted sums, and the outputs of each layer after the inputs x."""
    values = [x]
    for layer, matrix in enumerate(weights):
        z = [weighted_sum(values[-1], column(matrix, j)) for j in range(len(matrix[0]))]
        if biases:
            z = [a + b for a, b in zip(z, biases[layer], strict=True)]
        values.append([sigmoid(a) for a in z])
    if rule == "softmax_cross_entropy":
        values[-1] = softmax(z)
    return z, values


def forward(x, weights, biases, *, rule="error_weighted_derivative"):
    return sums_and_outputs(x, weights, biases, rule)[1]


def back_propagate(delta, values, weights):
    deltas = [delta]
    for layer in range(len(weights) - 1, 0, -1):
        errors = [weighted_sum(deltas[0], row) for row in weights[layer]]
        pairs = zip(errors, values[layer], strict=True)
        deltas.insert(0, [flush(e * sigmoid_gradient(o), SMALLEST_FACTOR) for e, o in pairs])
    return deltas


# One step


def deltas_of(x, targets, weights, biases, rule, weight):
    """The outputs of each layer and the deltas of each layer, for one example."""
    values = forward(x, weights, biases, rule=rule)
    of_rule = error_weighted_derivative if rule == "error_weighted_derivative" else cross_entropy
    delta = [of_rule(o, t) for o, t in zip(values[-1], targets, strict=True)]
    if weight is not None:
        delta = [flush(d * weight, SMALLEST_FACTOR) for d in delta]
    return values, back_propagate(delta, values, weights)


def sums_of(weights, biases, inputs, targets, rule, sample_weight):
    """The sums over examples for each weight and each bias, of the same shapes."""
    counts = sample_weight or [None] * len(inputs)
    examples = [
        deltas_of(x, t, weights, biases, rule, c)
        for x, t, c in zip(inputs, targets, counts, strict=True)
    ]
    return [
        [[[sum_over_examples([v[layer][i] * d[layer][j] for v, d in examples])
           for j in range(len(w[0]))] for i in range(len(w))]
         for layer, w in enumerate(weights)],
        [[sum_over_examples([d[layer][j] for _, d in examples]) for j in range(len(b))]
         for layer, b in enumerate(biases)],
    ]  # fmt: skip


def step(
    weights, biases, inputs, targets, rate, *,
    rule="error_weighted_derivative", l2=0.0, sample_weight=None,
):  # fmt: skip
    """One iteration: [weights, biases] as nested lists."""
    of_weights, of_biases = sums_of(weights, biases, inputs, targets, rule, sample_weight)

    def move(old, gradient):
        return flush(old + gradient * rate, SMALLEST_FACTOR)

    def move_weight(old, gradient):
        return move(old, gradient - product(old, l2) if l2 else gradient)

    return [apply(move_weight, weights, of_weights), apply(move, biases, of_biases)]


def apply(function, numbers, others):
    """The function of each pair of numbers in two nested lists of one shape."""
    if not isinstance(numbers, list):
        return function(numbers, others)
    return [apply(function, *pair) for pair in zip(numbers, others, strict=True)]


# Standardization


def scaling(inputs, sample_weight=None):
    """[means, inverse scales], one of each for each column."""
    columns = (column(inputs, j) for j in range(len(inputs[0])))
    pairs = [scaling_of_column(x, sample_weight) for x in columns]
    return [[mean for mean, _ in pairs], [inverse for _, inverse in pairs]]


def scaling_of_column(x, sample_weight):
    low, high = min(x), max(x)
    if low == high:
        return low, 1.0
    count = len(x) if sample_weight is None else math.fsum(sample_weight)
    mean = sum_over_examples(weigh(x, sample_weight)) / count
    unit = 2.0 ** (math.frexp(high - low)[1] - 1)
    near_one = [flush(v - mean, SMALLEST_PRODUCT) * (1 / unit) for v in x]
    variance = sum_over_examples(weigh([v * v for v in near_one], sample_weight)) / count
    deviation = sqrt(variance) * unit
    is_constant = sample_weight is not None and deviation <= abs(mean) * 2.0**-50
    return mean, 1.0 if variance == 0 or is_constant else 1 / deviation


def weigh(terms, sample_weight):
    if sample_weight is None:
        return terms
    return [product(t, w) for t, w in zip(terms, sample_weight, strict=True)]


def standardize(x, mean, inverse_scale):
    centred = flush(x - mean, SMALLEST_PRODUCT)
    return flush(centred * inverse_scale, TINY_INPUT)


def standardize_rows(inputs, scale):
    return [[standardize(*three) for three in zip(row, *scale, strict=True)] for row in inputs]


# The automatic learning rate

CURVATURE = {
    "error_weighted_derivative": 0.0770293,
    "cross_entropy": 0.25,
    "softmax_cross_entropy": 0.5,
}


def automatic_rate(
    inputs, *, rule="error_weighted_derivative", bias=False, l2=0.0, sample_weight=None
):
    weight = sample_weight or [1.0] * len(inputs)
    terms = [[product(v, v) * w for v in row] for row, w in zip(inputs, weight, strict=True)]
    columns = [column(terms, j) for j in range(len(inputs[0]))] + ([weight] if bias else [])
    norm = add_exactly([sum_over_examples(terms) for terms in columns])
    return 1 / (CURVATURE[rule] * norm + l2)


# Batches


def batch(iteration, rows, *, batch_size=None, shuffle=None, seed=1):
    """The numbers of the rows that an iteration learns from."""
    size = min(batch_size or rows, rows)
    epoch, place = divmod(iteration, math.ceil(rows / size))
    order = list(range(rows))
    if shuffle == "rows":
        order = permutation(rows, [seed, epoch])
    elif shuffle == "leaves":
        leaves = permutation(rows // LEAF, [seed, epoch])
        order = [LEAF * leaf + i for leaf in leaves for i in range(LEAF)]
        order += range(rows // LEAF * LEAF, rows)
    return order[place * size : (place + 1) * size]


# The recorded loss


def mean_loss(
    weights, biases, inputs, targets, *,
    rule="error_weighted_derivative", l2=0.0, sample_weight=None,
):  # fmt: skip
    counts = sample_weight or [None] * len(inputs)
    losses = [
        losses_of(x, t, weights, biases, rule, c)
        for x, t, c in zip(inputs, targets, counts, strict=True)
    ]
    terms = [sum_over_examples(column(losses, j)) for j in range(len(targets[0]))]
    if l2:
        terms.append(
            l2 / 2 * add_exactly([w * w for layer in weights for row in layer for w in row])
        )
    return add_exactly(terms) / (add_exactly(sample_weight) if sample_weight else len(inputs))


def losses_of(x, targets, weights, biases, rule, weight):
    """The losses of one example, one for each output neuron."""
    z, values = sums_and_outputs(x, weights, biases, rule)
    if rule == "softmax_cross_entropy":
        losses = softmax_loss(z, targets)
    elif rule == "cross_entropy":
        losses = [logarithmic_loss(a, t) for a, t in zip(z, targets, strict=True)]
    else:
        losses = [squared_error(o, t) for o, t in zip(values[-1], targets, strict=True)]
    if weight is not None:
        losses = [flush(loss * weight, SMALLEST_FACTOR) for loss in losses]
    return losses


# Fingerprints


def to_bytes(numbers):
    return struct.pack(f"<{len(numbers)}d", *(number + 0.0 for number in numbers))


def flat(matrix):
    return [number for row in matrix for number in row]


def fingerprint(weights, biases=(), scale=None):
    named = [(f"weights.{i}", (len(w), len(w[0])), flat(w)) for i, w in enumerate(weights)]
    named += [(f"biases.{i}", (len(b),), b) for i, b in enumerate(biases)]
    if scale is not None:
        named += [(n, (len(x),), x) for n, x in zip(("mean", "inverse_scale"), scale, strict=True)]
    text = b"".join(f"{n} float64 {s}\n".encode() + to_bytes(x) for n, s, x in named)
    return hashlib.sha256(text).hexdigest()


def data_fingerprint(inputs, targets, sample_weight=None):
    tables = [inputs, targets]
    if sample_weight is not None:
        tables.append([[w] for w in sample_weight])
    digest = 0
    for i in range(0, len(inputs), LEAF):
        group = f"{i // LEAF}\n".encode() + b"".join(
            to_bytes(flat(t[i : i + LEAF])) for t in tables
        )
        digest += int.from_bytes(hashlib.sha256(group).digest(), "little")
    shapes = tuple((len(table), len(table[0])) for table in tables)
    return hashlib.sha256(f"{shapes} {digest % 2**256:064x}".encode()).hexdigest()
