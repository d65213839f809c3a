"""The processor's kernels: the bits of the array operations, however they are run."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuron_xp
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.neuron.arithmetic import reproducible_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.step import Examples, Method, Scaling, loss, step
from neuron_xp.workflows.cases import CASES, published

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

from neuron_xp.backends.numba_kernels import arithmetic as numba_arithmetic
from neuron_xp.backends.numba_kernels import compiler as numba_compiler
from neuron_xp.backends.numba_kernels import functions as numba_functions
from neuron_xp.backends.numba_kernels import kernels as cpu
from neuron_xp.backends.numba_kernels import rules as numba_rules

NUMPY = open_backend("numpy")
SHORT = [case for case in CASES if case.iterations <= 200]


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    return request.param


@pytest.mark.parametrize("task", [1, 2**14, 2**40])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in SHORT])
def test_threads_and_tasks_change_nothing(case, threads, task):
    """From one leaf a task to all in one."""
    backend = replace(NUMPY, make_kernels=partial(cpu.NumbaKernels, task_size=task))
    assert name_engine(backend, "reproducible") == "kernels"
    assert case.train(backend=backend, threads=threads).fingerprint() == published()[case.name]


@st.composite
def problems(draw):
    """Examples, parameters, a rule and rates, over many shapes and magnitudes."""
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    features = draw(st.sampled_from([1, 2, 3, 7, 8, 9, 31, 32, 33, 64, 65, 1023, 1024, 1025, 2100]))
    rows = draw(st.sampled_from([1, 2, 31, 63, 64, 65, 127, 128, 129, 300]))
    hidden = draw(st.lists(st.sampled_from([1, 2, 5, 33]), max_size=2))
    sizes = [features, *hidden, draw(st.sampled_from([1, 2, 9]))]
    low = draw(st.sampled_from([0, -30, -500, -1000]))
    inputs = np.ldexp(
        2 * rng.random_sample((rows, features)) - 1, rng.randint(low, 9, (rows, features))
    )
    inputs[rng.random_sample(inputs.shape) < 0.2] = 0.0
    inputs[np.abs(inputs) < 2.0**-1022] = 0.0
    weights = tuple(
        np.ldexp(2 * rng.random_sample(shape) - 1, draw(st.integers(-40, 4)))
        for shape in pairwise(sizes)
    )
    biases = tuple(rng.random_sample(n) for n in sizes[1:]) if draw(st.booleans()) else ()
    examples = Examples(
        inputs,
        rng.randint(0, 2, (rows, sizes[-1])).astype("float64"),
        rng.randint(0, 4, (rows, 1)) * 0.3 if draw(st.booleans()) else None,
        Scaling(rng.random_sample(features), 1 + rng.random_sample(features))
        if draw(st.booleans())
        else None,
    )
    rule, l2 = draw(st.sampled_from(list(RULES))), draw(st.sampled_from([None, 0.5]))
    rate = 2.0 ** draw(st.integers(-20, 4))
    return examples, Parameters(weights, biases), rule, rate, l2


@settings(deadline=None, max_examples=150)
@given(problems(), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2**12, 2**40]), st.booleans())
def test_every_engine_gives_the_same_bytes(problem, threads, task, blocks):
    examples, parameters, rule, rate, l2 = problem
    no_tiny_inputs = examples.scaling is not None or bool(
        np.all((examples.inputs == 0) | (np.abs(examples.inputs) >= 2.0**-60))
    )
    functions = reproducible_arithmetic(NUMPY.xp, no_tiny_inputs=no_tiny_inputs)
    method = Method(functions, RULES[rule], 64 if blocks else 2**20)
    kernels = cpu.NumbaKernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads, task_size=task)
    with NUMPY.context():
        expected = parameters
        for _ in range(3):
            expected = step(expected, examples, rate, l2, method=method)
        found = kernels.run(3, parameters, examples, rate, l2)
        for a, b in zip(sum(expected, ()), sum(found, ()), strict=True):
            np.testing.assert_array_equal(a, b)  # NaN equals NaN
            assert np.isnan(a).any() or a.tobytes() == b.tobytes()
        # -0.0 may stand for 0.0 in a loss
        np.testing.assert_array_equal(
            kernels.loss(parameters, examples), loss(parameters, examples, method=method)
        )


def test_extreme_numbers_give_the_same_functions():
    """One function of one number after the other, on what is hardest for them."""
    x = np.concatenate(
        [
            [0.0, -0.0, -1e-320, -700.0, -700.1, -1e308, -np.inf, np.nan],
            -np.logspace(-300, 2.85, 5000),
        ]
    )
    functions = reproducible_arithmetic(NUMPY.xp)
    with NUMPY.context():
        e = functions.exp(x)
        assert [numba_functions.exp(v) for v in x] == e.tolist()
        assert [numba_functions.log1p(v) for v in e] == functions.log1p(e).tolist()
        sums = np.concatenate([1.0 + e, np.logspace(0, 4.8, 5000), np.arange(1.0, 300.0)])
        assert [numba_functions.log(v) for v in sums] == functions.log(sums).tolist()


def test_one_compilation_serves_every_order_in_memory():
    rng = np.random.RandomState(5)
    inputs, targets = rng.random_sample((300, 9)), rng.random_sample((300, 2))
    kernels = cpu.NumbaKernels("cross_entropy", no_tiny_inputs=True, threads=1)
    parameters = Parameters((rng.random_sample((9, 2)),))
    (expected,) = kernels.sums(parameters, Examples(inputs, targets))
    compiled = list(cpu.kernel.iterate.signatures)
    wide, bytes_ = np.zeros((600, 27)), np.zeros(300 * 9 * 8 + 1, dtype="uint8")
    wide[::2, 1::3] = inputs
    shifted = bytes_[1:].view("float64").reshape(300, 9)
    shifted[:] = inputs
    for view in (np.asfortranarray(inputs), wide[::2, 1::3], inputs[::-1, ::-1].copy()[::-1, ::-1],
                 shifted, np.asfortranarray(wide)[::2, 1::3]):  # fmt: skip
        (found,) = kernels.sums(parameters, Examples(view, np.asfortranarray(targets)))
        assert found.tobytes() == expected.tobytes()
    assert cpu.kernel.iterate.signatures == compiled


def test_memory_that_numpy_lends_is_read_as_it_lies():
    rng = np.random.RandomState(5)
    inputs, targets = rng.random_sample((300, 9)), rng.randint(0, 2, (300, 1))
    expected = neuron_xp.train(inputs, targets, iterations=3).fingerprint()
    wide = np.zeros((600, 27))
    wide[::2, 1::3] = inputs
    for view in (np.asfortranarray(inputs), wide[::2, 1::3], inputs[::-1][::-1]):
        assert neuron_xp.train(view, targets, iterations=3).fingerprint() == expected


def _train(seed):
    rng = np.random.RandomState(seed)
    inputs, targets = rng.random_sample((3000, 40)), rng.randint(0, 2, (3000, 1))
    return neuron_xp.train(inputs, targets, iterations=5, threads=2).fingerprint()


def test_kernels_may_be_called_from_several_threads():
    expected = [_train(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_train, range(8))) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:os.fork:RuntimeWarning")
def test_kernels_work_after_a_fork():
    expected = _train(1)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, _train(1).encode())
        os._exit(0)
    os.close(writable)
    watch = threading.Timer(60, os.kill, (child, 9))  # a hang would be a failure, not a wait
    watch.start()
    with os.fdopen(readable) as pipe:
        assert pipe.read() == expected
    os.waitpid(child, 0)
    watch.cancel()


def test_a_kernel_that_gives_other_bits_is_not_used(monkeypatch):
    class Wrong(cpu.NumbaKernels):
        def run(self, count, parameters, *rest):
            right = super().run(count, parameters, *rest)
            return Parameters(tuple(np.nextafter(w, 2) for w in right.weights), right.biases)

    broken = replace(NUMPY, make_kernels=Wrong)
    with pytest.warns(RuntimeWarning, match="kernels of numpy on cpu do not give the defined bits"):
        assert not has_right_kernels(broken)
    network = neuron_xp.train(backend=broken, iterations=100)
    assert network.fingerprint() == neuron_xp.train(iterations=100).fingerprint()


def test_what_is_kept_on_disk_belongs_to_all_sources():
    """Numba by itself would look only at the file in which a function stands."""
    signature = cpu.kernel.list_totals.signatures or [()]
    codegen = cpu.kernel.list_totals.targetctx.codegen()
    key = cpu.kernel.list_totals._cache._index_key(signature[0], codegen)
    assert key[-1] == numba_compiler._SOURCES


@pytest.mark.parametrize(
    ("threads", "error", "message"),
    [(0, ValueError, "whole number from 1 to 1024; got 0"), ("two", TypeError, "got 'two'")],
)
def test_threads_are_a_number(threads, error, message):
    with pytest.raises(error, match=message):
        neuron_xp.train(iterations=1, threads=threads)


def test_numba_is_imported_when_it_is_first_needed():
    code = "import sys, neuron_xp.cli.app; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# a, b, c: each half an ulp of the one before, so that a ties with b, and b with c; d tips both
TIES = {0: 2.0**-863, 1: 2.0**-916, 3: 2.0**-969, 7: 1.5 * 2.0**-1022}


@pytest.mark.parametrize(
    ("no_tiny_inputs", "expected"), [(False, 2.0**-864), (True, 2.0**-864 + 2.0**-916)]
)
def test_tiny_products_count_as_zero_unless_inputs_are_ordinary(no_tiny_inputs, expected):
    """What `no_tiny_inputs` gives for inputs that are tiny shows the difference."""
    numbers = np.zeros(3 * 64)
    numbers[list(TIES)] = list(TIES.values())
    row, halves = np.zeros(32), np.full((4, 64), 0.5)
    for neurons in (1, 4):
        sums = np.zeros(neurons)
        numba_arithmetic.sum_over_examples(
            numbers, 0, 1, halves, 0, neurons, 64, no_tiny_inputs, row, sums, 0, neurons
        )
        assert set(sums) == {expected}
    segments = numba_arithmetic.Segments(*np.zeros((2, 1, 64)), np.zeros((32, 64)))
    for neurons in (1, 2):
        z = np.zeros((neurons, 64))
        numba_arithmetic.weighted_sums(
            numbers, 0, 0, halves.ravel(), 0, 32, 64, neurons, no_tiny_inputs, segments, z, 0
        )
        assert set(z.ravel()) == {expected}


@pytest.mark.parametrize("count", [1, 8, 9, 63])
def test_examples_that_are_not_there_leave_no_output(count):
    """Of more than 1,024 inputs their weighted sums are what memory held, which may be NaN."""
    z, outputs, exponentials = np.zeros(64), np.ones(64), np.ones(64)
    z[count:] = np.nan
    numba_rules.find_sigmoids(z, count, outputs, exponentials)
    assert outputs.tolist() == [0.5] * count + [0.0] * (64 - count)


@pytest.mark.parametrize("rule", list(RULES))
def test_tiny_deltas_count_as_zero(rule):
    """An output of 1e-304 that is right leaves a delta of about that: no weight may see it."""
    targets = [[0.0, 1.0]] if rule == "softmax_cross_entropy" else [[0.0]]
    examples = Examples(np.asarray([[-1.0, 2.0**600]]), np.asarray(targets))
    start = np.zeros((2, len(targets[0])))
    start[0, 0] = 1000.0
    kernels = cpu.NumbaKernels(rule, no_tiny_inputs=True, threads=1)
    ((weights,), _) = kernels.run(1, Parameters((start,)), examples, 1.0, None)
    assert weights.tolist() == start.tolist()
    wrong, weight = 1.0 - examples.targets, np.asarray([[2.0**-901]])
    weighted = examples._replace(sample_weight=weight, targets=wrong)
    ((weights,), _) = kernels.run(1, Parameters((start,)), weighted, 1.0, None)
    assert weights.tolist() == start.tolist()
