"""The loop around the step: places, stretches, divergence."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from trainings import train_with_pace

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.training.loops import loop
from neuron_xp.training.loops.loop import Pace

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


@pytest.mark.slow_on("array_api_strict", "jax", "torch")
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
    array_api_strict = pytest.importorskip("array_api_strict", reason="needs a library to disguise")

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
def test_how_long_a_stretch_is_changes_nothing(library, first, seconds):
    expected = neuron_xp.train(X, Y, iterations=100)
    network = train_with_pace(Pace(first, seconds), X, Y, backend=library, iterations=100)
    assert network.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("recording", [1, 10, 64, 100_000])
@pytest.mark.parametrize("iterations", [0, 1, 63, 64, 65, 1000])
def test_stretches_add_up_and_end_at_every_record(iterations, recording):
    stretches = list(loop._stretches(0, iterations, [recording, 7000], loop.Pace()))
    ends = [start + count for start, count in stretches]
    assert [start for start, _ in stretches] == [0, *ends][:-1]
    assert ends[-1:] == [iterations][: len(ends)]
    assert set(range(recording, iterations, recording)) <= set(ends)


@pytest.mark.parametrize("first", [1, 3, 7, 64])
def test_the_first_bad_iteration_is_found_exactly(backend, first):
    """Weights that double 100 times an iteration overflow in the 11th, whoever looks when."""
    with backend.context():
        run = backend.loop(lambda p: Parameters((p.weights[0] * 2.0**100,)))

        def advance(state, count):
            return state._replace(parameters=run(count, state.parameters))

        data = SimpleNamespace(backend=backend)
        start = loop.State(0, Parameters((backend.from_host(np.ones((2, 1))),)), ((0, 1.0),))
        settings = Settings(iterations=50, loss_every=50)
        pace = Pace(first=first)
        states = loop.iterate(data, settings, start, advance=advance, learning_rate=0.5, pace=pace)
        with pytest.raises(neuron_xp.TrainingDivergedError, match="in iteration 11 with"):
            list(states)


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
        return neuron_xp.NeuralNetwork(weights, backend).fingerprint()

    assert fingerprint([[0.0], [1.0]]) == fingerprint([[-0.0], [1.0]])
    different = {
        fingerprint([[0.0], [1.0]]),
        fingerprint([[0.0, 1.0]]),
        fingerprint([[0.0], [1.0 + 2.0**-52]]),
        fingerprint([[0.0], [1.0]], "float32"),
    }
    assert len(different) == 4


def test_networks_and_errors_may_be_sent_to_another_process(library):
    network = neuron_xp.train(X, Y, backend=library, iterations=3, hidden=(2,), bias=True)
    for twin in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert twin.backend is open_backend(library.name, library.device)
        assert twin.fingerprint() == network.fingerprint()
        assert twin.settings == network.settings
        assert (twin.history, twin.ending) == (network.history, network.ending)
    error = pickle.loads(pickle.dumps(neuron_xp.TrainingDivergedError(7, 0.5)))
    assert (error.iteration, error.learning_rate, str(error)[:15]) == (7, 0.5, "weights became ")


def test_an_answer_does_not_depend_on_the_other_questions(library):
    """Products that count as 0 do so in every layer, for all rows, and for any weights."""
    weights = [[2.0**-40, 1.0], [2.0**-1030, -(2.0**-950)]], [[2.0**-930], [1.0]]
    with library.context():
        layers = tuple(library.from_host(np.asarray(layer)) for layer in weights)
    network = neuron_xp.NeuralNetwork(layers, library)
    questions = [[1.0, 0.0], [2.0**-70, 0.0], [2.0**100, 2.0**90], [-700.0, 3e-308]]
    with library.context():
        together = library.to_host(network.think(questions))
        alone = [library.to_host(network.think(question)) for question in questions]
    assert together.tobytes() == np.asarray(alone).tobytes()


def test_small_floats_are_widened_from_one_library_to_another():
    """bfloat16 is known to PyTorch and JAX, each in its own way, and not to NumPy."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    x = torch.tensor(X, dtype=torch.bfloat16)
    expected = neuron_xp.train(X, Y, iterations=3).fingerprint()
    for name in ("numpy", "torch", "array_api_strict"):
        assert neuron_xp.train(x, Y, backend=name, iterations=3).fingerprint() == expected


def test_other_threads_that_take_subnormals_for_0_change_nothing():
    """PyTorch's usual setting for inference, which holds for one of its threads.

    In the thread that trains it would be refused: see the rehearsal's tests.
    """
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    rows = 300_000
    inputs, targets = np.zeros((rows, 2)), np.tile([0.25, 0.75], rows // 2)
    inputs[: rows // 2] = [2.0**-1023, 2.0**-60]
    inputs[-64:], targets[-64:] = [1, 0], 0.75
    settings = {"iterations": 2, "learning_rate": 1e306}
    expected = neuron_xp.train(inputs, targets, **settings)
    question = np.full((rows, 2), 2.0**-1023)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(torch.set_flush_denormal, True).result()
        for name in ("numpy", "torch"):
            network = neuron_xp.train(inputs, targets, backend=name, **settings)
            assert network.fingerprint() == expected.fingerprint()
            answers = network.backend.to_host(network.think(question))
            assert set(answers.ravel().tolist()) == {0.5}
        refused = pool.submit(neuron_xp.train, inputs, targets)
        with pytest.raises(neuron_xp.UnusableBackendError, match="flush-to-zero"):
            refused.result()


def test_the_default_device_is_the_librarys_own_at_the_time():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    assert str(open_backend("torch").device) == "cpu"
    try:
        torch.set_default_device("meta")
        with pytest.raises(neuron_xp.UnusableBackendError, match="meta"):
            open_backend("torch")
    finally:
        torch.set_default_device(None)
    assert str(open_backend("torch").device) == "cpu"
