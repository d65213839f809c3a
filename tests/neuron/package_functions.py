"""The package's functions and constants under the names of the specification.

Each takes and gives plain numbers and lists, as those of scalar_port.py do.
"""

import hashlib
from itertools import pairwise

import numpy as np

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings
from neuron_xp.neuron import activations, layers
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.extremes import find_extremes
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible import elementary, exact_sum, logarithm, square_root
from neuron_xp.neuron.reproducible.exact_sum import Accumulator
from neuron_xp.neuron.step import Examples, Method, Scaling
from neuron_xp.random_start import draw_start, make_generator
from neuron_xp.training.data.batches import take_batch
from neuron_xp.training.data.in_memory import InMemory
from neuron_xp.training.preparation import compute_mean_loss, find_safe_learning_rate

NUMPY = open_backend("numpy").without_kernels()
ARITHMETIC = choose_arithmetic(NUMPY, "reproducible", no_tiny_inputs=False)
GRID = exact_sum.grid(xp=np)
ARTICLE, OTHER = RULES["error_weighted_derivative"], RULES["cross_entropy"]

CONSTANTS = {
    "CONTRACT_VERSION": elementary.CONTRACT_VERSION,
    "SMALLEST_NORMAL": elementary.SMALLEST_NORMAL,
    "SMALLEST_PRODUCT": elementary.SMALLEST_PRODUCT,
    "SMALLEST_FACTOR": elementary.SMALLEST_FACTOR,
    "TINY_INPUT": elementary.TINY_INPUT,
    "LANES": elementary.LANES,
    "SEGMENT": elementary.SEGMENT,
    "LEAF": exact_sum.LEAF,
    "BITS": exact_sum.BITS,
    "BOTTOM": exact_sum.BOTTOM,
    "TOP": exact_sum.TOP,
    "EXP_STEPS": elementary.STEPS,
    "SMALLEST_EXPONENT": elementary.SMALLEST_EXPONENT,
    "STEPS_PER_LN2": elementary.STEPS_PER_LN2,
    "LN2_HIGH": elementary.LN2_HIGH,
    "LN2_LOW": elementary.LN2_LOW,
    "EXP_COEFFICIENTS": elementary.COEFFICIENTS,
    "LOG_STEPS": logarithm.STEPS,
    "LOG_COEFFICIENTS": logarithm.COEFFICIENTS,
    "CURVATURE": {name: rule.curvature for name, rule in RULES.items()},
}


# The package, one number or one list at a time


def on_numbers(function, **options):
    return lambda *x: function(*(np.asarray([[v]]) for v in x), **options).item()


def accumulator(digits):
    level, *rest = map(np.asarray, digits)
    return Accumulator(level - exact_sum.BOTTOM, *rest)


def digits(sum_):
    level, *rest = (x.item() for x in sum_)
    return level + exact_sum.BOTTOM, *rest


def total(sum_):
    return float(np.asarray(exact_sum.total(sum_, xp=np, grid=GRID)).item())


def table_digest(tables):
    pairs = np.stack([tables.high, tables.low], axis=1)
    return hashlib.sha256(pairs.astype("<f8").tobytes()).hexdigest()


def parameters(weights, biases=()):
    return Parameters(tuple(map(np.asarray, weights)), tuple(map(np.asarray, biases)))


def rows(x):
    return [np.asarray(row)[None, :] for row in x]


def back_propagate(delta, values, weights):
    found = layers.back_propagate(
        np.asarray([delta]), rows(values), parameters(weights), arithmetic=ARITHMETIC
    )
    return [delta[0].tolist() for delta in found]


def forward(x, weights, biases, *, rule=ARTICLE.delta.__name__):
    values, _ = layers.forward(
        np.asarray([x]), parameters(weights, biases),
        activation=RULES[rule].activation, arithmetic=ARITHMETIC,
    )  # fmt: skip
    return [value[0].tolist() for value in values]


def sqrt(x):
    """Not NumPy's own, which is right, too."""
    tables = square_root.root_tables(xp=np)
    return square_root.sqrt(np.asarray([x]), xp=np, tables=tables, fence=True).item()


def softmax_loss(z, targets):
    loss = RULES["softmax_cross_entropy"].loss
    return loss(*map(np.asarray, ([z], [z], [targets])), arithmetic=ARITHMETIC)[0].tolist()


def examples(inputs, targets, sample_weight=None):
    weight = None if sample_weight is None else np.asarray(sample_weight)[:, None]
    return Examples(np.asarray(inputs), np.asarray(targets), weight)


def step(
    weights, biases, inputs, targets, rate, *, rule=ARTICLE.delta.__name__, l2=None, **sample_weight
):
    method = Method(ARITHMETIC, RULES[rule], block_rows=64)
    data = examples(inputs, targets, **sample_weight)
    found = steps.step(parameters(weights, biases), data, rate, l2, method=method)
    return [[x.tolist() for x in part] for part in found]


