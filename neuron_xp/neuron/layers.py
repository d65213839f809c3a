"""From inputs to outputs, and from the outputs' deltas back to every layer's."""

from typing import NamedTuple

from neuron_xp.neuron.activations import sigmoid, sigmoid_gradient
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


class Parameters(NamedTuple):
    """What is learned.

    weights : one array a layer, (inputs, neurons)
    biases : one array a layer, (neurons,); or none at all
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...] = ()


def forward(
    inputs: Array, parameters: Parameters, *, arithmetic: Arithmetic
) -> tuple[list[Array], Array]:
    """(inputs, outputs of each layer), and the last layer's weighted sums z.

    output = sigmoid(z), z = input @ weights + bias, layer after layer.
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
    """The delta of each layer, from that of the last: the article's sequel.

    A layer's error is the next one's delta, adjusted by the weights between them:
    delta = (next delta @ next weights.T) * output * (1 - output).
    """
    deltas = [delta]
    for layer in range(len(parameters.weights) - 1, 0, -1):
        error = arithmetic.weighted_sum(deltas[0], parameters.weights[layer].T)
        gradient = sigmoid_gradient(values[layer], arithmetic=arithmetic)
        deltas.insert(0, arithmetic.flush(arithmetic.multiply(error, gradient)))
    return deltas
