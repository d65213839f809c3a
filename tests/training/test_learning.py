"""Rates, scaling, batches, stopping and watching."""

import itertools
import math

import numpy as np
import pytest
from trainings import train_with_pace

import neuron_xp
from neuron_xp.article import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.model.settings import check_settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.training.data.batches import draw_epoch
from neuron_xp.training.loops.loop import Pace, State
from neuron_xp.training.report import Reporter


def problem(rows=200, features=4, seed=0):
    generator = np.random.RandomState(seed)
    inputs = generator.random_sample((rows, features)) * 4 - 2
    noise = generator.random_sample(rows) - 0.5
    return inputs, (inputs @ np.arange(1.0, features + 1) + 4 * noise > 1).astype("float64")


def losses(network):
    return [loss for _, loss in network.history]


# --- learning_rate="auto" --------------------------------------------------------------


@pytest.mark.parametrize("rule", ["error_weighted_derivative", "cross_entropy"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("l2", [0.0, 2.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_with_the_safe_rate_the_loss_never_rises(rule, bias, l2, scale):
    inputs, targets = problem()
    network = neuron_xp.train(
        inputs * scale, targets, rule=rule, bias=bias, l2=l2,
        learning_rate="auto", iterations=200, loss_every=1,
    )  # fmt: skip
    found = losses(network)
    assert len(found) == 201
    # but for the rounding of the loss itself
    assert all(b <= a * (1 + 1e-14) for a, b in itertools.pairwise(found))
    if scale <= 1:  # else the neuron starts saturated, and the article's rule learns nothing
        assert found[-1] < found[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_safe_rate_is_1_over_the_bound(weighted):
    inputs, targets = problem()
    weight = np.random.RandomState(1).random_sample(200) + 0.5 if weighted else np.ones(200)
    norm = math.fsum((weight[:, None] * (inputs**2)).ravel()) + math.fsum(weight)
    settings = {"rule": "cross_entropy", "bias": True, "l2": 0.5, "iterations": 30}
    if weighted:
        settings["sample_weight"] = weight.tolist()
    auto = neuron_xp.train(inputs, targets, learning_rate="auto", **settings)
    by_hand = neuron_xp.train(inputs, targets, learning_rate=1 / (norm / 4 + 0.5), **settings)
    np.testing.assert_allclose(auto.weights[0], by_hand.weights[0], rtol=1e-13)


@pytest.mark.parametrize("inputs", [[[0.0], [0.0]], [[1e-200], [1e-200]], [[1e200], [1e200]]])
def test_no_safe_rate_for_inputs_without_an_ordinary_size(inputs):
    with pytest.raises(ValueError, match=r"the sum of the squared inputs to be .*; scale the inp"):
        neuron_xp.train(inputs, [0, 1], learning_rate="auto")


# --- standardize -----------------------------------------------------------------------


@pytest.mark.slow_on("jax")
def test_scaling_is_mean_and_deviation(library):
    inputs, targets = problem(rows=1000)
    inputs = inputs * [1e-3, 1, 1e3, 1e9] + [0, 7, -1e5, 1e10]
    network = neuron_xp.train(
        inputs, targets, backend=library, standardize=True, bias=True, iterations=3
    )
    with library.context():
        mean, inverse = map(library.to_host, network.scaling)
    np.testing.assert_allclose(mean, inputs.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(1 / inverse, inputs.std(axis=0), rtol=1e-9)
    expected = neuron_xp.train(inputs, targets, standardize=True, bias=True, iterations=3)
    assert network.fingerprint() == expected.fingerprint()
    assert library.to_host(network.think(inputs)).tobytes() == expected.think(inputs).tobytes()


def test_standardized_inputs_train_as_if_they_were_given():
    inputs, targets = problem()
    inputs = inputs * [1, 10, 100, 1000]
    network = neuron_xp.train(inputs, targets, standardize=True, iterations=50, learning_rate=0.01)
    mean, inverse = network.scaling
    given = (inputs - mean) * inverse
    by_hand = neuron_xp.train(given, targets, iterations=50, learning_rate=0.01)
    assert by_hand.weights[0].tobytes() == network.weights[0].tobytes()
    assert by_hand.think(given).tobytes() == network.think(inputs).tobytes()


@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, -1e300, 2.0**-1000])
def test_a_constant_column_is_centred_and_left(value):
    inputs, targets = problem()
    inputs[:, 2] = value
    network = neuron_xp.train(inputs, targets, standardize=True, iterations=20)
    mean, inverse = network.scaling
    assert (mean[2], inverse[2]) == (value, 1.0)
    start = neuron_xp.train(inputs, targets, standardize=True, iterations=0)
    assert network.weights[0][2] == start.weights[0][2]


@pytest.mark.parametrize("power", [-800, -490, 490, 1000])
def test_columns_of_any_size_are_standardized(power):
    inputs, targets = problem()
    usual = neuron_xp.train(inputs, targets, standardize=True, iterations=5)
    scaled = neuron_xp.train(np.ldexp(inputs, power), targets, standardize=True, iterations=5)
    assert scaled.weights[0].tobytes() == usual.weights[0].tobytes()


def test_what_is_too_large_to_be_standardized_is_refused():
    with pytest.raises(ValueError, match="too large or too small to be standardized; scale them"):
        neuron_xp.train([[1.7e308], [1.7e308], [-1.0]], [0, 1, 1], standardize=True)


# --- batches ---------------------------------------------------------------------------


def test_epoch_orders_are_what_the_generator_draws():
    rows = draw_epoch("rows", 5, 2, 150)
    assert rows.tolist() == np.random.RandomState([5, 2]).permutation(150).tolist()
    groups = np.random.RandomState([5, 2]).permutation(3)
    leaves = [64 * g + i for g in groups for i in range(64)] + list(range(192, 200))
    assert draw_epoch("leaves", 5, 2, 200).tolist() == leaves


@pytest.mark.parametrize("shuffle", [None, "rows", "leaves"])
def test_one_batch_of_everything_is_the_whole_set_in_some_order(shuffle):
    inputs, targets = problem(rows=256)
    settings = {"iterations": 10, "learning_rate": 0.01}
    whole = neuron_xp.train(inputs, targets, **settings)
    batched = neuron_xp.train(inputs, targets, batch_size=256, shuffle=shuffle, **settings)
    larger = neuron_xp.train(inputs, targets, batch_size=6400, shuffle=shuffle, **settings)
    assert larger.fingerprint() == batched.fingerprint()
    # sums over whole groups of 64 do not depend on their order; over other groups they do
    assert (batched.fingerprint() == whole.fingerprint()) == (shuffle != "rows")
    np.testing.assert_allclose(batched.weights[0], whole.weights[0], rtol=1e-12)


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("shuffle", [None, "rows", "leaves"])
def test_batches_are_the_same_on_every_library(library, shuffle):
    inputs, targets = problem(rows=333)
    settings = {"hidden": (3,), "batch_size": 128, "shuffle": shuffle, "iterations": 8}
    expected = neuron_xp.train(inputs, targets, **settings).fingerprint()
    assert neuron_xp.train(inputs, targets, backend=library, **settings).fingerprint() == expected


# --- watching and stopping -------------------------------------------------------------


def test_history_records_the_start_every_so_often_and_the_end():
    network = neuron_xp.train(iterations=25, loss_every=10)
    assert [iteration for iteration, _ in network.history] == [0, 10, 20, 25]
    assert [i for i, _ in neuron_xp.train(iterations=250).history] == [0, 100, 200, 250]
    assert [i for i, _ in neuron_xp.train(iterations=0).history] == [0]


@pytest.mark.parametrize("rule", ["error_weighted_derivative", "cross_entropy"])
def test_losses_are_the_same_bits_on_every_library(backend, rule):
    inputs, targets = problem(rows=100)
    settings = {"rule": rule, "l2": 0.1, "hidden": (3,), "iterations": 6, "loss_every": 2}
    settings["sample_weight"] = np.linspace(0, 2, 100).tolist()
    expected = neuron_xp.train(inputs, targets, **settings)
    network = neuron_xp.train(inputs, targets, backend=backend, **settings)
    assert network.history == expected.history
    assert network.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("first", [1, 7, 10_000])
def test_the_iteration_that_stops_depends_on_no_stretch(library, first):
    settings = {"tolerance": 0.1, "loss_every": 5, "iterations": 150, "rule": "cross_entropy"}
    expected = neuron_xp.train(**settings)
    network = train_with_pace(
        Pace(first=first), ARTICLE_INPUTS, ARTICLE_TARGETS, backend=library, **settings
    )
    assert network.history == expected.history
    assert network.fingerprint() == expected.fingerprint()
    assert 10 < network.history[-1][0] < 150


def test_it_stops_at_the_first_record_that_fell_too_little():
    network = neuron_xp.train(tolerance=0.05, loss_every=10)
    found = losses(network)
    falls = [(a - b) / a for a, b in itertools.pairwise(found)]
    assert falls[-1] <= 0.05
    assert all(fall > 0.05 for fall in falls[:-1])
    last = network.history[-1][0]
    assert network.fingerprint() == neuron_xp.train(iterations=last).fingerprint()


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
def test_progress_is_told_after_so_many_iterations(optimizer):
    seen = []
    network = neuron_xp.train(
        iterations=1000, optimizer=optimizer, on_progress=seen.append, progress_every=150
    )
    assert [p.iteration for p in seen] == [*range(150, 1001, 150), 1000]
    assert [p.iterations for p in seen] == [1000] * 7
    assert [p.ending for p in seen] == [None] * 6 + ["limit"]
    assert (seen[-1].iteration, seen[-1].loss) == network.history[-1]
    assert seen[-1].weights[0].tobytes() == network.weights[0].tobytes()
    assert len({p.weights[0].tobytes() for p in seen}) == 7  # each as it was then
    assert repr(seen[0]) == f"iteration 150 of 1000: loss {network.history[1][1]:.6g}"


def test_progress_is_told_about_once_a_second():
    """A short training has one call, at its end; the calls change no bit."""
    for settings in ({}, {"optimizer": "lbfgs", "l2": 1.0}):
        seen, expected = [], neuron_xp.train(**settings)
        network = neuron_xp.train(on_progress=seen.append, **settings)
        assert network.fingerprint() == expected.fingerprint()
        assert len(seen) <= 2  # a second on a machine that has much to do
        assert seen[-1].ending == network.ending.reason
        assert seen[-1].biases == network.biases == ()


def test_a_reporter_waits_for_its_second():
    seen = []
    state = State(1, Parameters((), ()), ((0, 1.0),))
    for seconds, expected in ((0.0, 3), (3600.0, 0)):
        reporter = Reporter(seen.append, check_settings(), seconds=seconds)
        for _ in range(3):
            reporter.report(state)
        assert len(seen) == expected
        seen.clear()


def test_how_often_progress_is_told_needs_somebody_to_tell():
    with pytest.raises(TypeError, match="progress_every is for on_progress: give it, too"):
        neuron_xp.train(progress_every=5)
    with pytest.raises(ValueError, match="progress_every must be a whole number from 1; got 0"):
        neuron_xp.train(on_progress=print, progress_every=0)


def test_an_exception_in_the_callback_comes_through():
    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neuron_xp.train(on_progress=stop)


@pytest.mark.slow_on("jax")
def test_biases_are_there_when_asked_for(library):
    inputs, targets = problem(rows=40)
    none = neuron_xp.train(inputs, targets, backend=library, iterations=2)
    network = neuron_xp.train(inputs, targets, backend=library, iterations=2, bias=True,
                              hidden=(3,))  # fmt: skip
    assert none.biases == ()
    assert [tuple(b.shape) for b in network.biases] == [(3,), (1,)]
    start = neuron_xp.train(inputs, targets, iterations=0, bias=True)
    assert start.biases[0].tolist() == [0.0]
    same = neuron_xp.train(inputs, targets, iterations=0)
    assert start.weights[0].tolist() == same.weights[0].tolist()
    assert start.fingerprint() != same.fingerprint()


def test_native_arithmetic_learns_all_of_it_too(library):
    inputs, targets = problem()
    settings = {
        "hidden": (3,), "bias": True, "rule": "cross_entropy", "l2": 0.01, "standardize": True,
        "learning_rate": 0.01, "iterations": 30, "batch_size": 64, "shuffle": "rows",
    }  # fmt: skip
    exact = neuron_xp.train(inputs, targets, **settings)
    network = neuron_xp.train(inputs, targets, backend=library, arithmetic="native", **settings)
    with library.context():
        found = library.to_host(network.weights[0])
    np.testing.assert_allclose(found, exact.weights[0], rtol=1e-9)
    assert losses(network) == pytest.approx(losses(exact), rel=1e-9)
