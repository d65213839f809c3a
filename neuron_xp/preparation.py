"""What is computed once from the data, before the first iteration: scaling, a safe step."""

import math
from collections.abc import Callable
from typing import Any

from neuron_xp.backend import Backend, HostArray
from neuron_xp.backends import host
from neuron_xp.neuron.reproducible import SMALLEST_NORMAL
from neuron_xp.neuron.step import (
    Examples,
    Method,
    Scaling,
    blocks,
    standardized,
    sum_over_blocks,
)
from neuron_xp.neuron.types import Array


def standardization(examples: Examples, backend: Backend, *, method: Method) -> Scaling:
    """Mean and inverse standard deviation of each column; exact sums, one square root.

    The deviation is the population's, sqrt(sum (x - mean)^2 / rows). A constant column is
    centred and left: its inverse is 1.
    """
    xp, arithmetic = backend.xp, method.arithmetic
    inputs = examples.inputs
    rows, dtype = inputs.shape[0], backend.to_host(inputs[:1, :]).dtype

    def totals(function: Callable[[Array], Array]) -> HostArray:
        def block(part: Examples) -> tuple[Any]:
            return (arithmetic.column_sums(function(part.inputs)),)

        (total,) = sum_over_blocks(block, examples, method=method)
        return host.asarray(backend.to_host(total), dtype="float64")

    def there(array: HostArray) -> Array:
        return backend.from_host(array.astype(dtype))

    def extremes(part: Examples) -> list[HostArray]:
        ends = xp.min(part.inputs, axis=0), xp.max(part.inputs, axis=0)
        return [host.asarray(backend.to_host(end), dtype="float64") for end in ends]

    def square(x: Array) -> Array:
        near_one = arithmetic.flush_products(x - mean) * per_unit
        return arithmetic.multiply(near_one, near_one)

    ends = [extremes(part) for part in blocks(examples, method.block_rows)]
    low, high = (
        host.min([end[0] for end in ends], axis=0),
        host.max([end[1] for end in ends], axis=0),
    )
    mean = there(host.where(low == high, low, totals(lambda x: x) / rows))
    # squares of numbers near 1 neither overflow nor vanish; a power of two changes no digit
    unit = host.ldexp(1.0, host.frexp(high - low)[1] - 1)
    per_unit = there(1 / unit)
    variance = totals(square) / rows
    deviation = host.asarray([math.sqrt(v) for v in variance]) * unit
    inverse = 1 / host.where(variance == 0, 1.0, deviation)
    if not (host.isfinite(inverse).all() and (inverse >= SMALLEST_NORMAL).all()):
        raise ValueError("inputs are too large or too small to be standardized; scale them")
    return Scaling(mean, there(inverse))


def safe_learning_rate(
    examples: Examples, backend: Backend, *, method: Method, bias: bool, l2: float
) -> float:
    """1 / (c ||X||^2 + l2): with it a layer's loss never rises.

    c is the rule's largest curvature over the weighted sum and ||X||^2 the sum of the
    squares of the inputs, sample weights and a bias's column of ones included: a bound on
    the loss's largest curvature over the weights.
    """
    arithmetic = method.arithmetic

    def block(part: Examples) -> tuple[Any, Any]:
        x = standardized(part.inputs, part.scaling, arithmetic=arithmetic)
        squares = arithmetic.flush_products(arithmetic.multiply(x, x))
        weight = part.sample_weight
        if weight is None:
            weight = backend.xp.ones_like(x[:, :1])
        weighted = arithmetic.multiply(squares, weight)
        return arithmetic.column_sums(weighted), arithmetic.column_sums(weight)

    sums = sum_over_blocks(block, examples, method=method)
    columns, ones = (backend.to_host(total).tolist() for total in sums)
    norm = math.fsum(columns + (ones if bias else []))
    bound = method.rule.curvature * norm + l2
    if not (math.isfinite(bound) and 1 / SMALLEST_NORMAL > bound >= SMALLEST_NORMAL):
        raise ValueError(
            f"learning_rate='auto' found the sum of the squared inputs to be {norm!r}; "
            "scale the inputs, give standardize=True, or a number"
        )
    return 1 / bound
