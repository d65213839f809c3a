"""Whole iterations against the scalar port, and every rule against independent gradients."""

import mpmath
import numpy as np
import pytest
import scalar_optimizers
import scalar_training

import neuron_xp
from neuron_xp.neuron.losses import RULES
from neuron_xp.workflows.cases import CASES

SMALL = [case for case in CASES if case.make()[0].size < 4000 and case.name != "wide layers"]


def lists(network):
    return [[w.tolist() for w in network.weights], [b.tolist() for b in network.biases]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in SMALL])
def test_three_iterations_are_the_scalar_ports(case):
    inputs, targets = (array.tolist() for array in case.make())
    network = case.train(3)
    rates = {"learning_rate": case.learning_rate, "rule": network.settings.rule}
    *learned, _, loss, _ = scalar_optimizers.learn(inputs, targets, 3, **case.settings | rates)
    assert lists(network) == learned
    assert network.history[-1] == (3, loss)


def test_sample_weights_are_the_scalar_ports(library):
    generator = np.random.RandomState(2)
    inputs, targets = generator.random_sample((70, 3)), generator.random_sample((70, 2))
    weight = generator.random_sample(70) * 3
    weight[5] = 0.0
    settings = {"hidden": (2,), "bias": True, "sample_weight": weight.tolist()}
    learned = lists(neuron_xp.train(inputs, targets, iterations=0, **settings))
    for _ in range(2):
        learned = scalar_training.step(
            *learned, inputs.tolist(), targets.tolist(), 1.0, sample_weight=weight.tolist()
        )
    network = neuron_xp.train(inputs, targets, iterations=2, **settings)
    assert lists(network) == learned
    other = neuron_xp.train(inputs, targets, backend=library, iterations=2, **settings)
    assert other.fingerprint() == network.fingerprint()


def test_a_sample_weight_of_2_is_like_having_the_example_twice():
    generator = np.random.RandomState(3)
    inputs, targets = generator.random_sample((30, 3)), generator.random_sample(30)
    twice = neuron_xp.train(np.tile(inputs, (2, 1)), np.tile(targets, 2), iterations=50)
    weighted = neuron_xp.train(inputs, targets, iterations=50, sample_weight=[2] * 30)
    np.testing.assert_allclose(weighted.weights[0], twice.weights[0], rtol=1e-12)
    assert weighted.history[-1][1] == pytest.approx(twice.history[-1][1], rel=1e-12)


def problem(rule):
    """Inputs and targets; those of a softmax sum to 1."""
    generator = np.random.RandomState(2)
    inputs, targets = generator.random_sample((20, 3)) * 2 - 1, generator.random_sample((20, 2))
    if rule == "softmax_cross_entropy":
        targets[:, 1] = 1 - targets[:, 0]
    return inputs, targets


def descent(rule, hidden, l2):
    """Weights, biases and minus the gradient of the whole loss, from one iteration."""
    inputs, targets = problem(rule)
    settings = {"rule": rule, "hidden": hidden, "bias": True, "l2": l2, "learning_rate": 0.5}
    before = neuron_xp.train(inputs, targets, iterations=3, **settings)
    after = neuron_xp.train(inputs, targets, iterations=4, **settings)
    old, new = (before.weights + before.biases), (after.weights + after.biases)
    return before, old, [(n - o) / 0.5 for n, o in zip(new, old, strict=True)]


VARIANTS = [
    (rule, hidden, l2) for rule in RULES for hidden in ((), (4,), (4, 3, 2)) for l2 in (0.0, 0.3)
]


