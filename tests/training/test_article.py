"""The article's numbers, to the last bit."""

import article_program
import numpy as np
import pytest

import neuron_xp

WEIGHTS = ["0x1.358928ac921c7p+3", "-0x1.a9a9da4047c48p-3", "-0x1.284bf7ad8ad00p+2"]


def hexadecimal(network):
    with network.backend.context():
        return [float(w).hex() for w in network.backend.to_host(network.weights[0])[:, 0]]


def test_the_articles_own_program_ends_on_these_bits():
    network = article_program.trained()
    assert [float(w).hex() for w in network.synaptic_weights[:, 0]] == WEIGHTS
    assert str(network.think(np.array([1, 0, 0]))) == "[0.99993704]"


def test_every_backend_ends_on_the_articles_bits(backend):
    if backend.patience >= 10_000:
        assert hexadecimal(neuron_xp.train(backend=backend)) == WEIGHTS
    else:
        few = neuron_xp.train(backend=backend, iterations=200)
        assert hexadecimal(few) == hexadecimal(neuron_xp.train(iterations=200))


@pytest.mark.slow
def test_array_api_strict_ends_on_the_articles_bits():
    """A slow one that runs in full, because it is the standard itself."""
    assert hexadecimal(neuron_xp.train(backend="array_api_strict")) == WEIGHTS


def test_the_new_situation(backend):
    weights = neuron_xp.train().weights[0]
    with backend.context():
        network = neuron_xp.NeuralNetwork((backend.from_host(weights),), backend)
    with backend.context():
        answer = backend.to_host(network.think([1, 0, 0]))
    assert str(answer) == "[0.99993704]"


def test_the_start_is_the_articles():
    network = neuron_xp.train(iterations=0)
    assert str(network.weights[0]) == "[[-0.16595599]\n [ 0.44064899]\n [-0.99977125]]"


@pytest.mark.parametrize("iterations", [1, 2, 63, 64, 65, 1000])
def test_every_number_of_iterations_is_so_many_single_steps(iterations):
    """Stretches are a matter of when the host looks in, not of what is computed."""
    whole = neuron_xp.train(iterations=iterations)
    article = article_program.ArticleNeuralNetwork()
    inputs = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype="float64")
    article.train(inputs, np.array([[0, 1, 1, 0]]).T, iterations)
    np.testing.assert_allclose(whole.weights[0], article.synaptic_weights, rtol=1e-13)
