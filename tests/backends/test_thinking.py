"""Thinking by kernels: the bits, and the errors, of array operations."""

from itertools import pairwise

import numpy as np
import pytest

from neuron_xp.backends.engine import MUCH_WORK, find_think
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.step import Scaling

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

HOST = open_backend("numpy")
RULES = "error_weighted_derivative", "cross_entropy", "softmax_cross_entropy"


@pytest.fixture(params=["numpy", "torch", "jax"])
def backend(request):
    try:
        backend = open_backend(request.param)
    except ImportError as error:
        pytest.skip(str(error))
    assert has_right_kernels(backend)
    return backend


def make_network(sizes, rule="cross_entropy", *, biases=True, scaling=True, seed=1, factor=2.0):
    rng = np.random.RandomState(seed)
    weights = tuple(rng.standard_normal(shape) * factor for shape in pairwise(sizes))
    scales = Scaling(rng.standard_normal(sizes[0]), rng.random_sample(sizes[0]) + 0.5)
    return NeuralNetwork(
        weights=weights, backend=HOST, settings=Settings(rule=rule),
        biases=tuple(w[0, :] for w in weights) if biases else (),
        scaling=scales if scaling else None,
    )  # fmt: skip


def on(network, backend):
    return NeuralNetwork.from_model(network.to_model(), backend)


def think_both(network, inputs, backend):
    """Outputs and weighted sums of the network there, by kernels, and of NumPy's arrays."""
    by_arrays, there = on(network, HOST.without_kernels()), on(network, backend)
    for method in ("think", "logits"):
        with backend.context():
            found = backend.to_host(getattr(there, method)(inputs))
        yield found, getattr(by_arrays, method)(inputs)


@pytest.mark.parametrize(("rule", "sizes"), [
    (rule, sizes)
    for rule in RULES for sizes in [(1, 1), (3, 2), (20, 4), (33, 5, 3), (1100, 7, 2)]
    if sizes[-1] > 1 or rule != "softmax_cross_entropy"
], ids=str)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 63, 64, 200, 1500])
@pytest.mark.parametrize("form", ["plain", "whole"])
def test_outputs_are_those_of_array_operations(rule, sizes, rows, form, backend):
    whole = form == "whole"
    network = make_network(sizes, rule, biases=whole, scaling=whole)
    inputs = np.random.RandomState(2).standard_normal((rows, sizes[0]))
    inputs[::3, :] *= 2.0**-500
    inputs[::5, :] = -0.0
    for found, expected in think_both(network, inputs, backend):
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("change", [
    pytest.param(lambda x: x[::-1, ::2], id="steps"),
    pytest.param(np.asfortranarray, id="columns"),
    pytest.param(lambda x: x.astype("float32"), id="float32"),
    pytest.param(lambda x: (x * 9).astype("int8"), id="int8"),
    pytest.param(lambda x: x > 0, id="bool"),
    pytest.param(lambda x: x.tolist(), id="lists"),
    pytest.param(lambda x: x[0], id="one example"),
])  # fmt: skip
def test_any_inputs_give_the_bits_of_array_operations(change, backend):
    inputs = change(np.random.RandomState(2).standard_normal((130, 6)))
    features = np.asarray(inputs).shape[-1]
    for found, expected in think_both(make_network((features, 3)), inputs, backend):
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (64, 19), (129, 7)], ids=str)
def test_what_is_not_finite_is_named(bad, place, backend):
    inputs = np.ones((130, 20))
    inputs[place] = bad
    network = on(make_network((20, 3, 1)), backend)
    with pytest.raises(ValueError, match=rf"^inputs\[{place[0]}, {place[1]}\] is {bad!r}; "):
        network.think(inputs)


@pytest.mark.parametrize("weight", [0.0, 1e300])
def test_a_weight_hides_nothing(weight, backend):
    """Where it is 0, or overflows what is finite."""
    network = make_network((2, 1), biases=False, scaling=False)
    network.weights[0][:] = weight
    with pytest.raises(ValueError, match=r"^inputs\[1, 1\] is inf; "):
        on(network, backend).think([[1.0, 2.0], [1.0, np.inf]])
    for found, expected in think_both(network, [[1e300, 1e300], [-1e300, 1.0]], backend):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("exponent", [59, 61, 70, 900])
def test_subnormal_inputs_are_0_whatever_the_weight(exponent, backend):
    network = make_network((2, 1), biases=False, scaling=False)
    network.weights[0][:] = 2.0**exponent
    inputs = np.full((70, 2), 2.0**-1022)
    inputs[::2, :] *= 0.99
    for found, expected in think_both(network, inputs, backend):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(0, 2), (2,), (0,), (3, 4), (2, 2, 2), ()], ids=str)
def test_shapes_are_refused_in_the_same_words(shape, backend):
    network, inputs = make_network((3, 2)), np.ones(shape)
    with pytest.raises(ValueError, match="inputs") as expected:
        on(network, HOST.without_kernels()).think(inputs)
    with pytest.raises(ValueError, match="inputs") as found:
        on(network, backend).think(inputs)
    assert str(found.value) == str(expected.value)


def test_threads_change_nothing():
    network = make_network((40, 3), "softmax_cross_entropy")
    inputs = np.random.RandomState(2).standard_normal((20_000, 40))
    expected = on(network, HOST.without_kernels()).think(inputs)
    for threads in (1, 2, 5):
        kernel = find_think(HOST, RULES[2], logits=False, work=MUCH_WORK, threads=threads)
        assert kernel(inputs, network.parameters, network.scaling).tobytes() == expected.tobytes()


def test_arrays_that_have_no_length_have_rows():
    """As the standard asks for none."""
    strict = open_backend("array_api_strict")
    network, inputs = make_network((4, 2)), np.random.RandomState(2).standard_normal((70, 4))
    found = on(network, strict).think(strict.from_host(inputs))
    assert strict.to_host(found).tobytes() == network.think(inputs).tobytes()
