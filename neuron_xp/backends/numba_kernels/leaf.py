"""A leaf of examples: what goes in, and where it is worked on."""

from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import Segments, flush, padded
from neuron_xp.backends.numba_kernels.compiler import allocating, compiled
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.reproducible import LANES, SEGMENT, SMALLEST_PRODUCT, TINY_INPUT


class Data(NamedTuple):
    """Examples in memory; what there is none of is empty.

    flat : the inputs row after row, if that is how they lie
    """

    inputs: Any
    flat: Any
    targets: Any
    sample_weight: Any
    mean: Any
    inverse_scale: Any


class Network(NamedTuple):
    """How many inputs, and neurons in each layer; neurons and weights in all; how they learn."""

    sizes: Any
    neurons: int
    weights: int
    has_biases: bool
    rule: int
    no_tiny_inputs: bool


class Leaf(NamedTuple):
    """Where a leaf is worked on. Neurons are counted from the first hidden one.

    inputs : (64 * inputs,), if they are not taken where they are
    z, outputs, deltas : (neurons, 64), weighted sums and what becomes of them
    output_rows, delta_rows : (64 * neurons,), the same by rows, layer after layer
    forward, backward : the weights as rows of `padded` length: a neuron's, an input's
    """

    inputs: Any
    z: Any
    outputs: Any
    deltas: Any
    output_rows: Any
    delta_rows: Any
    forward: Any
    backward: Any
    sums: Any
    row: Any
    segments: Any


@allocating
def new_leaf(network, sums):
    """An empty leaf, for a network and as many sums over examples."""
    widest = network.sizes.max()
    return Leaf(
        np.zeros(network.sizes[0] * LEAF + LANES),
        np.zeros((network.neurons, LEAF)),
        np.zeros((network.neurons, LEAF)),
        np.zeros((network.neurons, LEAF)),
        np.zeros(network.neurons * LEAF + LANES),
        np.zeros(network.neurons * LEAF + LANES),
        np.zeros(_padded_size(network.sizes[:-1], network.sizes[1:])),
        np.zeros(_padded_size(network.sizes[1:], network.sizes[:-1])),
        np.zeros(sums),
        np.zeros(LANES),
        Segments(np.empty((1 + widest // SEGMENT, LEAF)), np.empty((LANES, LEAF))),
    )


@compiled
def _padded_size(widths, counts):
    size = 0
    for i in range(widths.shape[0]):
        size += padded(widths[i]) * counts[i]
    return size


@compiled
def arrange(network, parameters, leaf):
    """The weights where the sums read them."""
    weight, forward, backward = 0, 0, 0
    for layer in range(network.sizes.shape[0] - 1):
        inputs, neurons = network.sizes[layer], network.sizes[layer + 1]
        for i in range(inputs):
            for j in range(neurons):
                w = parameters[weight + i * neurons + j]
                leaf.forward[forward + j * padded(inputs) + i] = w
                leaf.backward[backward + i * padded(neurons) + j] = w
        weight += inputs * neurons
        forward, backward = forward + neurons * padded(inputs), backward + inputs * padded(neurons)


@compiled
def load(data, start, count, rows):
    """The inputs of a leaf, standardized if they are to be; 0 where there is no example."""
    features = data.inputs.shape[1]
    rows[:] = 0.0
    for r in range(count):
        row = rows[r * features : (r + 1) * features]
        for i in range(features):
            row[i] = data.inputs[start + r, i]
        for i in range(data.mean.shape[0]):
            centred = flush(row[i] - data.mean[i], SMALLEST_PRODUCT)
            row[i] = flush(centred * data.inverse_scale[i], TINY_INPUT)
