"""The article's announced sequel: a hidden layer learns the exclusive or."""

import numpy as np
import pytest

from neuron_xp.article import SEQUEL_QUESTION
from neuron_xp.workflows.cases import CASES, published

CASE = {case.name: case for case in CASES}

# what its program prints
LAYER_1 = [
    [0.3122465, 4.57704063, -6.15329916, -8.75834924],
    [0.19676933, -8.74975548, -6.1638187, 4.40720501],
    [-0.03327074, -0.58272995, 0.08319184, -0.39787635],
]
LAYER_2 = [[-8.18850925], [10.13210706], [-21.33532796], [9.90935111]]


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_the_whole_run(name):
    if name == "jax":
        pytest.importorskip("jax", reason="needs JAX")
    network = CASE["sequel"].train(backend=name)
    assert network.fingerprint() == published()["sequel"]
    first, second = (np.asarray(layer) for layer in network.weights)
    np.testing.assert_allclose(first, LAYER_1, atol=0.5e-8)
    np.testing.assert_allclose(second, LAYER_2, atol=0.5e-8)
    assert round(float(network.think(SEQUEL_QUESTION)[0]), 7) == 0.0078876


@pytest.mark.slow_on("array_api_strict", "jax")
def test_its_first_3000_iterations_on_every_library(library):
    case = CASE["sequel, 3,000 iterations"]
    assert case.iterations <= library.patience
    assert case.train(backend=library).fingerprint() == published()[case.name]


def test_a_single_neuron_cannot_learn_the_exclusive_or():
    inputs, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    case = CASE["sequel"]
    assert case.make()[1].ravel().tolist() == [x ^ y for x, y, _ in case.make()[0].astype(int)]
    from neuron_xp import train

    settings = {"bias": True, "rule": "cross_entropy", "iterations": 3000}
    single = train(inputs, targets, **settings).think(inputs)[:, 0]
    layered = train(inputs, targets, hidden=(4,), **settings).think(inputs)[:, 0]
    assert ((single > 0.5) != np.asarray(targets, dtype=bool)).any()
    assert np.abs(layered - targets).max() < 0.01
