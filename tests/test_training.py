"""The loop around the step: places, stretches, divergence."""

import array_api_strict
import numpy as np
import pytest

import neuron_xp
from neuron_xp import training
from neuron_xp.backends import open_backend

X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = [0, 1, 1]


def held(library, values):
    with library.context():
        return library.from_host(np.asarray(values))


def test_it_trains_where_the_inputs_are(library):
    network = neuron_xp.train(held(library, X), held(library, Y), iterations=3)
    assert str(network.backend) == str(library)
    assert type(network.weights[0]) is type(held(library, X))
    with library.context():
        assert network.think(X).shape == (3, 1)
        assert network.think(X[0]).shape == (1,)
        assert network.think(np.asarray(X)).dtype == library.xp.float64


def test_it_trains_where_it_is_told_to(library):
    network = neuron_xp.train(np.asarray(X), Y, backend=library.name, device=library.device)
    assert str(network.backend) == str(library)
    assert network.fingerprint() == neuron_xp.train(X, Y).fingerprint()


def test_lists_may_go_with_arrays(library):
    network = neuron_xp.train(X, held(library, Y), iterations=3)
    assert str(network.backend) == str(library)
    expected = neuron_xp.train(X, Y, iterations=3).fingerprint()
    assert network.fingerprint() == expected
    assert neuron_xp.train(held(library, X), Y, iterations=3).fingerprint() == expected


def test_the_namespace_itself_may_be_the_backend(library):
    network = neuron_xp.train(X, Y, backend=library.xp, device=library.device, iterations=3)
    assert str(network.backend) == str(library)


def test_a_library_nobody_has_heard_of():
    """Any module that follows the standard: here array_api_strict under another name."""

    class Unheard:
        __name__ = "unheard"

        def __getattr__(self, name):
            return getattr(array_api_strict, name)

    network = neuron_xp.train(X, Y, backend=Unheard(), iterations=20)
    assert network.backend.name == "unheard"
    assert network.fingerprint() == neuron_xp.train(X, Y, iterations=20).fingerprint()


def test_targets_of_one_dimension_are_a_column():
    column = neuron_xp.train(X, [[y] for y in Y], iterations=3)
    assert neuron_xp.train(X, Y, iterations=3).fingerprint() == column.fingerprint()


def test_the_seed_draws_the_start():
    starts = [neuron_xp.train(iterations=0, seed=seed).weights[0] for seed in (0, 1, 2**32 - 1)]
    for seed, start in zip((0, 1, 2**32 - 1), starts, strict=True):
        drawn = 2 * np.random.RandomState(seed).random_sample((3, 1)) - 1
        np.testing.assert_array_equal(start, drawn)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("first", [1, 7, 10_000])
def test_how_long_a_stretch_is_changes_nothing(library, monkeypatch, first, seconds):
    expected = neuron_xp.train(X, Y, iterations=100)
    monkeypatch.setattr(training, "FIRST_STRETCH", first)
    monkeypatch.setattr(training, "SECONDS_A_STRETCH", seconds)
    network = neuron_xp.train(X, Y, backend=library, iterations=100)
    assert network.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 10_000])
def test_stretches_add_up(count):
    assert sum(training._stretches(count)) == count


@pytest.mark.parametrize("first", [1, 3, 7, 64])
def test_the_first_bad_iteration_is_found_exactly(backend, monkeypatch, first):
    """Weights that double 100 times an iteration overflow in the 11th, whoever looks when."""
    monkeypatch.setattr(training, "FIRST_STRETCH", first)
    with backend.context():
        run = backend.loop(lambda weights, *data: (weights[0] * 2.0**100,))
        start = (backend.from_host(np.ones((2, 1))),)
        with pytest.raises(neuron_xp.TrainingDivergedError, match="in iteration 11 with"):
            training._iterate(run, start, (None, None, 0.5), 50, backend)


def test_nan_weights_stay_nan_until_the_host_looks(backend):
    """A weighted sum that is inf - inf: sigmoid, sums and weights carry the NaN."""
    with pytest.raises(neuron_xp.TrainingDivergedError, match="in iteration 1 "):
        neuron_xp.train([[1e308] * 64, [-1e308] * 64], [0, 1], backend=backend, iterations=70)


def test_repr_says_what_it_is():
    text = repr(neuron_xp.train())
    assert text == "<NeuralNetwork 3-1, reproducible, numpy on cpu, fingerprint 47c54196df6a>"


def test_the_fingerprint_tells_weights_apart():
    backend = open_backend("numpy")

    def fingerprint(values, dtype="float64"):
        weights = (np.asarray(values, dtype=dtype),)
        return neuron_xp.NeuralNetwork(weights, backend, "native").fingerprint()

    assert fingerprint([[0.0], [1.0]]) == fingerprint([[-0.0], [1.0]])
    different = {
        fingerprint([[0.0], [1.0]]),
        fingerprint([[0.0, 1.0]]),
        fingerprint([[0.0], [1.0 + 2.0**-52]]),
        fingerprint([[0.0], [1.0]], "float32"),
    }
    assert len(different) == 4
