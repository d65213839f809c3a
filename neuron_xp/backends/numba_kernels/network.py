"""A network's leaf of examples, and iterations over all of them, compiled by Numba.

The unit of work is a leaf of 64 examples, which stays in the processor's cache from its
inputs to the sums that it adds. Parameters are one flat array: the weights layer by layer,
inputs before neurons, then the biases if any.
"""

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import (
    accumulate,
    exp,
    flush,
    leaf_sum,
    log1p,
    look_up,
    merge,
    padded,
    sigmoid,
    single_products,
    sum_over_examples,
    total,
    units,
    weighted_sum,
)
from neuron_xp.backends.numba_kernels.compiler import compiled, kept, spliced
from neuron_xp.backends.numba_kernels.leaf import arrange, load, new_leaf
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.reproducible import LANES, SMALLEST_FACTOR, SMALLEST_PRODUCT

# Typed, because Numba compiles a function anew for each constant that it is given.
_ZERO, _MAY_BE_TINY = np.int64(0), np.bool_(False)

ARTICLE_RULE = 0
"""The number of `error_weighted_derivative`; any other is `cross_entropy`."""


@compiled
def _by_rows(columns, rows):
    for i in range(columns.shape[0]):
        for r in range(LEAF):
            rows[r * columns.shape[0] + i] = columns[i, r]


@spliced
def _forward(network, parameters, rows, first, leaf):
    """Find z and the output of every neuron, from 64 rows of inputs."""
    inputs, no_tiny_inputs, weight, neuron = network.sizes[0], network.no_tiny_inputs, _ZERO, _ZERO
    for neurons in network.sizes[1:]:
        size = padded(inputs)
        for j in range(neuron, neuron + neurons):
            z = leaf.z[j]
            weighted_sum(
                rows, first, inputs, leaf.forward, weight, size, no_tiny_inputs, leaf.segments, z
            )
            bias = parameters[network.weights + j] if network.has_biases else 0.0
            _sigmoids(z, bias, leaf.outputs[j])
            weight += size
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
        if neuron < network.neurons:
            _by_rows(leaf.outputs[neuron - neurons : neuron], rows[first:])


@compiled
def _sigmoids(z, bias, outputs):
    for r in range(LEAF):
        z[r] = z[r] + bias
        outputs[r] = sigmoid(z[r])


@spliced
def _deltas(network, data, start, count, leaf):
    """Of the last layer's neurons; 0 where there is no example."""
    first = network.neurons - network.sizes[-1]
    for j in range(network.sizes[-1]):
        outputs, deltas = leaf.outputs[first + j], leaf.deltas[first + j]
        for r in range(count):
            error = data.targets[start + r, j] - outputs[r]
            if network.rule == ARTICLE_RULE:
                error = error * (outputs[r] * (1.0 - outputs[r]))
            deltas[r] = flush(error, SMALLEST_FACTOR)
        _weigh(deltas, data, start, count)


@spliced
def _losses(network, data, start, count, leaf):
    """Of the last layer's neurons, in place of their deltas."""
    first = network.neurons - network.sizes[-1]
    for j in range(network.sizes[-1]):
        z, outputs, losses = leaf.z[first + j], leaf.outputs[first + j], leaf.deltas[first + j]
        for r in range(count):
            target = data.targets[start + r, j]
            if network.rule == ARTICLE_RULE:
                error = target - outputs[r]
                loss = 0.5 * (error * error)
            else:
                loss = ((z[r] if z[r] > 0.0 else 0.0) - target * z[r]) + log1p(exp(-abs(z[r])))
            losses[r] = flush(loss, SMALLEST_FACTOR)
        _weigh(losses, data, start, count)


@compiled
def _weigh(x, data, start, count):
    """Multiply by the sample weights, in place; 0 where there is no example."""
    if data.sample_weight.shape[0] > 0:
        for r in range(count):
            x[r] = flush(x[r] * data.sample_weight[start + r, 0], SMALLEST_FACTOR)
    for r in range(count, LEAF):
        x[r] = 0.0


@spliced
def _back_propagate(network, leaf):
    """From the last layer's deltas to those of the others."""
    after, weight = network.neurons - network.sizes[-1], leaf.backward.shape[0]
    for layer in range(network.sizes.shape[0] - 2, 0, -1):
        inputs, neurons = network.sizes[layer], network.sizes[layer + 1]
        neuron, size, first = after - inputs, padded(neurons), after * LEAF
        weight -= inputs * size
        _by_rows(leaf.deltas[after : after + neurons], leaf.delta_rows[first:])
        for i in range(inputs):
            errors = leaf.deltas[neuron + i]
            if neurons == 1:
                single_products(leaf.deltas[after], leaf.backward[weight + i * size], errors)
            else:
                weighted_sum(
                    leaf.delta_rows, first, neurons, leaf.backward, weight + i * size, size,
                    _MAY_BE_TINY, leaf.segments, errors,
                )  # fmt: skip
            _adjust_errors(errors, leaf.outputs[neuron + i])
        after = neuron


