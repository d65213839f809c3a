"""Forward from inputs to outputs, and back from the outputs' deltas to every layer's."""

from typing import NamedTuple

from neuron_xp.neuron.activations import sigmoid, sigmoid_gradient
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


class Parameters(NamedTuple):
    """Weights and biases: what training changes.

    weights : one array a layer, (inputs, neurons)
    biases : one array a layer, (neurons,); or an empty tuple
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...] = ()


def forward(
    inputs: Array, parameters: Parameters, *, arithmetic: Arithmetic
) -> tuple[list[Array], Array]:
    """Compute output = sigmoid(z), z = input @ weights + bias, layer after layer.

    Returns the inputs and the outputs of each layer, and the last layer's z.
    """
    values = [inputs]
    for layer, weights in enumerate(parameters.weights):
        z = arithmetic.weighted_sum(values[-1], weights, of_data=layer == 0)
        if parameters.biases:
            z = z + parameters.biases[layer]
        values.append(sigmoid(z, arithmetic=arithmetic))
    return values, z


def think(inputs: Array, parameters: Parameters, *, arithmetic: Arithmetic) -> Array:
    """The outputs of the last layer: (rows, inputs) -> (rows, neurons)."""
    return forward(inputs, parameters, arithmetic=arithmetic)[0][-1]


def back_propagate(
    delta: Array, values: list[Array], parameters: Parameters, *, arithmetic: Arithmetic
) -> list[Array]:
    """The deltas of all layers, from that of the last.

    delta = (next layer's delta @ next layer's weights.T) * output * (1 - output)
    """
    deltas = [delta]
    for layer in range(len(parameters.weights) - 1, 0, -1):
        error = arithmetic.weighted_sum(deltas[0], parameters.weights[layer].T)
        gradient = sigmoid_gradient(values[layer], arithmetic=arithmetic)
        deltas.insert(0, arithmetic.flush(arithmetic.multiply(error, gradient)))
    return deltas
