"""One iteration of the training: a map over blocks of examples, and an exact sum."""

from functools import reduce
from typing import Any

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import think
from neuron_xp.neuron.learning_rules import error_weighted_derivative
from neuron_xp.neuron.types import Array

Weights = tuple[Array, ...]


def block_sum(weights: Weights, inputs: Array, targets: Array, *, arithmetic: Arithmetic) -> Any:
    """The map: what a block of examples adds to the adjustment of the weights."""
    outputs = think(inputs, weights, arithmetic=arithmetic)
    delta = error_weighted_derivative(outputs, targets, arithmetic=arithmetic)
    return arithmetic.sum_over_examples(inputs, delta)


def adjust(weights: Weights, sum_: Any, learning_rate: Array, *, arithmetic: Arithmetic) -> Weights:
    """The weights + learning_rate * the sum over examples of error * input * gradient."""
    (layer,) = weights
    adjustment = arithmetic.multiply(arithmetic.total(sum_), learning_rate)
    return (arithmetic.flush(layer + adjustment),)


def step(
    weights: Weights,
    inputs: Array,
    targets: Array,
    learning_rate: Array,
    *,
    arithmetic: Arithmetic,
    block_rows: int,
) -> Weights:
    """One adjustment of the weights by the whole training set, `block_rows` at a time."""
    rows = inputs.shape[0]
    blocks = [(start, min(start + block_rows, rows)) for start in range(0, rows, block_rows)]
    sums = (
        block_sum(weights, inputs[a:b, :], targets[a:b, :], arithmetic=arithmetic)
        for a, b in blocks
    )
    return adjust(weights, reduce(arithmetic.merge, sums), learning_rate, arithmetic=arithmetic)
