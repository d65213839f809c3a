"""Losses, and the learning rules that descend them: the delta of each output neuron and example."""

from collections.abc import Callable
from dataclasses import dataclass

from neuron_xp.neuron.activations import compare_classes, sigmoid, sigmoid_gradient, softmax
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


@dataclass(frozen=True)
class LearningRule:
    """A rule: the downhill direction of its loss over the weighted sum z of an output neuron.

    activation(z)
        The outputs of the last layer.
    delta(outputs, targets)
        -d loss / dz, (rows, neurons).
    loss(z, outputs, targets)
        The loss of each example and neuron.
    curvature
        The largest second derivative of the loss over z, for targets in [0, 1].
    """

    delta: Callable[..., Array]
    loss: Callable[..., Array]
    curvature: float
    activation: Callable[..., Array] = sigmoid


def error_weighted_derivative(outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """The article's rule: (target - output) * SigmoidCurveGradient(output)."""
    error = targets - outputs
    gradient = sigmoid_gradient(outputs, arithmetic=arithmetic)
    return arithmetic.flush(arithmetic.multiply(error, gradient))


def squared_error(z: Array, outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """(target - output)^2 / 2, which the article's rule minimises."""
    error = targets - outputs
    return arithmetic.flush(0.5 * arithmetic.multiply(error, error))


def cross_entropy(outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """The error alone, target - output: confident neurons that are wrong still learn.

    So it is for sigmoids with the logarithmic loss, and for a softmax with its own.
    """
    return arithmetic.flush(targets - outputs)


def logarithmic_loss(z: Array, outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """-target log(output) - (1 - target) log(1 - output), without the log of an output.

    That is max(z, 0) - target z + log(1 + e^-|z|).
    """
    xp = arithmetic.xp
    rest = arithmetic.log1p(arithmetic.exp(-xp.abs(z)))
    return arithmetic.flush((xp.where(z > 0, z, 0.0) - arithmetic.multiply(targets, z)) + rest)


def softmax_loss(z: Array, outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """-target log(softmax(z)), a term for each class, without the log of an output.

    That is target (log(sum of e^(z - max)) - (z - max)).
    """
    below, total = compare_classes(z, arithmetic=arithmetic)
    return arithmetic.flush(arithmetic.multiply(targets, arithmetic.log(total) - below))


RULES = {
    # with s = sigmoid(z): s^2 (1 - s) (2 - 3 s), largest at s = (15 - sqrt(33)) / 24
    "error_weighted_derivative": LearningRule(
        error_weighted_derivative, squared_error, curvature=0.0770293
    ),
    # s (1 - s)
    "cross_entropy": LearningRule(cross_entropy, logarithmic_loss, curvature=0.25),
    # the largest eigenvalue of diag(s) - s s^T is at most 1/2
    "softmax_cross_entropy": LearningRule(
        cross_entropy, softmax_loss, curvature=0.5, activation=softmax
    ),
}
