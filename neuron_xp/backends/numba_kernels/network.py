"""A network on one leaf of examples, and iterations over all leaves, compiled by Numba.

A leaf is a group of 64 examples, the unit of work, which stays in the processor's cache from its
inputs to the sums that it adds. Parameters are one flat array: the weights layer by layer,
inputs before neurons, then the biases if any.
"""

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import (
    accumulate,
    exp,
    flush,
    log1p,
    look_up_units,
    merge,
    multiply_by_one,
    pad,
    renew_units,
    sigmoid,
    sum_leaf,
    sum_over_examples,
    total,
    weighted_sum,
)
from neuron_xp.backends.numba_kernels.compiler import compiled, kept, spliced
from neuron_xp.backends.numba_kernels.leaf import arrange_weights, load_inputs, make_leaf
from neuron_xp.neuron.reproducible.elementary import LANES, SMALLEST_FACTOR, SMALLEST_PRODUCT
from neuron_xp.neuron.reproducible.exact_sum import LEAF

# Typed, because Numba compiles a function anew for each constant that it is given.
_ZERO, _MAY_BE_TINY = np.int64(0), np.bool_(False)

ARTICLE_RULE = 0
"""The number of `error_weighted_derivative`; any other is `cross_entropy`."""


@compiled
def _store_by_rows(columns, rows):
    for i in range(columns.shape[0]):
        for r in range(LEAF):
            rows[r * columns.shape[0] + i] = columns[i, r]


@spliced
def _forward(plan, parameters, rows, first, leaf):
    """Find z and the output of every neuron, from 64 rows of inputs."""
    inputs, no_tiny_inputs, weight, neuron = plan.sizes[0], plan.no_tiny_inputs, _ZERO, _ZERO
    for neurons in plan.sizes[1:]:
        size = pad(inputs)
        for j in range(neuron, neuron + neurons):
            z = leaf.z[j]
            weighted_sum(
                rows, first, inputs, leaf.forward, weight, size, no_tiny_inputs, leaf.segments, z
            )
            bias = parameters[plan.weights + j] if plan.has_biases else 0.0
            _find_outputs(z, bias, leaf.outputs[j])
            weight += size
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
        if neuron < plan.neurons:
            _store_by_rows(leaf.outputs[neuron - neurons : neuron], rows[first:])


@compiled
def _find_outputs(z, bias, outputs):
    for r in range(LEAF):
        z[r] = z[r] + bias
        outputs[r] = sigmoid(z[r])


@spliced
def _find_deltas(plan, data, start, count, leaf):
    """Find the deltas of the last layer's neurons: what each weighted sum is to be moved by.

    They are 0 where there is no example.
    """
    first = plan.neurons - plan.sizes[-1]
    for j in range(plan.sizes[-1]):
        outputs, deltas = leaf.outputs[first + j], leaf.deltas[first + j]
        for r in range(count):
            error = data.targets[start + r, j] - outputs[r]
            if plan.rule == ARTICLE_RULE:
                error = error * (outputs[r] * (1.0 - outputs[r]))
            deltas[r] = flush(error, SMALLEST_FACTOR)
        _weigh(deltas, data, start, count)


@spliced
def _find_losses(plan, data, start, count, leaf):
    """Find the losses of the last layer's neurons, and store them in place of their deltas."""
    first = plan.neurons - plan.sizes[-1]
    for j in range(plan.sizes[-1]):
        z, outputs, losses = leaf.z[first + j], leaf.outputs[first + j], leaf.deltas[first + j]
        for r in range(count):
            target = data.targets[start + r, j]
            if plan.rule == ARTICLE_RULE:
                error = target - outputs[r]
                loss = 0.5 * (error * error)
            else:
                loss = ((z[r] if z[r] > 0.0 else 0.0) - target * z[r]) + log1p(exp(-abs(z[r])))
            losses[r] = flush(loss, SMALLEST_FACTOR)
        _weigh(losses, data, start, count)


@compiled
def _weigh(x, data, start, count):
    """Multiply by the sample weights, in place; set 0 where there is no example."""
    if data.sample_weight.shape[0] > 0:
        for r in range(count):
            x[r] = flush(x[r] * data.sample_weight[start + r, 0], SMALLEST_FACTOR)
    for r in range(count, LEAF):
        x[r] = 0.0


