"""The page that defines the arithmetic: its vectors are the package's bits and the port's.

A line of a page's block is `CONSTANT = value`, `name = expression` for what later lines of
the block use, or a vector, `function(arguments) = value`. Numbers are C99 hexadecimal floats.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scalar_port
import scalar_training

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe import choose_arithmetic
from neuron_xp.model.fingerprint import GROUP
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings
from neuron_xp.neuron import activations, exact_sum, layers, logarithm, reproducible
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.exact_sum import Accumulator
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.learning_rules import RULES
from neuron_xp.neuron.step import Examples, Method, Scaling
from neuron_xp.random_start import draw_start, make_generator
from neuron_xp.training.batches import take_batch
from neuron_xp.training.in_memory import InMemory
from neuron_xp.training.preparation import compute_mean_loss, find_safe_learning_rate

PAGE = Path(reproducible.__file__).with_name("README.md").read_text("utf-8")
HEX_FLOAT = re.compile(r"0x[0-9a-f]+(?:\.[0-9a-f]+)?p[+-]\d+")
SECTIONS = {  # and how many vectors each has
    "Numbers": 7,
    "Random numbers": 4,
    "The order of a sum": 7,
    "Products": 7,
    "Sums over examples": 17,
    "The exponential": 12,
    "The logarithm": 8,
    "The sigmoid": 13,
    "Learning rules": 13,
    "Layers": 4,
    "One step": 8,
    "Standardization": 7,
    "The automatic learning rate": 4,
    "Batches": 9,
    "The recorded loss": 4,
    "Fingerprints": 7,
    "Whole trainings": 8,
}

NUMPY = open_backend("numpy").without_kernels()
ARITHMETIC = choose_arithmetic(NUMPY, "reproducible", no_tiny_inputs=False)
GRID = exact_sum.grid(xp=np)
ARTICLE, OTHER = RULES["error_weighted_derivative"], RULES["cross_entropy"]

CONSTANTS = {
    "CONTRACT_VERSION": reproducible.CONTRACT_VERSION,
    "SMALLEST_NORMAL": reproducible.SMALLEST_NORMAL,
    "SMALLEST_PRODUCT": reproducible.SMALLEST_PRODUCT,
    "SMALLEST_FACTOR": reproducible.SMALLEST_FACTOR,
    "TINY_INPUT": reproducible.TINY_INPUT,
    "LANES": reproducible.LANES,
    "SEGMENT": reproducible.SEGMENT,
    "LEAF": exact_sum.LEAF,
    "BITS": exact_sum.BITS,
    "BOTTOM": exact_sum.BOTTOM,
    "TOP": exact_sum.TOP,
    "EXP_STEPS": reproducible.STEPS,
    "SMALLEST_EXPONENT": reproducible.SMALLEST_EXPONENT,
    "STEPS_PER_LN2": reproducible.STEPS_PER_LN2,
    "LN2_HIGH": reproducible.LN2_HIGH,
    "LN2_LOW": reproducible.LN2_LOW,
    "EXP_COEFFICIENTS": reproducible.COEFFICIENTS,
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
    return scalar_port.hashlib.sha256(pairs.astype("<f8").tobytes()).hexdigest()


def parameters(weights, biases=()):
    return Parameters(tuple(map(np.asarray, weights)), tuple(map(np.asarray, biases)))


def rows(x):
    return [np.asarray(row)[None, :] for row in x]


def back_propagate(delta, values, weights):
    found = layers.back_propagate(
        np.asarray([delta]), rows(values), parameters(weights), arithmetic=ARITHMETIC
    )
    return [delta[0].tolist() for delta in found]


def forward(x, weights, biases):
    values, _ = layers.forward(np.asarray([x]), parameters(weights, biases), arithmetic=ARITHMETIC)
    return [value[0].tolist() for value in values]


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
    return InMemory(data, Settings(**settings), NUMPY, "float64", threads=1)


def automatic_rate(inputs, sample_weight=None, *, bias=False, l2=0.0, rule="cross_entropy"):
    data = in_memory(inputs, [[0.0]] * len(inputs), sample_weight)
    return find_safe_learning_rate(data, rule=rule, bias=bias, l2=l2)


def scaling(inputs):
    targets = [0.0] * len(inputs)
    network = neuron_xp.train(inputs, targets, standardize=True, iterations=0, backend=NUMPY)
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
    "flush": on_numbers(lambda x, least: reproducible.flush(x, least, xp=np)),
    "random_start": lambda sizes, seed: [
        x.tolist() for x in draw_start(pairwise(sizes), seed=seed)
    ],
    "permutation": lambda count, key: make_generator(key).permutation(count).tolist(),
    "ordered_sum": lambda x: reproducible.ordered_sum(np.asarray([x]), xp=np).item(),
    "product": on_numbers(reproducible.products, xp=np, fence=True, no_tiny_inputs=False),
    "weighted_sum": lambda x, w: ARITHMETIC.weighted_sum(
        np.asarray([x]), np.asarray(w)[:, None]
    ).item(),
    "accumulate": lambda x: digits(exact_sum.accumulate(np.asarray(x), xp=np, grid=GRID)),
    "merge": lambda a, b: digits(exact_sum.merge(accumulator(a), accumulator(b), xp=np)),
    "total": lambda x: total(accumulator(x)),
    "sum_over_examples": lambda x: ARITHMETIC.total(
        ARITHMETIC.column_sums(np.asarray(x)[:, None])
    ).item(),
    "exp_table_digest": lambda: table_digest(reproducible.exp_tables(xp=np)),
    "exp": on_numbers(ARITHMETIC.exp),
    "log_table_digest": lambda: table_digest(logarithm.log_tables(xp=np)),
    "log1p": on_numbers(ARITHMETIC.log1p),
    "sigmoid": on_numbers(activations.sigmoid, arithmetic=ARITHMETIC),
    "sigmoid_gradient": on_numbers(activations.sigmoid_gradient, arithmetic=ARITHMETIC),
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
PORT = {
    name: getattr(scalar_port, name, None) or getattr(scalar_training, name) for name in PACKAGE
}


# The page


def read_page():
    """{title: the (left, right) lines of the section's block}."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        blocks = re.findall(r"^```text\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines() if line]
        found[title] = [tuple(line.split(" = ")) for line in lines]
    return found


def names():
    return {"nan": float("nan"), "infinity": float("inf"), "__builtins__": {"dict": dict}}


def evaluate(expression, known):
    """An expression of the page: what it says, as Python does, with hexadecimal floats."""
    return eval(HEX_FLOAT.sub(lambda x: repr(float.fromhex(x[0])), expression), known)


def bits(value):
    """The value with each float as its hexadecimal digits, -0 and NaN included."""
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return float(value).hex() if isinstance(value, float) else value


LINES = read_page()
PAGES_CONSTANTS = {
    left: evaluate(right, names())
    for lines in LINES.values()
    for left, right in lines
    if left.isupper()
}
VECTORS = {title: [left for left, _ in lines if "(" in left] for title, lines in LINES.items()}


def test_sections_are_these_and_each_has_its_vectors():
    assert {title: len(vectors) for title, vectors in VECTORS.items()} == SECTIONS
    assert all(len(set(vectors)) == len(vectors) > 0 for vectors in VECTORS.values())


def test_every_function_has_a_vector():
    called = {left.partition("(")[0] for vectors in VECTORS.values() for left in vectors}
    assert called == set(PACKAGE)


def test_constants_are_those_of_the_code():
    assert bits(PAGES_CONSTANTS) == bits(CONSTANTS)
    assert PAGES_CONSTANTS["LEAF"] == GROUP


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_those_of_the_port(name):
    port = getattr(scalar_port, name, None) or getattr(scalar_training, name)
    assert bits(port) == bits(PAGES_CONSTANTS[name])


@pytest.mark.parametrize("functions", [PACKAGE, PORT], ids=["package", "port"])
@pytest.mark.parametrize("title", SECTIONS)
def test_vectors_are_the_bits(title, functions):
    known = {**names(), **PAGES_CONSTANTS, **functions}
    for left, right in LINES[title]:
        value = evaluate(right, known)
        if "(" in left:
            with np.errstate(all="ignore"):
                assert bits(evaluate(left, known)) == bits(value), left
        elif not left.isupper():
            known[left] = value
