"""Leaves, groups of 64 examples: where their numbers come from, and where they are worked on."""

from typing import NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import Segments, pad
from neuron_xp.backends.numba_kernels.compiler import allocating, compiled, inlined
from neuron_xp.backends.numba_kernels.llvm.vectors import WIDTH, standardize_eight
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT
from neuron_xp.neuron.reproducible.exact_sum import LEAF


class LeafSource(NamedTuple):
    """Examples in memory, as the kernels read them; an array that is not given is empty.

    memory : (numbers,), all that lies between the first and the last of the inputs
    row_step, column_step : from a number there to that of the next example, or input: so there is
        one type for Numba, and one compilation, whatever the order in memory
    mean, inverse_scale : of each input, then zeros, one vector of them at least
    """

    memory: np.ndarray
    row_step: int
    column_step: int
    targets: np.ndarray
    sample_weight: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray


class NetworkPlan(NamedTuple):
    """Numbers that say how a network is computed, and for what.

    sizes : inputs, then neurons of each layer
    neurons, weights : of all layers together
    rule : a number of `RULE_CODES`
    no_tiny_inputs : whether every input is 0 or at least 2^-60 in magnitude
    losses, gradients : what is added to the sums, the losses before the gradients
    """

    sizes: np.ndarray
    neurons: int
    weights: int
    has_biases: bool
    rule: int
    no_tiny_inputs: bool
    losses: bool
    gradients: bool


class Leaf(NamedTuple):
    """Arrays in which a leaf is worked on. Neurons are counted from the first hidden one.

    copied, standardized : (64 * inputs,), inputs that are not taken where they are
    held : (2,), the number of the first example of the leaf that each of these two holds
    targets : (outputs, 64)
    z, outputs, deltas : (neurons, 64), weighted sums, what the activation makes of them, and
        what each weighted sum is to be moved by; until that is known, e^-|z| or a softmax's e^z
    output_rows, delta_rows : (64 * neurons,), the same by rows, layer after layer
    forward, backward : the weights as rows of `padded` length: a neuron's, and, of the layers
        after the first, an input's
    losses : (64,), those of one neuron
    totals : (64,), of a softmax's exponentials
    """

    held: np.ndarray
    copied: np.ndarray
    standardized: np.ndarray
    targets: np.ndarray
    z: np.ndarray
    outputs: np.ndarray
    deltas: np.ndarray
    output_rows: np.ndarray
    delta_rows: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    losses: np.ndarray
    totals: np.ndarray
    sums: np.ndarray
    row: np.ndarray
    segments: Segments


@allocating
def make_leaf(plan, data, sums):
    """Return an empty leaf, for a network and a number of sums over examples."""
    segments = 1 + _find_largest(plan.sizes) // SEGMENT
    inputs = plan.sizes[0] * LEAF + LANES
    return Leaf(
        np.full(2, -1),
        np.zeros(inputs),
        np.zeros(inputs if data.mean.shape[0] > 0 else 0),
        np.zeros((plan.sizes[-1], LEAF)),
        np.zeros((plan.neurons, LEAF)),
        np.zeros((plan.neurons, LEAF)),
        np.zeros((plan.neurons, LEAF)),
        np.zeros(plan.neurons * LEAF + LANES),
        np.zeros(plan.neurons * LEAF + LANES),
        np.zeros(_measure_pad(plan.sizes[:-1], plan.sizes[1:])),
        np.zeros(_measure_pad(plan.sizes[2:], plan.sizes[1:-1])),
        np.zeros(LEAF),
        np.zeros(LEAF),
        np.zeros(sums),
        np.zeros(LANES),
        Segments(np.empty((segments, LEAF)), np.empty((segments, LEAF)), np.empty((LANES, LEAF))),
    )


@compiled
def _find_largest(sizes):
    # Numba's own `max` comes with much more code, and with SciPy's linear algebra
    largest = sizes[0]
    for size in sizes[1:]:
        largest = max(largest, size)
    return largest


@compiled
def _measure_pad(widths, counts):
    size = 0
    for i in range(widths.shape[0]):
        size += pad(widths[i]) * counts[i]
    return size


@compiled
def arrange_weights(plan, parameters, leaf):
    """Copy the weights to where the sums read them."""
    first, forward, backward = 0, 0, 0
    for layer in range(plan.sizes.shape[0] - 1):
        inputs, neurons = plan.sizes[layer], plan.sizes[layer + 1]
        weights = parameters[first : first + inputs * neurons]
        for j in range(neurons):
            row = leaf.forward[forward : forward + inputs]
            if neurons == 1:  # by vectors, as the compiler knows that they lie side by side
                _copy(weights, row)
            else:
                _copy(weights[j::neurons], row)
            forward += pad(inputs)
        if layer > 0:
            for i in range(inputs):
                _copy(weights[i * neurons :], leaf.backward[backward : backward + neurons])
                backward += pad(neurons)
        first += inputs * neurons


@inlined
def _copy(source, target):
    for i in range(target.shape[0]):
        target[i] = source[i]


@compiled
def copy_inputs(data, features, start, count, rows):
    """Copy the inputs of a leaf to `rows`; an example stands in for those that are missing.

    So what they have is finite if what the examples have is, and multiplied by their delta, 0.
    """
    for r in range(LEAF):
        row = rows[r * features : (r + 1) * features]
        first = (start + min(r, count - 1)) * data.row_step
        for i in range(features):
            row[i] = data.memory[first + i * data.column_step]


@compiled
def standardize(rows, first, features, data, found):
    """See `step.standardize`: 64 rows. What is written beyond a row, the next one replaces."""
    for r in range(LEAF):
        row = r * features
        for i in range(0, features, WIDTH):
            standardize_eight(
                rows, first + row + i, data.mean, data.inverse_scale, i, found, row + i
            )


@compiled
def copy_targets(targets, start, count, columns):
    """Copy the targets of a leaf to columns, one for each output."""
    for j in range(targets.shape[1]):
        for r in range(count):
            columns[j, r] = targets[start + r, j]
