"""From inputs to outputs."""

from neuron_xp.neuron.activations import sigmoid
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


def think(inputs: Array, weights: tuple[Array, ...], *, arithmetic: Arithmetic) -> Array:
    """sigmoid(inputs @ weights), layer after layer: (rows, inputs) -> (rows, neurons)."""
    for layer in weights:
        inputs = sigmoid(arithmetic.weighted_sum(inputs, layer), arithmetic=arithmetic)
    return inputs