@pytest.mark.parametrize(("rule", "hidden", "l2"), VARIANTS)
def test_gradients_are_torchs(rule, hidden, l2):
    """The independent oracle is PyTorch's autograd of the loss, written with its own functions."""
    torch = pytest.importorskip("torch", reason="needs PyTorch's autograd")
    _, old, found = descent(rule, hidden, l2)
    learned = [torch.tensor(array, requires_grad=True) for array in old]
    layers = len(hidden) + 1
    x, y = map(torch.tensor, problem(rule))
    for weights, bias in zip(learned[:layers], learned[layers:], strict=True):
        z = x @ weights + bias
        x = torch.sigmoid(z)
    if rule == "cross_entropy":
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum")
    elif rule == "softmax_cross_entropy":
        loss = torch.nn.functional.cross_entropy(z, y, reduction="sum")
    else:
        loss = ((y - x) ** 2).sum() / 2
    loss = loss + l2 / 2 * sum((weights**2).sum() for weights in learned[:layers])
    loss.backward()
    for tensor, down in zip(learned, found, strict=True):
        np.testing.assert_allclose(down, -tensor.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("rule", "hidden", "l2"), VARIANTS)
def test_gradients_are_the_slopes_of_the_recorded_loss(rule, hidden, l2):
    """Finite differences of the loss, computed here with NumPy, which `history` must agree with."""
    before, old, found = descent(rule, hidden, l2)
    inputs, targets = problem(rule)
    layers = len(hidden) + 1

    def loss(arrays):
        x = inputs
        for weights, bias in zip(arrays[:layers], arrays[layers:], strict=True):
            z = x @ weights + bias
            x = 1 / (1 + np.exp(-z))
        if rule == "cross_entropy":
            terms = np.logaddexp(0, z) - targets * z
        elif rule == "softmax_cross_entropy":
            terms = targets * (np.logaddexp.reduce(z, axis=1, keepdims=True) - z)
        else:
            terms = (targets - x) ** 2 / 2
        return terms.sum() + l2 / 2 * sum((w**2).sum() for w in arrays[:layers])

    assert before.history[-1] == (3, pytest.approx(loss(old) / 20, rel=1e-13))
    h = 1e-5
    for which, array in enumerate(old):
        for index in np.ndindex(array.shape):
            up, down = [a.copy() for a in old], [a.copy() for a in old]
            up[which][index] += h
            down[which][index] -= h
            slope = (loss(up) - loss(down)) / (2 * h)
            assert found[which][index] == pytest.approx(-slope, abs=1e-8)


@pytest.mark.parametrize("name", ["error_weighted_derivative", "cross_entropy"])
def test_curvature_is_the_largest_over_outputs_and_targets(name):
    """The rule's constant against mpmath's second derivative of its loss over z."""

    def curvature(z, y):
        def loss(t):
            output = 1 / (1 + mpmath.exp(-t))
            if name == "cross_entropy":
                return mpmath.log(1 + mpmath.exp(t)) - y * t
            return (y - output) ** 2 / 2

        return float(mpmath.diff(loss, z, 2))

    grid = [curvature(z / 50, y / 4) for z in range(-200, 201) for y in range(5)]
    assert max(grid) <= RULES[name].curvature
    assert max(grid) == pytest.approx(RULES[name].curvature, rel=1e-4)


def test_curvature_of_the_softmax_is_the_largest_over_outputs():
    """The Hessian over z is diag(s) - s s^T, at its worst for two classes that are level."""
    draws = np.random.RandomState(6).standard_normal((2000, 4)) * 5
    draws[0] = [0, 0, -50, -50]
    outputs = np.exp(draws) / np.exp(draws).sum(axis=1, keepdims=True)
    largest = max(np.linalg.eigvalsh(np.diag(s) - np.outer(s, s))[-1] for s in outputs)
    assert largest == pytest.approx(RULES["softmax_cross_entropy"].curvature, rel=1e-12)


def test_several_targets_are_several_neurons():
    """Each column of targets trains a neuron of its own."""
    generator = np.random.RandomState(4)
    inputs, targets = generator.random_sample((100, 5)), generator.random_sample((100, 3))
    network = neuron_xp.train(inputs, targets, iterations=2)
    start = neuron_xp.train(inputs, targets, iterations=0).weights[0]
    for column in range(3):
        weights = [start[:, [column]].tolist()]
        for _ in range(2):
            weights, _ = scalar_training.step(
                weights, [], inputs.tolist(), targets[:, [column]].tolist(), 1.0
            )
        assert network.weights[0][:, [column]].tolist() == weights[0]
