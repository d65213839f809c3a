"""Numbers that are computed from all of the data: scaling, a safe learning rate, the loss."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.optimizers.gradient import divide_by_count
from neuron_xp.neuron.reproducible.elementary import SMALLEST_NORMAL
from neuron_xp.neuron.reproducible.exact_sum import add_exactly
from neuron_xp.neuron.step import Examples, Method, Scaling, standardize
from neuron_xp.neuron.types import Array
from neuron_xp.training.data.training_set import TrainingSet

ROUNDING = 2.0**-50
"""The share of a mean within which a deviation may be that of rounding."""


def sum_columns(block: Examples, *, method: Method) -> tuple[Any]:
    """Return what a block adds to the sum of each column."""
    return (method.arithmetic.column_sums(block.inputs),)


def sum_weighted_columns(block: Examples, *, method: Method) -> tuple[Any]:
    """Return what a block adds to each column's sum of inputs * sample weight."""
    return (method.arithmetic.column_sums(_weigh(block.inputs, block, method)),)


def sum_squares(block: Examples, mean: Array, per_unit: Array, *, method: Method) -> tuple[Any]:
    """Return what a block adds to each column's sum of ((inputs - mean) * per_unit)^2."""
    return (method.arithmetic.column_sums(_square(block, mean, per_unit, method)),)


def sum_weighted_squares(
    block: Examples, mean: Array, per_unit: Array, *, method: Method
) -> tuple[Any]:
    """Return what a block adds to that sum, each term times the sample weight."""
    squares = _square(block, mean, per_unit, method)
    return (method.arithmetic.column_sums(_weigh(squares, block, method)),)


def _square(block: Examples, mean: Array, per_unit: Array, method: Method) -> Array:
    arithmetic = method.arithmetic
    near_one = arithmetic.flush_products(block.inputs - mean) * per_unit
    return arithmetic.multiply(near_one, near_one)


def _weigh(values: Array, block: Examples, method: Method) -> Array:
    """Multiply each row of values by its sample weight, if there are any."""
    if block.sample_weight is None:
        return values
    return method.arithmetic.multiply(values, block.sample_weight)


def sum_squared_norms(block: Examples, *, method: Method) -> tuple[Any, Any]:
    """Return what a block adds to each column's sum of squares, and to that of ones."""
    arithmetic = method.arithmetic
    x = standardize(block.inputs, block.scaling, arithmetic=arithmetic)
    of_x = arithmetic.flush_products(arithmetic.multiply(x, x))
    weight = block.sample_weight
    if weight is None:
        weight = arithmetic.xp.ones_like(x[:, :1])
    return (
        arithmetic.column_sums(arithmetic.multiply(of_x, weight)),
        arithmetic.column_sums(weight),
    )


def find_scaling(data: TrainingSet, *, weighted: bool = False) -> Scaling:
    """Return mean and inverse standard deviation of each column: exact sums, one square root.

    The deviation is the population's, sqrt(sum (x - mean)^2 / rows). A constant column is
    centred and left: its inverse is 1. Both are NumPy arrays, of the type of the inputs.

    weighted : whether each row counts by its sample weight, as sum w (x - mean)^2 / sum w
    """
    add_columns = sum_weighted_columns if weighted else sum_columns
    add_squares = sum_weighted_squares if weighted else sum_squares
    count = data.sum_weights() if weighted else data.rows
    low, high = data.find_extremes()
    (total,) = data.sum_blocks(add_columns)
    mean = np.where(low == high, low, total / count).astype(data.dtype)
    # squares of numbers near 1 neither overflow nor vanish; a power of two changes no digit, and
    # its inverse is no subnormal, which some devices would take for 0
    unit = np.ldexp(1.0, np.clip(np.frexp(high - low)[1] - 1, -1000, 1022))
    (total,) = data.sum_blocks(add_squares, mean, (1 / unit).astype(data.dtype))
    variance = total / count
    deviation = np.asarray([math.sqrt(v) for v in variance]) * unit
    constant = variance == 0
    if weighted:  # rows of weight 0 may be all that differ: what is left is the mean's rounding
        constant |= deviation <= abs(mean) * ROUNDING
    inverse = 1 / np.where(constant, 1.0, deviation)
    if not (np.isfinite(inverse).all() and (inverse >= SMALLEST_NORMAL).all()):
        raise ValueError("inputs are too large or too small to be standardized; scale them")
    return Scaling(mean, inverse.astype(data.dtype))


def find_safe_learning_rate(data: TrainingSet, *, rule: str, bias: bool, l2: float) -> float:
    """Return 1 / (c ||X||^2 + l2): with it the loss of one layer never rises.

    c is the rule's largest curvature over the weighted sum and ||X||^2 the sum of the
    squares of the inputs, sample weights and a bias's column of ones included: a bound on
    the loss's largest curvature over the weights.
    """
    columns, ones = (total.tolist() for total in data.sum_blocks(sum_squared_norms))
    norm = add_exactly(columns + (ones if bias else []))
    bound = RULES[rule].curvature * norm + l2
    if not (math.isfinite(bound) and 1 / SMALLEST_NORMAL > bound >= SMALLEST_NORMAL):
        raise ValueError(
            f"learning_rate='auto' found the sum of the squared inputs to be {norm!r}; "
            "scale the inputs, give standardize=True, or a number"
        )
    return 1 / bound


def find_penalty(
    parameters: Parameters, l2: float, count: float, backend: Backend, dtype: str = "float64"
) -> Array | None:
    """Return l2 / count for each weight and 0 for each bias, flat, on a backend; None without l2.

    count : the sum of the sample weights
    """
    if not l2:
        return None
    weights, biases = (sum(math.prod(x.shape) for x in arrays) for arrays in parameters)
    factor = divide_by_count(l2, count)
    return backend.from_host(np.asarray([factor] * weights + [0.0] * biases, dtype=dtype))


def compute_mean_loss(data: TrainingSet, parameters: Parameters, l2: float) -> float:
    """Return the mean loss over the examples; see `average`."""
    losses = data.compute_losses(parameters)
    weights = [data.backend.to_host(layer).ravel() for layer in parameters.weights] if l2 else []
    return average(losses, weights, l2, data.sum_weights())


def average(losses: np.ndarray, weights: Iterable[np.ndarray], l2: float, count: float) -> float:
    """Return (sum of the losses + l2/2 sum w^2) / count, each sum rounded once.

    count : the sum of the sample weights
    """
    terms = losses.tolist()
    if l2:
        squares = (layer.astype("float64") ** 2 for layer in weights)
        terms.append(l2 / 2 * add_exactly(w for layer in squares for w in layer.tolist()))
    return add_exactly(terms) / count
