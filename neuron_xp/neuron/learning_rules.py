"""How strongly each neuron should change for each example."""

from neuron_xp.neuron.activations import sigmoid_gradient
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


def error_weighted_derivative(outputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Array:
    """The article's rule: (target - output) * SigmoidCurveGradient(output).

    The downhill direction of the halved squared error, before the factor `input`.
    """
    error = targets - outputs
    gradient = sigmoid_gradient(outputs, arithmetic=arithmetic)
    return arithmetic.flush(arithmetic.multiply(error, gradient))
