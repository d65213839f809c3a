"""A training that has learned little says so in one line, with what to try; others are silent."""

import warnings
from contextlib import nullcontext
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from parts_data import saved
from sklearn.datasets import load_breast_cancer, load_wine

import neuron_xp
from neuron_xp import LearningWarning
from neuron_xp.backends.libraries import open_backend

pytestmark = pytest.mark.filterwarnings("always::neuron_xp.errors.LearningWarning")
XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
LEARNS = {"optimizer": "lbfgs", "standardize": True, "bias": True, "l2": 1.0}


def breast_cancer():
    return load_breast_cancer(return_X_y=True)


def wine():
    inputs, numbers = load_wine(return_X_y=True)
    return inputs, np.eye(3)[numbers]


@pytest.mark.parametrize("table", [breast_cancer, wine])
@pytest.mark.parametrize("rate", [1.0, 1e300])
def test_defaults_on_raw_columns_say_that_they_saturate(table, rate):
    cure = r"no more than .* 100% of its outputs are saturated.*; give standardize=True and optim"
    with pytest.warns(LearningWarning, match=cure) as told:
        neuron_xp.train(*table(), learning_rate=rate)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("table", [breast_cancer, wine])
def test_what_learns_is_silent(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs, targets = table()
        network = neuron_xp.train(inputs, targets, **LEARNS)
        neuron_xp.train()
        neuron_xp.train(inputs, targets, iterations=0)
        neuron_xp.train(*XOR, hidden=(4,), optimizer="lbfgs", bias=True, l2=0.001)
    assert network.ending.reason == "converged"


def test_a_limit_before_convergence():
    with pytest.warns(
        LearningWarning,
        match=r"all of its iterations=5 and has not converged to gradient_tolerance=1e-07; "
        r"give iterations=50 or standardize=True or l2=1.0",
    ):
        neuron_xp.train(*breast_cancer(), optimizer="lbfgs", iterations=5)
    with pytest.warns(LearningWarning, match=r"not converged to tolerance=1e-09; give iterations"):
        neuron_xp.train(*breast_cancer(), standardize=True, tolerance=1e-9, learning_rate="auto")


def test_a_loss_that_settles_at_the_last_iteration_is_no_limit():
    inputs, targets = breast_cancer()
    settings = {"standardize": True, "bias": True, "learning_rate": "auto", "loss_every": 10}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = neuron_xp.train(inputs, targets, tolerance=0.9, iterations=10, **settings)
    assert network.ending == ("settled", 10, 0)


def test_a_problem_that_one_layer_cannot_learn():
    with pytest.warns(LearningWarning, match=r"50.0% of the examples .*; give hidden=\(16,\), o"):
        neuron_xp.train(*XOR, **LEARNS)


def test_a_loss_that_hardly_moves():
    inputs, targets = np.random.RandomState(0).random_sample((2, 100, 1))
    with pytest.warns(LearningWarning, match=r"the loss hardly moved, from 0\.\d+ to 0\.\d+; give"):
        neuron_xp.train(inputs, targets, learning_rate=1e-9, iterations=10)
    with pytest.warns(LearningWarning, match="learned little: 100% of its outputs are saturated"):
        neuron_xp.train(inputs * 1e6, targets, learning_rate=1.0)


def test_steps_that_are_too_few_or_impossible():
    inputs, targets = breast_cancer()
    scaled = {"standardize": True, "bias": True}
    with pytest.warns(LearningWarning, match=r"no more than .*; give optimizer='lbfgs'$"):
        neuron_xp.train(inputs, targets, optimizer="adam", iterations=1, seed=4, **scaled)
    with pytest.warns(LearningWarning, match=r" 0.0% of the examples.*; give standardize=True$"):
        neuron_xp.train([[1e300], [-1e300]], [1, 0], optimizer="lbfgs")


def test_sample_weights_decide_which_class_is_the_largest():
    """Nine of ten examples are of one class, which counts little."""
    inputs, targets = np.zeros((100, 1)), (np.arange(100) < 90).astype(float)
    inputs[:, 0] = targets
    inputs[85:95, 0] = 0.5
    weight = np.where(targets == 1, 0.01, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        neuron_xp.train(inputs, targets, sample_weight=weight, **{**LEARNS, "l2": 0.0})


def test_sample_weights_may_be_any():
    """Answers that are all of the largest class are no more than it, in the last digit, too."""
    inputs, targets = np.zeros((100, 1)), (np.arange(100) % 3 == 0).astype(float)
    generator = np.random.RandomState(0)
    for _ in range(20):
        weight = generator.random_sample(100)
        with pytest.warns(LearningWarning, match="no more than by always naming the largest"):
            neuron_xp.train(inputs, targets, sample_weight=weight, **LEARNS)


def test_examples_without_weight_are_not_judged():
    """All of those that are looked at are so here."""
    inputs, targets = np.linspace(0, 1, 40_000)[:, None], np.arange(40_000) % 2
    weight = np.where(np.arange(40_000) == 70, 1.0, 0.0)
    backend = replace(open_backend("numpy", None), context=nullcontext)  # as most: they warn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        neuron_xp.train(inputs, targets, sample_weight=weight, bias=True, backend=backend)


@pytest.mark.parametrize("where", ["files", "chunks"])
def test_data_in_parts_are_judged_alike(where, tmp_path, small_blocks):
    inputs, targets = breast_cancer()
    if where == "files":
        data = saved(tmp_path, inputs=inputs, targets=targets).values()
    else:
        data = da.from_array(inputs, chunks=(100, 30)), da.from_array(targets, chunks=100)
    with pytest.warns(LearningWarning) as told:
        neuron_xp.train(inputs, targets, iterations=100)
    with pytest.warns(LearningWarning) as of_parts:
        neuron_xp.train(*data, iterations=100)
    assert str(of_parts[0].message) == str(told[0].message)


@pytest.mark.parametrize("arithmetic", ["reproducible", "native"])
def test_probabilities_in_float32_are_classes(arithmetic):
    """Their sums are 1 but for the rounding to float32."""
    targets = np.random.RandomState(0).random_sample((50, 7))
    targets = (targets / targets.sum(axis=1, keepdims=True)).astype("float32")
    assert abs(targets.astype("float64").sum(axis=1) - 1).max() > 2.0**-26
    network = neuron_xp.train(
        targets, targets, rule="softmax_cross_entropy", optimizer="lbfgs", arithmetic=arithmetic
    )
    assert network.history[-1][1] < network.history[0][1]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            [[0.5, 0.4], [1, 0]],
            r"rows sum to 1.* a row is off by 0.1; divide each by its sum",
        ),
        ([0, 1], r"a column of targets for each of 2 to 1000 classes; got 1; for one column of 0"),
    ],
)
def test_targets_that_are_no_classes_are_refused(targets, message, tmp_path):
    inputs, settings = [[0.0], [1.0]], {"rule": "softmax_cross_entropy"}
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(inputs, targets, **settings)
    files = saved(tmp_path, inputs=np.asarray(inputs), targets=np.asarray(targets, "float64"))
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(*files.values(), **settings)