@compiled
def _adjust_errors(errors, outputs):
    for r in range(LEAF):
        gradient = outputs[r] * (1.0 - outputs[r])
        errors[r] = flush(errors[r] * gradient, SMALLEST_FACTOR)


@spliced
def _sums(network, rows, first, leaf):
    """What the leaf adds to the sum for each parameter."""
    inputs, no_tiny_inputs, weight, neuron = network.sizes[0], network.no_tiny_inputs, _ZERO, _ZERO
    for neurons in network.sizes[1:]:
        for j in range(neurons):
            delta = leaf.deltas[neuron + j]
            sum_over_examples(
                rows, first, inputs, delta, no_tiny_inputs, leaf.row, leaf.sums, weight + j, neurons
            )
        weight += inputs * neurons
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
    if network.has_biases:
        for j in range(network.neurons):
            leaf.sums[network.weights + j] = leaf_sum(leaf.deltas[j], leaf.row)


@kept
def add_sums(network, parameters, data, start, stop, accumulator):
    """Add the examples start ... stop - 1 to the exact sums; start is a multiple of 64."""
    leaf, grid = new_leaf(network, parameters.shape[0]), units(accumulator)
    _add_leaves(network, parameters, data, start, stop, leaf, grid, accumulator)


@spliced
def _add_leaves(network, parameters, data, start, stop, leaf, grid, accumulator):
    arrange(network, parameters, leaf)
    flat, features = data.flat, network.sizes[0]
    for first in range(start, stop, LEAF):
        count = min(LEAF, stop - first)
        in_place = data.mean.shape[0] == 0 and (first + LEAF) * features + LANES <= flat.shape[0]
        rows, row = flat, first * features
        if not in_place:
            load(data, first, count, leaf.inputs)
            rows, row = leaf.inputs, _ZERO
        _forward(network, parameters, rows, row, leaf)
        _deltas(network, data, first, count, leaf)
        _back_propagate(network, leaf)
        _sums(network, rows, row, leaf)
        accumulate(leaf.sums, accumulator, grid)


@kept
def add_losses(network, parameters, data, start, stop, accumulator):
    """Add the losses of the examples start ... stop - 1, for each output neuron."""
    leaf, grid = new_leaf(network, network.sizes[-1]), units(accumulator)
    arrange(network, parameters, leaf)
    last = network.neurons - network.sizes[-1]
    for first in range(start, stop, LEAF):
        count = min(LEAF, stop - first)
        load(data, first, count, leaf.inputs)
        _forward(network, parameters, leaf.inputs, _ZERO, leaf)
        _losses(network, data, first, count, leaf)
        for j in range(network.sizes[-1]):
            leaf.sums[j] = leaf_sum(leaf.deltas[last + j], leaf.row)
        accumulate(leaf.sums, accumulator, grid)


@kept
def merge_all(accumulators):
    """Add those of all threads to the first."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)


@kept
def totals(accumulator):
    """The sums that an accumulator holds."""
    sums = np.empty(accumulator.shape[1])
    for i in range(sums.shape[0]):
        sums[i] = total(accumulator, i)
    return sums


@kept
def adjust(network, parameters, accumulators, learning_rate, l2):
    """Add learning_rate * (sum - l2 * weight) to each parameter, in place; forget the sums."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)
    for i in range(parameters.shape[0]):
        sum_ = total(accumulators[0], i)
        if l2 != 0.0 and i < network.weights:
            sum_ = sum_ - flush(parameters[i] * l2, SMALLEST_PRODUCT)
        parameters[i] = flush(parameters[i] + sum_ * learning_rate, SMALLEST_FACTOR)
    accumulators[:] = 0


@kept
def iterate(network, parameters, data, accumulator, learning_rate, l2, count):
    """`count` iterations by one thread."""
    leaf, grid = new_leaf(network, parameters.shape[0]), units(accumulator[0])
    for _ in range(count):
        look_up(accumulator[0], grid)
        rows = data.inputs.shape[0]
        _add_leaves(network, parameters, data, 0, rows, leaf, grid, accumulator[0])
        adjust(network, parameters, accumulator, learning_rate, l2)
