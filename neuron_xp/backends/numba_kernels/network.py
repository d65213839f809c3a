"""A network on one leaf of examples, and iterations over all leaves, compiled by Numba.

A leaf is a group of 64 examples, the unit of work, which stays in the processor's cache from its
inputs to the sums that it adds. Parameters are one flat array: the weights layer by layer,
inputs before neurons, then the biases if any.
"""

from typing import NamedTuple

import numpy as np

from neuron_xp.backends.numba_kernels.arithmetic import (
    FOUR,
    PAIR,
    accumulate,
    find_totals,
    merge,
    multiply_by_one,
    pad,
    sum_leaf,
    sum_over_examples,
    take_together,
    weighted_sums,
)
from neuron_xp.backends.numba_kernels.compiler import compiled, kept, spliced
from neuron_xp.backends.numba_kernels.functions import flush
from neuron_xp.backends.numba_kernels.leaf import (
    arrange_weights,
    copy_inputs,
    copy_targets,
    make_leaf,
    standardize,
)
from neuron_xp.backends.numba_kernels.llvm.meeting import arrive, begin_round, is_over, take_task
from neuron_xp.backends.numba_kernels.rules import (
    SOFTMAX,
    WEIGHTED_SUMS,
    find_deltas,
    find_losses,
    find_sigmoids,
    find_softmax,
)
from neuron_xp.neuron.reproducible.elementary import LANES, SMALLEST_FACTOR, SMALLEST_PRODUCT
from neuron_xp.neuron.reproducible.exact_sum import LEAF

# Typed, because Numba compiles a function anew for each constant that it is given.
_ZERO, _ONE, _MAY_BE_TINY = np.int64(0), np.int64(1), np.bool_(False)


@compiled
def _store_by_rows(columns, rows):
    for i in range(columns.shape[0]):
        for r in range(LEAF):
            rows[r * columns.shape[0] + i] = columns[i, r]


@spliced
def _forward(plan, parameters, rows, first, count, leaf):
    """Find z and the output of every neuron, from the first `count` of 64 rows of inputs."""
    inputs, no_tiny_inputs, weight, neuron = plan.sizes[0], plan.no_tiny_inputs, _ZERO, _ZERO
    last = plan.neurons - plan.sizes[-1]
    for neurons in plan.sizes[1:]:
        most = PAIR if inputs > LANES else _ONE
        j, end = neuron, neuron + neurons
        while j < end:
            together = take_together(end - j, most)
            weighted_sums(
                rows, first, inputs, leaf.forward, weight, inputs, count, together, no_tiny_inputs,
                leaf.segments, leaf.z, j,
            )  # fmt: skip
            weight += pad(inputs) * together
            j += together
        for k in range(neuron, end):
            if plan.has_biases:
                _add(leaf.z[k], parameters[plan.weights + k])
            if plan.rule != SOFTMAX or k < last:
                find_sigmoids(leaf.z[k], count, leaf.outputs[k], leaf.deltas[k])
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
        if neuron < plan.neurons:
            _store_by_rows(leaf.outputs[neuron - neurons : neuron], rows[first:])
    if plan.rule == SOFTMAX:
        find_softmax(
            leaf.z[last:], leaf.outputs[last:], leaf.deltas[last:], leaf.segments, leaf.losses,
            leaf.totals,
        )  # fmt: skip


@compiled
def _add(z, bias):
    for r in range(LEAF):
        z[r] = z[r] + bias


@spliced
def _back_propagate(plan, rows, count, leaf):
    """Find the deltas of the hidden layers from those of the last one."""
    # of the type of the inputs' rows, so that one `weighted_sum` is compiled for both
    delta_rows = leaf.delta_rows if plan.gradients else rows
    after, weight = plan.neurons - plan.sizes[-1], leaf.backward.shape[0]
    for layer in range(plan.sizes.shape[0] - 2, 0, -1):
        inputs, neurons = plan.sizes[layer], plan.sizes[layer + 1]
        neuron, size, first = after - inputs, pad(neurons), after * LEAF
        weight -= inputs * size
        _store_by_rows(leaf.deltas[after : after + neurons], leaf.delta_rows[first:])
        most = PAIR if neurons > LANES else _ONE
        i = _ZERO
        while i < inputs:
            together = take_together(inputs - i, most)
            if neurons == 1:
                w = leaf.backward[weight + i * size]
                multiply_by_one(leaf.deltas[after], w, leaf.deltas[neuron + i])
            else:
                weighted_sums(
                    delta_rows, first, neurons, leaf.backward, weight + i * size, neurons, count,
                    together, _MAY_BE_TINY, leaf.segments, leaf.deltas, neuron + i,
                )  # fmt: skip
            i += together
        for k in range(neuron, after):
            _adjust_errors(leaf.deltas[k], leaf.outputs[k], count)
        after = neuron


@compiled
def _adjust_errors(errors, outputs, count):
    for r in range(LEAF):
        gradient = outputs[r] * (1.0 - outputs[r])
        errors[r] = flush(errors[r] * gradient, SMALLEST_FACTOR)
    for r in range(count, LEAF):  # of an earlier leaf
        errors[r] = 0.0


