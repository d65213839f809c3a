"""standardize="weighted": a weight of 2 is like having the example twice, everywhere."""

import numpy as np
import pytest

import neuron_xp

SETTINGS = {"optimizer": "lbfgs", "bias": True, "l2": 0.5, "gradient_tolerance": 1e-10}


def problem():
    generator = np.random.RandomState(4)
    inputs = generator.standard_normal((90, 3)) * [1.0, 50.0, 1e-3] + [0.0, 7.0, 1.0]
    targets = (inputs[:, 0] + inputs[:, 1] / 50 > generator.standard_normal(90)) * 1.0
    return inputs, targets, generator.randint(0, 4, 90)


def test_weights_are_repetitions(library):
    inputs, targets, counts = problem()
    found = neuron_xp.train(
        inputs, targets, sample_weight=counts, standardize="weighted", backend=library, **SETTINGS
    )
    repeated = neuron_xp.train(
        inputs.repeat(counts, axis=0), targets.repeat(counts), standardize=True, **SETTINGS
    )
    on_host = neuron_xp.NeuralNetwork.from_model(found.to_model(), repeated.backend)
    assert np.abs(on_host.weights[0] - repeated.weights[0]).max() < 1e-8
    assert np.allclose(on_host.scaling.mean, repeated.scaling.mean, rtol=1e-15, atol=0)
    assert np.allclose(on_host.scaling.inverse_scale, repeated.scaling.inverse_scale, rtol=1e-14)
    expected = neuron_xp.train(
        inputs, targets, sample_weight=counts, standardize="weighted", **SETTINGS
    )
    assert found.fingerprint() == expected.fingerprint()


def test_without_weights_it_is_the_plain_one():
    inputs, targets, _ = problem()
    plain = neuron_xp.train(inputs, targets, standardize=True, **SETTINGS)
    weighted = neuron_xp.train(inputs, targets, standardize="weighted", **SETTINGS)
    ones = neuron_xp.train(
        inputs, targets, sample_weight=np.ones(90), standardize="weighted", **SETTINGS
    )
    assert plain.fingerprint() == weighted.fingerprint() == ones.fingerprint()


@pytest.mark.parametrize("value", [0.1, 1e300, 2.0**-1000])
def test_a_column_that_only_rows_of_weight_0_vary_is_constant(value):
    inputs = np.full((50, 1), value)
    inputs[7] = -value
    weight = np.arange(50) % 7 / 7  # 0 for row 7; their sum, and the mean, are rounded
    network = neuron_xp.train(
        inputs, np.arange(50) % 2, sample_weight=weight, standardize="weighted", iterations=2
    )
    assert network.scaling.inverse_scale[0] == 1.0


def test_files_give_the_bits_of_arrays(tmp_path):
    inputs, targets, counts = problem()
    paths = []
    for name, array in (("x", inputs), ("y", targets), ("w", counts)):
        np.save(tmp_path / f"{name}.npy", array)
        paths.append(tmp_path / f"{name}.npy")
    settings = SETTINGS | {"standardize": "weighted"}
    there = neuron_xp.train(*paths[:2], sample_weight=paths[2], **settings)
    here = neuron_xp.train(inputs, targets, sample_weight=counts, **settings)
    assert there.fingerprint() == here.fingerprint()


def test_a_model_file_keeps_it(tmp_path):
    inputs, targets, counts = problem()
    network = neuron_xp.train(
        inputs, targets, sample_weight=counts, standardize="weighted", iterations=5
    )
    network.save(tmp_path / "model.safetensors")
    loaded = neuron_xp.NeuralNetwork.load(tmp_path / "model.safetensors")
    assert loaded.settings.standardize == "weighted"
    assert loaded.to_bytes() == network.to_bytes()
    assert loaded.think(inputs).tobytes() == network.think(inputs).tobytes()
