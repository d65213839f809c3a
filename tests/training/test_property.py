"""Drawn shapes, magnitudes, rules, layers and batches: the same bytes from three libraries."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import count_cases

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.neuron.losses import RULES

problems = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 200),
        "features": st.integers(1, 40),
        "neurons": st.integers(1, 3),
        "powers": st.tuples(st.integers(-1021, 20), st.integers(0, 60)),
        "seed": st.integers(0, 1000),
    }
)
methods = st.fixed_dictionaries(
    {
        "hidden": st.lists(st.integers(1, 5), max_size=2).map(tuple),
        "bias": st.booleans(),
        "optimizer": st.sampled_from(["gradient_descent", "gradient_descent", "adam", "lbfgs"]),
        "rule": st.sampled_from(list(RULES)),
        "l2": st.sampled_from([0.0, 0.125, 1e-300, 3.0]),
        "learning_rate": st.sampled_from([2.0**-6, 1.0, 1e30]),
        "standardize": st.booleans(),
        "batch_size": st.sampled_from([None, 64, 128]),
        "shuffled": st.sampled_from([None, "rows", "leaves"]),
        "iterations": st.integers(0, 4),
    }
)


def drawn(rows, features, neurons, powers, seed):
    generator = np.random.RandomState(seed)
    low, width = powers
    scale = generator.randint(low, min(low + width, 20) + 1, (rows, features))
    inputs = np.ldexp(generator.random_sample((rows, features)) - 0.5, scale)
    return inputs, generator.random_sample((rows, neurons))


def fit_together(method, targets):
    """Settings that go with each other, and targets that go with them."""
    method = dict(method)
    shuffled = method.pop("shuffled")
    if method["optimizer"] == "lbfgs":
        method |= {"learning_rate": None, "batch_size": None}
    if method["batch_size"]:
        method["shuffle"] = shuffled
    if method["rule"] == "softmax_cross_entropy":
        targets = np.eye(targets.shape[1] + 1)[targets.sum(axis=1).astype(int)]
    return method, targets


def outcome(backend, inputs, targets, method):
    try:
        network = neuron_xp.train(inputs, targets, backend=backend, **method)
    except (neuron_xp.TrainingDivergedError, ValueError) as error:
        return str(error)
    return network.fingerprint(), network.history


PROBLEMS = count_cases(default=60, large=5000)
RANDOM = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=PROBLEMS, derandomize=PROBLEMS == 60, **RANDOM)
@given(problem=problems, method=methods, elements=st.sampled_from([1, 5000, 2**17]))
def test_any_training_is_the_same_on_every_library(problem, method, elements):
    inputs, targets = drawn(**problem)
    method, targets = fit_together(method, targets)
    expected = outcome("numpy", inputs, targets, method)
    one_leaf = dataclasses.replace(open_backend("numpy"), block_elements=elements)
    assert outcome(one_leaf, inputs, targets, method) == expected
    assert outcome("array_api_strict", inputs, targets, method) == expected
    for name in others():
        assert outcome(name, inputs, targets, method) == expected


def others():
    """torch, which every drawn problem can be given to: it needs no compilation."""
    try:
        return [open_backend("torch")]
    except (neuron_xp.MissingBackendError, neuron_xp.UnusableBackendError):
        return []


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("seed", range(8))
def test_some_trainings_are_the_same_compiled(library, seed):
    """A few, because each shape is compiled anew."""
    generator = np.random.RandomState(seed)
    inputs, targets = drawn(
        rows=int(generator.randint(1, 150)), features=int(generator.randint(1, 30)),
        neurons=1 + seed % 2, powers=(int(generator.randint(-1021, -20)), 60), seed=seed,
    )  # fmt: skip
    method = {
        "hidden": (3,) * (seed % 3), "bias": bool(seed & 1), "standardize": bool(seed & 2),
        "rule": ["error_weighted_derivative", "cross_entropy"][seed // 4],
        "l2": [0.0, 0.125][seed % 2], "iterations": 3,
    }  # fmt: skip
    assert outcome(library, inputs, targets, method) == outcome("numpy", inputs, targets, method)