def in_memory(inputs, targets, sample_weight=None, **settings):
    data = examples(inputs, targets, sample_weight)
    extremes = find_extremes(data.inputs, xp=np)
    return InMemory(data, Settings(**settings), NUMPY, "float64", threads=1, extremes=extremes)


def automatic_rate(inputs, sample_weight=None, *, bias=False, l2=0.0, rule="cross_entropy"):
    data = in_memory(inputs, [[0.0]] * len(inputs), sample_weight)
    return find_safe_learning_rate(data, rule=rule, bias=bias, l2=l2)


def scaling(inputs, sample_weight=None):
    targets = [0.0] * len(inputs)
    standardize = True if sample_weight is None else "weighted"
    network = neuron_xp.train(
        inputs, targets, standardize=standardize, sample_weight=sample_weight, iterations=0,
        backend=NUMPY,
    )  # fmt: skip
    return [x.tolist() for x in network.scaling]


def rows_of_batch(iteration, count, **settings):
    column = np.arange(count)[:, None]
    found = take_batch(Examples(column, column), iteration, Settings(**settings), NUMPY)
    return found.inputs[:, 0].tolist()


def loss_of(weights, biases, inputs, targets, *, sample_weight=None, l2=0.0, **rule):
    data = in_memory(inputs, targets, sample_weight, **rule)
    return compute_mean_loss(data, parameters(weights, biases), l2)


def fingerprint(weights, biases=(), scale=None):
    learned = parameters(weights, biases)
    scale = scale and Scaling(*map(np.asarray, scale))
    return NeuralNetwork(learned.weights, NUMPY, biases=learned.biases, scaling=scale).fingerprint()


def train(inputs, targets, iterations, **settings):
    network = neuron_xp.train(inputs, targets, iterations=iterations, **settings)
    return [network.fingerprint(), network.history[-1][1]]


PACKAGE = {
    "flush": on_numbers(lambda x, least: elementary.flush(x, least, xp=np)),
    "random_start": lambda sizes, seed: [
        x.tolist() for x in draw_start(pairwise(sizes), seed=seed)
    ],
    "permutation": lambda count, key: make_generator(key).permutation(count).tolist(),
    "ordered_sum": lambda x: elementary.ordered_sum(np.asarray([x]), xp=np).item(),
    "add_exactly": exact_sum.add_exactly,
    "product": on_numbers(elementary.products, xp=np, fence=True, no_tiny_inputs=False),
    "weighted_sum": lambda x, w: ARITHMETIC.weighted_sum(
        np.asarray([x]), np.asarray(w)[:, None]
    ).item(),
    "accumulate": lambda x: digits(exact_sum.accumulate(np.asarray(x), xp=np, grid=GRID)),
    "merge": lambda a, b: digits(exact_sum.merge(accumulator(a), accumulator(b), xp=np)),
    "total": lambda x: total(accumulator(x)),
    "sum_over_examples": lambda x: ARITHMETIC.total(
        ARITHMETIC.column_sums(np.asarray(x)[:, None])
    ).item(),
    "exp_table_digest": lambda: table_digest(elementary.exp_tables(xp=np)),
    "exp": on_numbers(ARITHMETIC.exp),
    "log_table_digest": lambda: table_digest(logarithm.log_tables(xp=np)),
    "log1p": on_numbers(ARITHMETIC.log1p),
    "log": on_numbers(ARITHMETIC.log),
    "sqrt": sqrt,
    "sigmoid": on_numbers(activations.sigmoid, arithmetic=ARITHMETIC),
    "sigmoid_gradient": on_numbers(activations.sigmoid_gradient, arithmetic=ARITHMETIC),
    "softmax": lambda z: activations.softmax(np.asarray([z]), arithmetic=ARITHMETIC)[0].tolist(),
    "softmax_loss": softmax_loss,
    "error_weighted_derivative": on_numbers(ARTICLE.delta, arithmetic=ARITHMETIC),
    "squared_error": lambda output, target: on_numbers(ARTICLE.loss, arithmetic=ARITHMETIC)(
        0.0, output, target
    ),
    "cross_entropy": on_numbers(OTHER.delta, arithmetic=ARITHMETIC),
    "logarithmic_loss": lambda z, target: on_numbers(OTHER.loss, arithmetic=ARITHMETIC)(
        z, 0.0, target
    ),
    "forward": forward,
    "back_propagate": back_propagate,
    "step": step,
    "scaling": scaling,
    "standardize": lambda x, *scale: steps.standardize(
        np.asarray([[x]]), Scaling(*np.asarray(scale)), arithmetic=ARITHMETIC
    ).item(),
    "automatic_rate": automatic_rate,
    "batch": rows_of_batch,
    "mean_loss": loss_of,
    "fingerprint": fingerprint,
    "data_fingerprint": lambda *data: in_memory(*data).fingerprint(),
    "train": train,
}
