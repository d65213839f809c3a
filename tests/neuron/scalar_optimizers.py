"""The optimizers and whole trainings on Python's own floats: the last part of the port."""

import math
from itertools import pairwise

from scalar_functions import sqrt
from scalar_port import (
    SMALLEST_FACTOR,
    SMALLEST_NORMAL,
    SMALLEST_PRODUCT,
    add_exactly,
    flush,
    product,
    random_start,
    weighted_sum,
)
from scalar_search import search
from scalar_training import (
    automatic_rate,
    batch,
    fingerprint,
    flat,
    mean_loss,
    scaling,
    standardize_rows,
    step,
    sums_of,
)

# The gradient of the mean loss


def scaled_start(sizes, seed):
    layers = random_start(sizes, seed)
    factors = [sqrt(6.0 / (len(matrix) + len(matrix[0]))) for matrix in layers]
    return [
        [[weight * factor for weight in row] for row in matrix]
        for matrix, factor in zip(layers, factors, strict=True)
    ]


def flatten(weights, biases):
    return [v for matrix in weights for v in flat(matrix)] + flat(biases)


def unflatten(numbers, sizes, bias):
    left = iter(numbers)
    pairs = list(pairwise(sizes))
    weights = [[[next(left) for _ in range(m)] for _ in range(n)] for n, m in pairs]
    return weights, [[next(left) for _ in range(m)] for _, m in pairs] if bias else []


def divide_by_count(x, count):
    return flush(x / count, SMALLEST_NORMAL)


def gradient_of(
    weights, biases, inputs, targets, *,
    rule="error_weighted_derivative", l2=0.0, sample_weight=None, count, share=1.0,
):  # fmt: skip
    """Flat. `share`: all rows / those of the batch; `count`: the sum of all sample weights."""
    sums = flatten(*sums_of(weights, biases, inputs, targets, rule, sample_weight))
    downhill = [product(s, divide_by_count(share, count)) for s in sums]
    if not l2:
        return [flush(-d, SMALLEST_FACTOR) for d in downhill]
    learned, of_weights = flatten(weights, biases), len(flatten(weights, []))
    penalty = divide_by_count(l2, count)
    factors = [penalty if p < of_weights else 0.0 for p in range(len(learned))]
    return [
        flush(product(value, factor) - d, SMALLEST_FACTOR)
        for value, factor, d in zip(learned, factors, downhill, strict=True)
    ]


def sum_of_weights(sample_weight, rows):
    return add_exactly(sample_weight) if sample_weight else float(rows)


def mean_gradient(weights, biases, inputs, targets, sample_weight=None, **settings):
    count = sum_of_weights(sample_weight, len(inputs))
    given = (weights, biases, inputs, targets)
    return gradient_of(*given, sample_weight=sample_weight, count=count, **settings)


# Adam

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8


def power(base, exponent):
    found = 1.0
    while exponent:
        if exponent % 2:
            found *= base
        base *= base
        exponent //= 2
    return found


def corrected_rate(learning_rate, number):
    return learning_rate * sqrt(1.0 - power(BETA2, number)) / (1.0 - power(BETA1, number))


def adam_step(parameters, means, squares, gradient, rate):
    """[parameters, means, squares], all flat."""
    together = zip(parameters, means, squares, gradient, strict=True)
    found = [adam_step_of_one(*numbers, rate) for numbers in together]
    return [list(numbers) for numbers in zip(*found, strict=True)]


def adam_step_of_one(parameter, mean, square, slope, rate):
    mean = flush(product(mean, BETA1) + product(slope, 1.0 - BETA1), SMALLEST_FACTOR)
    squared = product(slope, slope)
    square = flush(product(square, BETA2) + product(squared, 1.0 - BETA2), SMALLEST_PRODUCT)
    quotient = flush(mean / (sqrt(square) + EPSILON), SMALLEST_PRODUCT)
    return flush(parameter - product(quotient, rate), SMALLEST_FACTOR), mean, square


# L-BFGS

MEMORY = 10
PATIENCE = 30


def remember(memory, step, change):
    """The memory is a list of [step, change], oldest first."""
    products = [weighted_sum(x, change) for x in (step, change)]
    if not all(0.0 < x < math.inf for x in products):
        return memory
    return [*memory, [step, change]][-MEMORY:]


def direction(gradient, memory):
    if not memory:
        return [-slope for slope in gradient]
    steps, changes, k = [s for s, _ in memory], [y for _, y in memory], len(memory)
    r = [[weighted_sum(s, y) for y in changes] for s in steps]  # i > j is not used
    q = [[weighted_sum(x, y) for y in changes] for x in changes]
    gamma = r[-1][-1] / q[-1][-1]
    of_steps = [weighted_sum(s, gradient) for s in steps]
    of_changes = [weighted_sum(y, gradient) for y in changes]
    a, u = [0.0] * k, [0.0] * k
    for i in range(k - 1, -1, -1):
        later = [-r[i][j] * a[j] for j in range(i + 1, k)]
        a[i] = add_exactly([of_steps[i], *later]) / r[i][i]
    for i in range(k):
        squares = [gamma * (q[i][j] * a[j]) for j in range(k)]
        right = add_exactly([r[i][i] * a[i], -gamma * of_changes[i], *squares])
        u[i] = add_exactly([right, *(-r[j][i] * u[j] for j in range(i))]) / r[i][i]
    factors = [*u, *(-gamma * x for x in a)]

    def of_one(p):
        column = [row[p] for row in (*steps, *changes)]
        change = product(gradient[p], gamma) + weighted_sum(column, factors)
        return flush(-change, SMALLEST_FACTOR)

    return list(map(of_one, range(len(gradient))))


