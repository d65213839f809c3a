"""One iteration of the training: a map over blocks of examples, and an exact sum."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import Parameters, back_propagate, forward
from neuron_xp.neuron.losses import LearningRule
from neuron_xp.neuron.types import Array


class Scaling(NamedTuple):
    """Standardization, (features,) each: (inputs - mean) * inverse_scale."""

    mean: Array
    inverse_scale: Array


class Examples(NamedTuple):
    """Rows to learn from, and how they are weighed and scaled.

    inputs : (rows, features)
    targets : (rows, neurons)
    sample_weight : (rows, 1), how much each example counts; or None
    scaling : how the inputs are to be standardized; or None
    """

    inputs: Array
    targets: Array
    sample_weight: Array | None = None
    scaling: Scaling | None = None

    def select(self, rows: Callable[[Array], Array]) -> "Examples":
        """Select examples: `rows` is applied to each array."""
        weight = None if self.sample_weight is None else rows(self.sample_weight)
        return Examples(rows(self.inputs), rows(self.targets), weight, self.scaling)


def blocks(examples: Examples, block_rows: int) -> Iterator[Examples]:
    """Yield the examples in order, `block_rows` at a time."""
    rows = examples.inputs.shape[0]
    for start in range(0, rows, block_rows):
        yield examples.select(partial(_cut_rows, start=start, stop=min(start + block_rows, rows)))


def _cut_rows(x: Array, start: int, stop: int) -> Array:
    return x[start:stop, :]


def fold(
    merge: Callable[[Any, Any], Any],
    function: Callable[[Examples], Any],
    examples: Examples,
    block_rows: int,
) -> Any:
    """Apply `function` to each block of examples, and merge the results."""
    if examples.inputs.shape[0] <= block_rows:
        return function(examples)
    return reduce(merge, map(function, blocks(examples, block_rows)))


@dataclass(frozen=True, eq=False)
class Method:
    """The way in which a step is computed.

    block_rows : examples at a time, a multiple of 64
    fold : map and merge over the blocks; merging is exact, so any order will do
    """

    arithmetic: Arithmetic
    rule: LearningRule
    block_rows: int
    fold: Callable[..., Any] = fold


def sum_over_blocks(
    function: Callable[[Examples], tuple[Any, ...]], examples: Examples, *, method: Method
) -> tuple[Array, ...]:
    """Map `function` over the blocks, and total the accumulators that it returns."""
    merge = partial(merge_blocks, arithmetic=method.arithmetic)
    sums = method.fold(merge, function, examples, method.block_rows)
    return tuple(method.arithmetic.total(sum_) for sum_ in sums)


def merge_blocks(
    a: tuple[Any, ...], b: tuple[Any, ...], *, arithmetic: Arithmetic
) -> tuple[Any, ...]:
    """Merge the accumulators of two blocks, pair by pair."""
    return tuple(arithmetic.merge(x, y) for x, y in zip(a, b, strict=True))


def standardize(inputs: Array, scaling: Scaling | None, *, arithmetic: Arithmetic) -> Array:
    """Compute (inputs - mean) * inverse_scale; without scaling, return the inputs."""
    if scaling is None:
        return inputs
    centred = arithmetic.flush_products(inputs - scaling.mean)
    return arithmetic.flush_inputs(arithmetic.multiply(centred, scaling.inverse_scale))


def _weigh(x: Array, sample_weight: Array | None, *, arithmetic: Arithmetic) -> Array:
    if sample_weight is None:
        return x
    return arithmetic.flush(arithmetic.multiply(x, sample_weight))


def _look(
    examples: Examples, parameters: Parameters, *, method: Method
) -> tuple[list[Array], Array]:
    """Return the inputs and the outputs of each layer, and the last layer's z."""
    inputs = standardize(examples.inputs, examples.scaling, arithmetic=method.arithmetic)
    activation = method.rule.activation
    return forward(inputs, parameters, activation=activation, arithmetic=method.arithmetic)


