"""L-BFGS, Adam and the softmax: one fingerprint each, wherever the data are."""

import dask.array as da
import numpy as np
import pytest
from parts_data import examples, irregular, saved

import neuron_xp

ROWS = 1500
METHODS = {
    "lbfgs": {"optimizer": "lbfgs", "bias": True, "l2": 0.5, "standardize": True},
    "lbfgs, hidden": {"optimizer": "lbfgs", "hidden": (4,), "bias": True, "iterations": 15},
    "lbfgs, softmax": {"optimizer": "lbfgs", "rule": "softmax_cross_entropy", "l2": 0.5},
    "adam, softmax": {
        "optimizer": "adam", "rule": "softmax_cross_entropy", "hidden": (4,), "bias": True,
        "batch_size": 256, "shuffle": "leaves", "iterations": 20, "learning_rate": 0.01,
    },
    "softmax": {"rule": "softmax_cross_entropy", "learning_rate": 1e-3, "iterations": 20},
}  # fmt: skip


def data_for(method):
    """Inputs, targets of one column or of three classes, and sample weights."""
    inputs, targets, weight = examples()
    if method.get("rule") == "softmax_cross_entropy":
        targets = np.eye(3)[np.digitize(inputs[:, 1] + inputs[:, 0], [-0.5, 0.5])]
    return inputs, targets, weight


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


@pytest.fixture(scope="module")
def expected():
    """What NumPy's array operations give, in one thread."""
    found = {}

    def find(method):
        key = repr(method)
        if key not in found:
            inputs, targets, weight = data_for(method)
            arrays = neuron_xp.train().backend.without_kernels()
            network = neuron_xp.train(
                inputs, targets, sample_weight=weight, backend=arrays, threads=1, **method
            )
            found[key] = network.fingerprint(), network.history, network.ending
        return found[key]

    return find


def outcome(network):
    return network.fingerprint(), network.history, network.ending


@pytest.mark.slow_on("jax")
def test_libraries_change_no_bit(backend, method, expected):
    inputs, targets, weight = data_for(method)
    network = neuron_xp.train(inputs, targets, sample_weight=weight, backend=backend, **method)
    assert outcome(network) == expected(method)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_change_no_bit(threads, method, expected):
    inputs, targets, weight = data_for(method)
    for backend in (neuron_xp.train().backend, neuron_xp.train().backend.without_kernels()):
        network = neuron_xp.train(
            inputs, targets, sample_weight=weight, threads=threads, backend=backend, **method
        )
        assert outcome(network) == expected(method)


def test_chunks_change_no_bit(method, expected):
    chunks = irregular(ROWS, 20)
    arrays = [da.from_array(x, chunks=(chunks, *x.shape[1:])) for x in data_for(method)]
    network = neuron_xp.train(arrays[0], arrays[1], sample_weight=arrays[2], **method)
    assert outcome(network) == expected(method)


def test_files_change_no_bit(method, expected, tmp_path, small_blocks):
    names = ("inputs", "targets", "sample_weight")
    paths = saved(tmp_path, **dict(zip(names, data_for(method), strict=True)))
    assert outcome(neuron_xp.train(**paths, **method)) == expected(method)
