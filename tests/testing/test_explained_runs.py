"""Runs that are explained: the same as those of `train`, and what else may be said of them."""

import dataclasses

import numpy as np
import pytest
from planted_faults import RATE, exp_one_ulp_off, facts_of, learn, plant

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.settings import check_settings
from neuron_xp.random_start import draw_start
from neuron_xp.testing.explaining.comparing import are_same
from neuron_xp.testing.explaining.explain import explain, explain_function
from neuron_xp.testing.explaining.recording import Recorder
from neuron_xp.testing.explaining.runs import open_runs
from neuron_xp.testing.explaining.trying import ways
from neuron_xp.training.data.training_set import Given


@pytest.mark.parametrize("arithmetic", ["reproducible", "native"])
@pytest.mark.parametrize(
    "settings",
    [
        {"standardize": True, "learning_rate": "auto", "bias": True},
        {"hidden": (4,), "l2": 0.25, "rule": "cross_entropy"},
        {"batch_size": 64, "shuffle": "leaves", "bias": True, "hidden": (3, 2)},
        {"standardize": "weighted"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_is_explained_is_what_train_does(settings, arithmetic):
    inputs, targets, weight = draw_start([(150, 5), (150, 2), (150, 1)], seed=3)
    weight = abs(weight[:, 0]) if settings.get("standardize") == "weighted" else None
    settings = {"learning_rate": RATE, "iterations": 4, "arithmetic": arithmetic} | settings
    given = Given(inputs=inputs, targets=abs(targets), sample_weight=weight)
    backend = open_backend("numpy")
    run, _, _ = open_runs((backend, backend), given, check_settings(**settings))
    state = None
    for stage in range(run.stages):
        state = run.do(stage, state, Recorder(backend) if stage % 2 else None)
    network = neuron_xp.train(inputs, abs(targets), sample_weight=weight, **settings)
    assert are_same(state[0], network.parameters)
    assert are_same(state[1], network.scaling)


def test_float32_is_explained_too():
    inputs, targets = draw_start([(70, 5), (70, 1)], seed=3)
    numpy = open_backend("numpy")
    found = explain(
        numpy, plant(numpy, exp=exp_one_ulp_off), inputs.astype("float32"), abs(targets),
        arithmetic="native", learning_rate=0.1,
    )  # fmt: skip
    assert facts_of(found) == ("exp", "exp", ways.OWN)
    assert found.parting.ulp == 1
    assert found.parting.values[0] == np.float32(found.parting.values[0])


def test_data_that_arrive_changed_are_seen():
    numpy = open_backend("numpy")
    changed = dataclasses.replace(numpy, put=lambda x: x.astype("float32").astype("float64"))
    assert facts_of(learn(numpy, changed, arithmetic="reproducible")) == (
        "from_host", "from_host", ways.SINGLE,
    )  # fmt: skip


def test_a_library_that_gives_other_bits_each_time_is_told():
    numpy, random = open_backend("numpy"), np.random.RandomState(1)
    noisy = plant(numpy, exp=lambda operation, x: np.exp(x) * (1 + 1e-9 * random.random_sample()))
    found = learn(numpy, noisy)
    assert facts_of(found) == ("exp", "exp", "no two times the same")
    assert found.parting.cause.words == ("the second numpy gives other bits each time",)


def test_another_type_is_told():
    def ones(xp, x):
        return x + xp.ones(x.shape)

    pytest.importorskip("torch")
    found = explain_function(ones, "numpy", "torch", np.ones((2, 3)))
    assert facts_of(found) == ("ones", "ones", "another type or shape")
    assert found.parting.hexadecimal == ("float64, (2, 3)", "float32, (2, 3)")


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        ((), {"optimiser": "adam"}, r"unknown keyword 'optimiser' of explain\(\); did you mean"),
        ((), {"optimizer": "adam"}, "'adam' does not go with explain, which follows gradient"),
        (([[1.0]],), {}, "targets are missing; give inputs and targets, or neither"),
        (([[1.0]], [2.0]), {}, "targets must"),
        (([[1.0]], [1.0]), {"iterations": -1}, "iterations must be"),
    ],
)
def test_a_mistake_is_answered(arguments, settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        explain("numpy", "array_api_strict", *arguments, **settings)


def test_functions_that_do_otherwise_on_a_library_are_refused():
    def choose(xp, x):
        return xp.exp(x) if float(xp.sum(x)) > 3 else xp.abs(x)

    numpy = open_backend("numpy")
    more = plant(numpy, sum=lambda operation, x: None)
    assert not explain_function(choose, numpy, more, np.ones(3)).parts
    calls = []

    def alternate(xp, x):
        calls.append(x)
        return xp.exp(x) if len(calls) % 2 else xp.abs(x)

    with pytest.raises(ValueError, match=r"other operations from the 2\. on, exp and abs"):
        explain_function(alternate, "numpy", "numpy", np.ones(3))