def first_step(gradient, memory):
    if memory:
        return 1.0
    return 1.0 / max(1.0, sqrt(weighted_sum(gradient, gradient)))


def subtract(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def next_point(look, point, memory):
    """(point, memory) after one iteration; None where no step lowers the loss."""
    parameters, loss, gradient = point
    along = direction(gradient, memory)
    slope = weighted_sum(along, gradient)
    new = None
    if -math.inf < slope < 0.0:

        def evaluate(length):
            moved = [
                flush(value + product(d, length), SMALLEST_FACTOR)
                for value, d in zip(parameters, along, strict=True)
            ]
            new = look(moved)
            return length, new[1], weighted_sum(new[2], along), new

        trial = search(evaluate, (0.0, loss, slope, None), first_step(gradient, memory))
        new = trial and trial[3]
    if new is None:
        return next_point(look, point, []) if memory else None
    step, change = subtract(new[0], parameters), subtract(new[2], gradient)
    return new, remember(memory, step, change)


def steepest(point):
    return max(map(abs, point[2]))


def lbfgs(look, parameters, iterations, gradient_tolerance):
    """[the last parameters, [why it ended, iterations, looks at the loss]]."""
    looks = 0

    def counted(flat_parameters):
        nonlocal looks
        looks += 1
        return flat_parameters, *look(flat_parameters)

    point, memory, done, idle = counted(parameters), [], 0, 0
    lowest, smallest = point[1], steepest(point)
    while True:
        if steepest(point) <= gradient_tolerance:
            return point[0], ["converged", done, looks]
        if idle == PATIENCE:
            return point[0], ["no lower loss", done, looks]
        if done == iterations:
            return point[0], ["limit", done, looks]
        found = next_point(counted, point, memory)
        if found is None:
            return point[0], ["no lower loss", done, looks]
        (point, memory), done = found, done + 1
        is_better = point[1] < lowest or steepest(point) < smallest
        idle = 0 if is_better else idle + 1
        lowest, smallest = min(lowest, point[1]), min(smallest, steepest(point))


# A whole training


def learn(
    inputs, targets, iterations, *, hidden=(), bias=False, seed=1, learning_rate=1.0,
    standardize=False, batch_size=None, shuffle=None, sample_weight=None,
    optimizer="gradient_descent", gradient_tolerance=1e-7, **settings,
):  # fmt: skip
    """[weights, biases, scale, mean loss at the end, the ending]; settings: rule and l2."""
    inputs, targets = ([[flush(v, SMALLEST_NORMAL) for v in x] for x in t]
                       for t in (inputs, targets))  # fmt: skip
    if sample_weight is not None:
        sample_weight = [flush(w, SMALLEST_NORMAL) for w in sample_weight]
    sizes = [len(inputs[0]), *hidden, len(targets[0])]
    scale = scaling(inputs) if standardize else None
    x = standardize_rows(inputs, scale) if scale else inputs
    start = random_start if optimizer == "gradient_descent" else scaled_start
    learned = start(sizes, seed), [[0.0] * size for size in sizes[1:]] if bias else []
    count, ending = sum_of_weights(sample_weight, len(x)), ["limit", iterations, 0]
    if learning_rate == "auto":
        learning_rate = automatic_rate(x, bias=bias, sample_weight=sample_weight, **settings)

    def look(parameters):
        given = (*unflatten(parameters, sizes, bias), x, targets)
        loss = mean_loss(*given, sample_weight=sample_weight, **settings)
        return loss, gradient_of(*given, sample_weight=sample_weight, count=count, **settings)

    if optimizer == "lbfgs":
        found, ending = lbfgs(look, flatten(*learned), iterations, gradient_tolerance)
        learned, iterations = unflatten(found, sizes, bias), 0
    means = squares = [0.0] * len(flatten(*learned))
    for iteration in range(iterations):
        rows = batch(iteration, len(x), batch_size=batch_size, shuffle=shuffle, seed=seed)
        some = [[table[row] for row in rows] for table in (x, targets)]
        weight = sample_weight and [sample_weight[row] for row in rows]
        if optimizer == "gradient_descent":
            learned = step(*learned, *some, learning_rate, sample_weight=weight, **settings)
            continue
        share = len(x) / len(rows)
        gradient = gradient_of(
            *learned, *some, sample_weight=weight, count=count, share=share, **settings
        )
        rate = corrected_rate(learning_rate, iteration + 1)
        flat_ = flatten(*learned)
        found, means, squares = adam_step(flat_, means, squares, gradient, rate)
        learned = unflatten(found, sizes, bias)
    loss = mean_loss(*learned, x, targets, sample_weight=sample_weight, **settings)
    return *learned, scale, loss, ending


def train(*data, **settings):
    """[fingerprint of what was learned, mean loss at the end]."""
    *learned, loss, _ = learn(*data, **settings)
    return [fingerprint(*learned), loss]


def ending(*data, **settings):
    return learn(*data, **settings)[-1]