def block_sums(examples: Examples, parameters: Parameters, *, method: Method) -> tuple[Any, ...]:
    """Compute a block's accumulators: for each layer's weights, then for each layer's biases."""
    values, _ = _look(examples, parameters, method=method)
    return _sum_downhill(values, examples, parameters, method=method)


def _sum_downhill(
    values: list[Array], examples: Examples, parameters: Parameters, *, method: Method
) -> tuple[Any, ...]:
    arithmetic = method.arithmetic
    delta = method.rule.delta(values[-1], examples.targets, arithmetic=arithmetic)
    delta = _weigh(delta, examples.sample_weight, arithmetic=arithmetic)
    deltas = back_propagate(delta, values, parameters, arithmetic=arithmetic)
    sums = [
        arithmetic.sum_over_examples(values[layer], delta, of_data=layer == 0)
        for layer, delta in enumerate(deltas)
    ]
    if parameters.biases:
        sums += map(arithmetic.column_sums, deltas)
    return tuple(sums)


def total(
    function: Callable[..., tuple[Any, ...]],
    parameters: Parameters,
    examples: Examples,
    *,
    method: Method,
) -> tuple[Array, ...]:
    """Sum what `block_sums`, `block_losses` or both give, over all of the examples."""
    block = partial(function, parameters=parameters, method=method)
    return sum_over_blocks(block, examples, method=method)


def adjust(
    parameters: Parameters,
    sums: tuple[Array, ...],
    learning_rate: Array,
    l2: Array | None,
    *,
    arithmetic: Arithmetic,
) -> Parameters:
    """Add learning_rate * (sum - l2 * weights) to weights, learning_rate * sum to biases."""

    def move(old: Array, sum_: Array) -> Array:
        return arithmetic.flush(old + arithmetic.multiply(sum_, learning_rate))

    def shrink(sum_: Array, weights: Array) -> Array:
        if l2 is None:
            return sum_
        return sum_ - arithmetic.flush_products(arithmetic.multiply(weights, l2))

    weights, biases = parameters
    of_weights, of_biases = sums[: len(weights)], sums[len(weights) :]
    return Parameters(
        tuple(map(move, weights, map(shrink, of_weights, weights))),
        tuple(map(move, biases, of_biases)),
    )


def step(
    parameters: Parameters,
    examples: Examples,
    learning_rate: Array,
    l2: Array | None,
    *,
    method: Method,
) -> Parameters:
    """Adjust the parameters once, by all of the examples."""
    sums = total(block_sums, parameters, examples, method=method)
    return adjust(parameters, sums, learning_rate, l2, arithmetic=method.arithmetic)


def block_losses(examples: Examples, parameters: Parameters, *, method: Method) -> tuple[Any]:
    """Compute a block's accumulator of the loss of each output neuron."""
    values, z = _look(examples, parameters, method=method)
    return (_sum_losses(z, values[-1], examples, method=method),)


def _sum_losses(z: Array, outputs: Array, examples: Examples, *, method: Method) -> Any:
    arithmetic = method.arithmetic
    losses = method.rule.loss(z, outputs, examples.targets, arithmetic=arithmetic)
    losses = _weigh(losses, examples.sample_weight, arithmetic=arithmetic)
    return arithmetic.column_sums(losses)


def block_losses_and_sums(
    examples: Examples, parameters: Parameters, *, method: Method
) -> tuple[Any, ...]:
    """Compute what `block_losses` and then `block_sums` give, in one look at the block."""
    values, z = _look(examples, parameters, method=method)
    losses = _sum_losses(z, values[-1], examples, method=method)
    return losses, *_sum_downhill(values, examples, parameters, method=method)


def loss(parameters: Parameters, examples: Examples, *, method: Method) -> Array:
    """The rule's loss, summed over the examples, for each output neuron."""
    return total(block_losses, parameters, examples, method=method)[0]
