"""Leaves, groups of 64 examples: where their numbers come from, and where they are worked on."""

from typing import NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import Segments, flush, pad
from neuron_xp.backends.numba_kernels.compiler import allocating, compiled
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT, SMALLEST_PRODUCT, TINY_INPUT
from neuron_xp.neuron.reproducible.exact_sum import LEAF


class LeafSource(NamedTuple):
    """Examples in memory, as the kernels read them; an array that is not given is empty.

    flat : the inputs row after row, if that is how memory holds them
    """

    inputs: np.ndarray
    flat: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray


class NetworkPlan(NamedTuple):
    """Numbers that say how a network is computed.

    sizes : inputs, then neurons of each layer
    neurons, weights : of all layers together
    rule : a number of `RULE_CODES`
    no_tiny_inputs : whether every input is 0 or at least 2^-60 in magnitude
    """

    sizes: np.ndarray
    neurons: int
    weights: int
    has_biases: bool
    rule: int
    no_tiny_inputs: bool


class Leaf(NamedTuple):
    """Arrays in which a leaf is worked on. Neurons are counted from the first hidden one.

    inputs : (64 * inputs,), if they are not taken where they are
    z, outputs, deltas : (neurons, 64), weighted sums, their sigmoids, and what each weighted
        sum is to be moved by
    output_rows, delta_rows : (64 * neurons,), the same by rows, layer after layer
    forward, backward : the weights as rows of `padded` length: a neuron's, an input's
    """

    inputs: np.ndarray
    z: np.ndarray
    outputs: np.ndarray
    deltas: np.ndarray
    output_rows: np.ndarray
    delta_rows: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    sums: np.ndarray
    row: np.ndarray
    segments: Segments


@allocating
def make_leaf(plan, sums):
    """Return an empty leaf, for a network and a number of sums over examples."""
    widest = plan.sizes.max()
    return Leaf(
        np.zeros(plan.sizes[0] * LEAF + LANES),
        np.zeros((plan.neurons, LEAF)),
        np.zeros((plan.neurons, LEAF)),
        np.zeros((plan.neurons, LEAF)),
        np.zeros(plan.neurons * LEAF + LANES),
        np.zeros(plan.neurons * LEAF + LANES),
        np.zeros(_measure_pad(plan.sizes[:-1], plan.sizes[1:])),
        np.zeros(_measure_pad(plan.sizes[1:], plan.sizes[:-1])),
        np.zeros(sums),
        np.zeros(LANES),
        Segments(np.empty((1 + widest // SEGMENT, LEAF)), np.empty((LANES, LEAF))),
    )


@compiled
def _measure_pad(widths, counts):
    size = 0
    for i in range(widths.shape[0]):
        size += pad(widths[i]) * counts[i]
    return size


@compiled
def arrange_weights(plan, parameters, leaf):
    """Copy the weights to where the sums read them."""
    weight, forward, backward = 0, 0, 0
    for layer in range(plan.sizes.shape[0] - 1):
        inputs, neurons = plan.sizes[layer], plan.sizes[layer + 1]
        for i in range(inputs):
            for j in range(neurons):
                w = parameters[weight + i * neurons + j]
                leaf.forward[forward + j * pad(inputs) + i] = w
                leaf.backward[backward + i * pad(neurons) + j] = w
        weight += inputs * neurons
        forward, backward = forward + neurons * pad(inputs), backward + inputs * pad(neurons)


@compiled
def load_inputs(data, start, count, rows):
    """Copy the inputs of a leaf to `rows`, standardized if they are to be; missing ones are 0."""
    features = data.inputs.shape[1]
    rows[:] = 0.0
    for r in range(count):
        row = rows[r * features : (r + 1) * features]
        for i in range(features):
            row[i] = data.inputs[start + r, i]
        for i in range(data.mean.shape[0]):
            centred = flush(row[i] - data.mean[i], SMALLEST_PRODUCT)
            row[i] = flush(centred * data.inverse_scale[i], TINY_INPUT)
