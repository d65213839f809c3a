"""What the processor's kernels sum, by each rule: the bytes of the array operations."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from neuron_xp.backends.engine import choose_engine, choose_summand
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible import exact_sum
from neuron_xp.neuron.step import (
    Examples,
    Scaling,
    block_losses,
    block_losses_and_sums,
    block_sums,
)

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

from neuron_xp.backends.numba_kernels import arithmetic as numba_arithmetic
from neuron_xp.backends.numba_kernels import compiler as numba_compiler
from neuron_xp.backends.numba_kernels import kernels as cpu

NUMPY = open_backend("numpy")
SUMMANDS = (block_losses, block_sums, block_losses_and_sums)


def make_problem(sizes, rows, *, bias, weighted, scaled, scale=0.1, seed=1):
    """Return examples and parameters: targets are classes, or numbers if there is one neuron."""
    rng = np.random.RandomState(seed)
    classes = sizes[-1]
    targets = rng.random_sample((rows, 1))
    if classes > 1:
        targets = np.eye(classes)[rng.randint(0, classes, rows)]
    inputs = rng.standard_normal((rows, sizes[0]))
    examples = Examples(
        inputs,
        targets,
        rng.randint(0, 3, (rows, 1)) * 0.7 if weighted else None,
        make_scaling(inputs, rng) if scaled else None,
    )
    weights = tuple(scale * rng.standard_normal(shape) for shape in pairwise(sizes))
    biases = tuple(rng.standard_normal(n) for n in sizes[1:]) if bias else ()
    return examples, Parameters(weights, biases)


def make_scaling(inputs, rng):
    """Return a scaling, and make two columns small: of some numbers 0 is to be left."""
    mean, inverse_scale = rng.standard_normal(inputs.shape[1]), 1 + rng.random_sample(len(inputs.T))
    for column, smallest, inverse in ((-1, 2.0**-960, 2.0**940), (0, 2.0**-60, 1.0)):
        inputs[:, column] *= smallest
        mean[column], inverse_scale[column] = 0.0, inverse
    return Scaling(mean, inverse_scale)


def choose(rule, *, no_tiny_inputs, threads=1):
    """Return the engine of kernels, whose threads share even little work, and that of arrays."""
    backend = replace(NUMPY, make_kernels=partial(cpu.NumbaKernels, task_size=2**10))
    chosen = [
        choose_engine(
            backend, "reproducible", rule, no_tiny_inputs=no_tiny_inputs, block=64, threads=threads
        )
        for backend, threads in ((backend, threads), (NUMPY.without_kernels(), 1))
    ]
    assert isinstance(chosen[0].run.args[0].__self__, cpu.NumbaKernels)
    return chosen


def fill_nan(x):
    """NaN has many bit patterns, and the contract names none."""
    return np.where(np.isnan(x), np.nan, x)


def check_bytes(found, expected):
    """Compare arrays, in number, shape and bytes."""
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert fill_nan(a).tobytes() == fill_nan(b).tobytes()


def check_problem(examples, parameters, rule, threads=1):
    """Compare all that an engine does; return losses and sums."""
    kernels, arrays = choose(rule, no_tiny_inputs=False, threads=threads)
    with NUMPY.context():
        expected = arrays.losses_and_sums(parameters, examples)
        check_bytes(kernels.losses_and_sums(parameters, examples), expected)
        check_bytes(kernels.sums(parameters, examples), expected[1:])
        check_bytes([kernels.loss(parameters, examples)], expected[:1])
        moved = [e.run(3, parameters, examples, 0.01, 0.5) for e in (kernels, arrays)]
        check_bytes(*(sum(x, ()) for x in moved))
    return expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("hidden", [[], [5]])
@pytest.mark.parametrize("rule", list(RULES))
def test_losses_and_sums_are_those_of_the_arrays(rule, hidden, bias, weighted, scaled, threads):
    for classes in (1, 3):
        examples, parameters = make_problem(
            [9, *hidden, classes], 333, bias=bias, weighted=weighted, scaled=scaled
        )
        losses, *_ = check_problem(examples, parameters, rule, threads)
        assert classes == 1 or (losses > 0).all()


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize(
    "sizes", [(40, 33), (3, 31), (2, 1000), (2, 1024), (2, 1060), (1100, 2), (1, 1030, 2)]
)
def test_many_classes_and_features_are_summed_in_the_defined_order(rule, sizes):
    examples, parameters = make_problem(sizes, 70, bias=True, weighted=True, scaled=True)
    check_problem(examples, parameters, rule)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("hidden", [[], [5], [4, 33]])
@pytest.mark.parametrize("scale", [1e2, 1e307, np.inf])
def test_numbers_that_overflow_make_the_same_nan(rule, hidden, scale):
    """An example that is missing must not add a NaN to those that are there."""
    examples, parameters = make_problem(
        [5, *hidden, 3], 100, bias=False, weighted=False, scaled=False, scale=scale
    )
    examples = examples._replace(inputs=np.abs(examples.inputs) + 3.0)
    with np.errstate(all="ignore"):
        check_problem(examples, parameters, rule)
        positive = Parameters(tuple(map(np.abs, parameters.weights)))
        check_problem(examples, positive, rule)


@pytest.mark.parametrize("position", range(3))
def test_one_nan_makes_all_classes_of_its_row_nan(position):
    """Whichever class it is in: the largest of some numbers and NaN is NaN."""
    examples, parameters = make_problem([4, 3], 64, bias=True, weighted=False, scaled=False)
    parameters.biases[0][position] = np.nan
    losses, weights, biases = check_problem(examples, parameters, "softmax_cross_entropy")
    assert np.isnan(losses).all()
    assert np.isnan(weights).all()
    assert np.isnan(biases).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("function", SUMMANDS, ids=lambda function: function.__name__)
def test_parts_are_summed_to_what_can_be_merged(function, rule, threads):
    examples, parameters = make_problem([7, 4, 3], 333, bias=True, weighted=True, scaled=True)
    few_a_task = replace(NUMPY, make_kernels=partial(cpu.NumbaKernels, task_size=2**10))
    backends = (few_a_task, NUMPY.without_kernels())
    kernels, arrays = (
        choose_summand(
            backend, "reproducible", rule, function, no_tiny_inputs=True, block=64, threads=threads
        )
        for backend in backends
    )
    with NUMPY.context():
        found, expected = kernels(examples, parameters), arrays(examples, parameters)
    assert isinstance(kernels.args[0].func.__self__, cpu.NumbaKernels)
    for accumulator, other in zip(found, expected, strict=True):
        check_bytes(accumulator, other)


class WrongLoss(cpu.NumbaKernels):
    """Kernels whose losses are an ulp off, by one rule of three."""

    def losses_and_sums(self, parameters, examples):
        losses, *sums = super().losses_and_sums(parameters, examples)
        wrong = np.nextafter(losses, np.inf) if self.rule == "softmax_cross_entropy" else losses
        return wrong, *sums


def test_kernels_that_give_other_losses_are_not_used():
    broken = replace(NUMPY, make_kernels=WrongLoss)
    with pytest.warns(RuntimeWarning, match="kernels of numpy on cpu do not give the defined bits"):
        assert not has_right_kernels(broken)


@numba_compiler.allocating
def find_levels(x, levels):
    for i in range(len(x)):
        levels[i] = numba_arithmetic._find_level(x[i])


def test_levels_are_those_of_the_definition():
    """Found by the bits, and by a search in the limits: at each power of two and beside it."""
    powers = 2.0 ** np.arange(-1074, 1024)
    rng = np.random.RandomState(3)
    spread = np.ldexp(1 + rng.random_sample(20_000), rng.randint(-1074, 1024, 20_000))
    beside = [np.nextafter(powers, end) for end in (0, np.inf)]
    nan = np.asarray([0x7FF0000000000001, 0x7FF8000000000000, 2**63 - 1], "uint64").view("float64")
    x = np.concatenate([[0.0, np.inf], powers, *beside, spread, nan])
    limits = exact_sum.grid(xp=np).limit
    defined = np.where(x <= exact_sum.LARGEST, np.searchsorted(limits, x), exact_sum.BROKEN)
    for sign in (1.0, -1.0):
        levels = np.zeros(len(x), dtype="int64")
        find_levels(np.copysign(x, sign), levels)
        assert levels.tolist() == defined.tolist()
