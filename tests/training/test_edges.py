"""Numbers at the edges of float64 and float32: the same bits from every library."""

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.neuron.losses import RULES

TARGETS = [0, 1, 1]
SPREADS = {
    "2^1023": [[2.0**1023, 1.0], [0.0, 2.0], [0.0, 4.0]],
    "1.5 * 2^1022": [[1.5 * 2.0**1022, 1.0], [2.0**1000, 2.0], [0.0, 4.0]],
    "2^-500": [[2.0**-500, 1.0], [0.0, 2.0], [3 * 2.0**-500, 4.0]],
    "2^-1000": [[2.0**-1000, 1.0], [0.0, 2.0], [0.0, 4.0]],
    "neighbours": [[2.0**-1022, 1.0], [np.nextafter(2.0**-1022, 1), 2.0], [2.0**-1022, 4.0]],
}


def train_on(backend, inputs, targets=TARGETS, **settings):
    with neuron_xp.errors.ignore_learning():
        return neuron_xp.train(inputs, targets, backend=backend, iterations=3, **settings)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("optimizer", ["gradient_descent", "lbfgs", "adam"])
def test_columns_of_any_spread_are_standardized_alike(backend, spread, optimizer):
    settings = {"standardize": True, "optimizer": optimizer}
    expected = train_on("numpy", SPREADS[spread], **settings)
    found = train_on(backend, SPREADS[spread], **settings)
    assert found.fingerprint() == expected.fingerprint()
    assert found.history == expected.history


def test_the_widest_column_has_the_bits_that_numpy_always_gave():
    network = train_on("numpy", SPREADS["2^1023"], standardize=True)
    assert network.fingerprint().startswith("e4e27c47e38f")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_narrow_subnormals_are_widened_exactly(backend, dtype):
    """XLA takes float32's subnormals, which are float64's normal numbers, for 0."""
    tiny = {"float16": 1e-7, "bfloat16": 1e-40}.get(dtype, 1e-42)
    wide = (np.arange(1, 7).reshape(3, 2) ** 2 * tiny).astype("float32")
    with backend.context():
        if not hasattr(backend.xp, dtype):
            narrow = backend.from_host(wide)
        elif backend.name == "jax":
            narrow = backend.xp.asarray(wide.astype(getattr(backend.xp, dtype)))
        else:
            narrow = backend.xp.astype(backend.from_host(wide), getattr(backend.xp, dtype))
        exact = np.asarray(backend.to_host(narrow) if dtype != "bfloat16" else wide)
    if dtype == "bfloat16" and backend.name in ("jax", "torch"):
        exact = _cut_to_bfloat16(wide)
    expected = train_on("numpy", exact.astype("float64"), standardize=True)
    assert (exact != 0).all()
    found = train_on(backend, narrow, standardize=True)
    assert found.fingerprint() == expected.fingerprint()


def _cut_to_bfloat16(x):
    """Round to the upper 16 bits of float32, half to even."""
    bits = x.view("uint32").astype("uint64")
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return rounded.astype("uint32").view("float32")


@pytest.mark.parametrize("rule", RULES)
def test_losses_of_data_far_from_the_trained_scaling_are_those_of_array_operations(rule):
    """An infinite standardized input, times the 0 behind a row, would be NaN."""
    from neuron_xp.model.settings import check_settings
    from neuron_xp.training.data.training_set import Given, Where, open_training_set
    from neuron_xp.training.fit import compute_loss

    columns = np.eye(2)[[0, 1, 1, 0]] if rule == "softmax_cross_entropy" else [[0], [1], [1], [0]]
    near = np.asarray([[1.0, 2.0], [2.0, 1.0], [3.0, 0.5], [1.5, 2.5]]) * 1e-5
    far = near.copy()
    far[1, 0] = 1e305
    network = train_on("numpy", near, columns, rule=rule, standardize=True)
    settings = check_settings(rule=rule, standardize=True)
    given = Given(inputs=far, targets=columns)
    losses = [
        compute_loss(network, open_training_set(given, settings, Where(backend=backend)))
        for backend in (open_backend("numpy"), open_backend("numpy").without_kernels())
    ]
    assert losses[0].hex() == losses[1].hex()


def test_weights_of_a_sum_that_overflows_are_refused():
    with pytest.raises(
        ValueError, match="the sample weights sum to more than float64 holds; scale"
    ):
        neuron_xp.train([[0, 1], [1, 0]], [0, 1], sample_weight=[1e308, 1e308])


def test_so_are_those_of_files(tmp_path):
    paths = [tmp_path / f"{name}.npy" for name in ("inputs", "targets", "weights")]
    for path, array in zip(paths, ([[0, 1], [1, 0]], [0, 1], [1e308, 1e308]), strict=True):
        np.save(path, np.asarray(array, dtype="float64"))
    inputs, targets, weights = paths
    with pytest.raises(
        ValueError, match="the sample weights sum to more than float64 holds; scale"
    ):
        neuron_xp.train(inputs, targets, sample_weight=weights)


def test_an_automatic_rate_of_huge_inputs_is_refused_in_a_line():
    with pytest.raises(ValueError, match=r"learning_rate='auto' found .*scale the inputs"):
        neuron_xp.train([[9e153, 9e153], [9e153, 1.0]], [0, 1], learning_rate="auto")