@spliced
def _find_sums(plan, rows, first, count, leaf):
    """Find what the leaf adds to the sum for each parameter."""
    inputs, no_tiny_inputs, weight, neuron = plan.sizes[0], plan.no_tiny_inputs, _ZERO, _ZERO
    sums = leaf.sums[plan.sizes[-1] :] if plan.losses else leaf.sums
    for neurons in plan.sizes[1:]:
        j = _ZERO
        while j < neurons:
            together = take_together(neurons - j, FOUR)
            sum_over_examples(
                rows, first, inputs, leaf.deltas, neuron + j, together, count, no_tiny_inputs,
                leaf.row, sums, weight + j, neurons,
            )  # fmt: skip
            j += together
        weight += inputs * neurons
        rows, first, inputs, no_tiny_inputs = leaf.output_rows, neuron * LEAF, neurons, _MAY_BE_TINY
        neuron += neurons
    if plan.has_biases:
        for k in range(plan.neurons):
            sums[plan.weights + k] = sum_leaf(leaf.deltas[k], leaf.row)


class Shared(NamedTuple):
    """What the threads of an iteration share.

    ranges : (tasks, 2), first and last + 1 of the examples of each task; the first is a multiple
        of 64
    sums : (threads, 4, sums), an accumulator for each
    meeting : where they meet
    """

    ranges: np.ndarray
    sums: np.ndarray
    meeting: np.ndarray


@kept
def iterate(plan, parameters, data, shared, thread, outputs, learning_rate, l2, count):
    """Run `count` iterations, in this thread of those that share the examples.

    With none to run, add examples to the thread's exact sums once, and store what the last layer
    makes of them if there is an array for it: one function does all, because it takes seconds
    to compile. Tells what `_add_leaves` does.
    """
    accumulator = shared.sums[thread]
    leaf, is_finite = make_leaf(plan, data, accumulator.shape[1]), True
    for _ in range(max(count, 1)):
        task = take_task(shared.meeting)
        while task < shared.ranges.shape[0]:
            start, stop = shared.ranges[task]
            found = _add_leaves(plan, parameters, data, start, stop, leaf, accumulator, outputs)
            is_finite, task = is_finite and found, take_task(shared.meeting)
        if count > 0 and arrive(shared.meeting, shared.sums.shape[0]):
            _adjust(plan, parameters, shared.sums, leaf.sums, learning_rate, l2)
            begin_round(shared.meeting)
        if is_over(shared.meeting):
            break
    return is_finite


@compiled
def _add_leaves(plan, parameters, data, start, stop, leaf, accumulator, outputs):
    """Add the examples start ... stop - 1 to the exact sums; store their outputs, if asked to.

    Tells then whether the first neuron's weighted sums are all finite. So are the inputs if they
    are: one that is not would stay so, whatever it is multiplied by and added to.
    """
    arrange_weights(plan, parameters, leaf)
    is_finite = True
    for first in range(start, stop, LEAF):
        count = min(LEAF, stop - first)
        rows, row = _find_rows(plan, data, first, count, leaf)
        copy_targets(data.targets, first, count, leaf.targets)
        _forward(plan, parameters, rows, row, count, leaf)
        if outputs.shape[0] > 0:
            is_finite = _store_outputs(plan, first, count, leaf, outputs) and is_finite
        if plan.losses:
            find_losses(plan, data, first, count, leaf)
        if plan.gradients:
            find_deltas(plan, data, first, count, leaf)
            _back_propagate(plan, rows, count, leaf)
            _find_sums(plan, rows, row, count, leaf)
        accumulate(leaf.sums, accumulator)
    return is_finite


@compiled
def _store_outputs(plan, first, count, leaf, outputs):
    """Store what the last layer makes of a leaf; tell whether the first neuron's z are finite."""
    last, is_finite = plan.neurons - plan.sizes[-1], True
    found = leaf.z if plan.rule == WEIGHTED_SUMS else leaf.outputs
    for j in range(plan.sizes[-1]):
        for r in range(count):
            outputs[first + r, j] = found[last + j, r] + 0.0
    for r in range(count):
        is_finite = is_finite and abs(leaf.z[0, r]) < np.inf
    return is_finite


@spliced
def _find_rows(plan, data, first, count, leaf):
    """Find the inputs of a leaf, 64 rows of a flat array, and where in it they begin."""
    rows, row, features = data.memory, first * plan.sizes[0], plan.sizes[0]
    is_in_order = data.column_step == 1 and data.row_step == features
    if not is_in_order or row + LEAF * features + LANES > rows.shape[0]:
        if leaf.held[0] != first:
            copy_inputs(data, features, first, count, leaf.copied)
            leaf.held[0] = first
        rows, row = leaf.copied, _ZERO
    if data.mean.shape[0] > 0:
        if leaf.held[1] != first:
            standardize(rows, row, features, data, leaf.standardized)
            leaf.held[1] = first
        rows, row = leaf.standardized, _ZERO
    return rows, row


@kept
def merge_accumulators(accumulators):
    """Add the accumulators of all threads to the first."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)


@kept
def list_totals(accumulator):
    """Return the sums that an accumulator holds, as floats."""
    sums = np.empty(accumulator.shape[1])
    find_totals(accumulator, sums)
    return sums


@compiled
def _adjust(plan, parameters, accumulators, sums, learning_rate, l2):
    """Add learning_rate * (sum - l2 * weight) to each parameter, in place; forget the sums."""
    for other in accumulators[1:]:
        merge(accumulators[0], other)
    find_totals(accumulators[0], sums)
    if l2 != 0.0:
        for i in range(plan.weights):
            sums[i] = sums[i] - flush(parameters[i] * l2, SMALLEST_PRODUCT)
    for i in range(parameters.shape[0]):
        parameters[i] = flush(parameters[i] + sums[i] * learning_rate, SMALLEST_FACTOR)
    accumulators[:] = 0
