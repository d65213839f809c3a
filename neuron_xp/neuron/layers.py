"""Forward from inputs to outputs, and back from the outputs' deltas to every layer's."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from neuron_xp.neuron.activations import sigmoid, sigmoid_gradient
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array, Namespace


class Parameters(NamedTuple):
    """Weights and biases: what training changes.

    weights : one array a layer, (inputs, neurons)
    biases : one array a layer, (neurons,); or an empty tuple
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...] = ()


def flatten(parameters: Parameters, *, xp: Namespace) -> Array:
    """Return weights, layer by layer, then biases, as one array of one dimension."""
    return xp.concat([xp.reshape(x, (-1,)) for arrays in parameters for x in arrays])


def unflatten(flat: Array, like: Parameters, *, xp: Namespace) -> Parameters:
    """Cut what `flatten` gives into arrays of the shapes of `like`."""
    arrays, start = [], 0
    for x in (*like.weights, *like.biases):
        stop = start + prod(x.shape)
        arrays.append(xp.reshape(flat[start:stop], x.shape))
        start = stop
    layers = len(like.weights)
    return Parameters(tuple(arrays[:layers]), tuple(arrays[layers:]))


def forward(
    inputs: Array,
    parameters: Parameters,
    *,
    activation: Callable[..., Array] = sigmoid,
    arithmetic: Arithmetic,
) -> tuple[list[Array], Array]:
    """Compute output = sigmoid(z), z = input @ weights + bias, layer after layer.

    `activation` takes the sigmoid's place in the last layer. Returns the inputs and the outputs
    of each layer, and the last layer's z.
    """
    last = len(parameters.weights) - 1
    values = [inputs]
    for layer, weights in enumerate(parameters.weights):
        z = arithmetic.weighted_sum(values[-1], weights, of_data=layer == 0)
        if parameters.biases:
            z = z + parameters.biases[layer]
        function = activation if layer == last else sigmoid
        values.append(function(z, arithmetic=arithmetic))
    return values, z


def think(
    inputs: Array,
    parameters: Parameters,
    *,
    activation: Callable[..., Array] = sigmoid,
    arithmetic: Arithmetic,
) -> Array:
    """The outputs of the last layer: (rows, inputs) -> (rows, neurons)."""
    return forward(inputs, parameters, activation=activation, arithmetic=arithmetic)[0][-1]


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