@spliced
def _back_propagate(plan, leaf):
    """Find the deltas of the hidden layers from those of the last one."""
    after, weight = plan.neurons - plan.sizes[-1], leaf.backward.shape[0]
    for layer in range(plan.sizes.shape[0] - 2, 0, -1):
        inputs, neurons = plan.sizes[layer], plan.sizes[layer + 1]
        neuron, size, first = after - inputs, pad(neurons), after * LEAF
        weight -= inputs * size
        _store_by_rows(leaf.deltas[after : after + neurons], leaf.delta_rows[first:])
        for i in range(inputs):
            errors = leaf.deltas[neuron + i]
            if neurons == 1:
                multiply_by_one(leaf.deltas[after], leaf.backward[weight + i * size], errors)
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
def _find_sums(plan, rows, first, leaf):
    """Find what the leaf adds to the sum for each parameter."""
    inputs, no_tiny_inputs, weight, neuron = plan.sizes[0], plan.no_tiny_inputs, _ZERO, _ZERO
    for neurons in plan.sizes[1:]:
        for j in range(neurons):
            delta = leaf.deltas[neuron + j]
            sum_over_examples(
                rows, first, inputs, delta, no_tiny_inputs, leaf.row, leaf.sums, weight + j, neurons
            )
        weight += inputs * neurons
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
    if plan.has_biases:
        for j in range(plan.neurons):
            leaf.sums[plan.weights + j] = sum_leaf(leaf.deltas[j], leaf.row)


@kept
def add_sums(plan, parameters, data, start, stop, accumulator):
    """Add the examples start ... stop - 1 to the exact sums; start is a multiple of 64."""
    leaf, units = make_leaf(plan, parameters.shape[0]), look_up_units(accumulator)
    _add_leaves(plan, parameters, data, start, stop, leaf, units, accumulator)


@spliced
def _add_leaves(plan, parameters, data, start, stop, leaf, units, accumulator):
    arrange_weights(plan, parameters, leaf)
    flat, features = data.flat, plan.sizes[0]
    for first in range(start, stop, LEAF):
        count = min(LEAF, stop - first)
        in_place = data.mean.shape[0] == 0 and (first + LEAF) * features + LANES <= flat.shape[0]
        rows, row = flat, first * features
        if not in_place:
            load_inputs(data, first, count, leaf.inputs)
            rows, row = leaf.inputs, _ZERO
        _forward(plan, parameters, rows, row, leaf)
        _find_deltas(plan, data, first, count, leaf)
        _back_propagate(plan, leaf)
        _find_sums(plan, rows, row, leaf)
        accumulate(leaf.sums, accumulator, units)


@kept
def add_losses(plan, parameters, data, start, stop, accumulator):
    """Add the losses of the examples start ... stop - 1, for each output neuron."""
    leaf, units = make_leaf(plan, plan.sizes[-1]), look_up_units(accumulator)
    arrange_weights(plan, parameters, leaf)
    last = plan.neurons - plan.sizes[-1]
    for first in range(start, stop, LEAF):
        count = min(LEAF, stop - first)
        load_inputs(data, first, count, leaf.inputs)
        _forward(plan, parameters, leaf.inputs, _ZERO, leaf)
        _find_losses(plan, data, first, count, leaf)
        for j in range(plan.sizes[-1]):
            leaf.sums[j] = sum_leaf(leaf.deltas[last + j], leaf.row)
        accumulate(leaf.sums, accumulator, units)


@kept
def merge_accumulators(accumulators):
    """Add the accumulators of all threads to the first."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)


@kept
def find_totals(accumulator):
    """Return the sums that an accumulator holds, as floats."""
    sums = np.empty(accumulator.shape[1])
    for i in range(sums.shape[0]):
        sums[i] = total(accumulator, i)
    return sums


@kept
def adjust(plan, parameters, accumulators, learning_rate, l2):
    """Add learning_rate * (sum - l2 * weight) to each parameter, in place; forget the sums."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)
    for i in range(parameters.shape[0]):
        sum_ = total(accumulators[0], i)
        if l2 != 0.0 and i < plan.weights:
            sum_ = sum_ - flush(parameters[i] * l2, SMALLEST_PRODUCT)
        parameters[i] = flush(parameters[i] + sum_ * learning_rate, SMALLEST_FACTOR)
    accumulators[:] = 0


@kept
def iterate(plan, parameters, data, accumulator, learning_rate, l2, count):
    """Run `count` iterations in one thread."""
    leaf, units = make_leaf(plan, parameters.shape[0]), look_up_units(accumulator[0])
    for _ in range(count):
        renew_units(accumulator[0], units)
        rows = data.inputs.shape[0]
        _add_leaves(plan, parameters, data, 0, rows, leaf, units, accumulator[0])
        adjust(plan, parameters, accumulator, learning_rate, l2)
