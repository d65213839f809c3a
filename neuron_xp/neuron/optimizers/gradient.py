"""The gradient of the mean loss, which L-BFGS and Adam descend."""

from typing import NamedTuple

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.reproducible.elementary import SMALLEST_NORMAL
from neuron_xp.neuron.types import Array


class Mean(NamedTuple):
    """Factors that make a mean of sums over examples; see `divide_by_count`.

    per_example : 1 / (sum of the sample weights)
    penalty : (n,), l2 / (sum of the sample weights) for weights, and 0 for biases; or None
    """

    per_example: float
    penalty: Array | None = None


def divide_by_count(x: float, count: float) -> float:
    """Return x / count; 0 for a subnormal quotient, which some devices would take for 0."""
    quotient = x / count
    return quotient if quotient >= SMALLEST_NORMAL else 0.0


def find_gradient(parameters: Array, sums: Array, mean: Mean, *, arithmetic: Arithmetic) -> Array:
    """The slope of the mean loss over each parameter: penalty * parameter - sum * per_example.

    Everything is flat, (n,); the sums are downhill, as `step.block_sums` gives them.
    """
    downhill = multiply(sums, mean.per_example, arithmetic=arithmetic)
    if mean.penalty is None:
        return arithmetic.flush(-downhill)
    return arithmetic.flush(multiply(parameters, mean.penalty, arithmetic=arithmetic) - downhill)


def multiply(a: Array, b: Array | float, *, arithmetic: Arithmetic) -> Array:
    """A * b, flushed as products are."""
    return arithmetic.flush_products(arithmetic.multiply(a, b))


def dot(a: Array, b: Array, *, arithmetic: Arithmetic) -> float:
    """The sum of the products of two flat arrays, in the order of a weighted sum."""
    return float(arithmetic.weighted_sum(a[None, :], b[:, None])[0, 0])
