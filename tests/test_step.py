"""Whole iterations against the scalar port, and the rule against an independent gradient."""

import mpmath
import numpy as np
import pytest
import scalar_port

import neuron_xp
from neuron_xp.cases import CASES

FEW = [case for case in CASES if case.make()[0].size < 5000]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in FEW])
def test_two_iterations_are_the_scalar_ports(case):
    inputs, targets = case.make()
    rate = case.learning_rate
    weights = neuron_xp.train(inputs, targets, iterations=0).weights[0][:, 0].tolist()
    rows = np.where(np.abs(inputs) < 2.0**-1022, 0.0, inputs).tolist()
    for _ in range(2):
        weights = scalar_port.step(weights, rows, targets[:, 0].tolist(), rate)
    network = neuron_xp.train(inputs, targets, learning_rate=rate, iterations=2)
    assert network.weights[0][:, 0].tolist() == weights


def test_the_adjustment_is_the_slope_of_the_halved_squared_error():
    """Against mpmath's numerical derivative of 1/2 sum (y - sigmoid(x w))^2."""
    generator = np.random.RandomState(2)
    inputs, targets = generator.random_sample((10, 3)), generator.random_sample((10, 1))
    before = neuron_xp.train(inputs, targets, iterations=0).weights[0]
    after = neuron_xp.train(inputs, targets, iterations=1, learning_rate=0.5).weights[0]

    def loss(*weights):
        sums = (mpmath.fdot(row, weights) for row in inputs.tolist())
        outputs = [1 / (1 + mpmath.exp(-z)) for z in sums]
        return sum((y - o) ** 2 for y, o in zip(targets[:, 0].tolist(), outputs, strict=True)) / 2

    with mpmath.workdps(40):
        for i in range(3):
            order = tuple(int(i == j) for j in range(3))
            slope = mpmath.diff(loss, tuple(before[:, 0].tolist()), order)
            expected = before[i, 0] - 0.5 * float(slope)
            assert after[i, 0] == pytest.approx(expected, rel=1e-14)


def test_several_targets_are_several_neurons(library):
    """Each column of targets trains a neuron of its own: falls out of the general form."""
    generator = np.random.RandomState(4)
    inputs, targets = generator.random_sample((100, 5)), generator.random_sample((100, 3))
    network = neuron_xp.train(inputs, targets, backend=library, iterations=5)
    expected = neuron_xp.train(inputs, targets, iterations=5)
    assert network.fingerprint() == expected.fingerprint()
    start = neuron_xp.train(inputs, targets, iterations=0).weights[0]
    for column in range(3):
        weights = start[:, column].tolist()
        for _ in range(5):
            weights = scalar_port.step(weights, inputs.tolist(), targets[:, column].tolist(), 1.0)
        assert expected.weights[0][:, column].tolist() == weights
