"""The sigmoid, its gradient and the softmax: one of each, for every library and arithmetic."""

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.types import Array


def sigmoid(x: Array, *, arithmetic: Arithmetic) -> Array:
    """1 / (1 + e^-x), element-wise; NaN stays NaN.

    Reproducible: within 3 ulp (the worst found is 2.86) for x >= -700, and the value at -700
    below. The form is part of the definition: others, even more accurate ones, end the
    article's training on other bits.
    """
    xp = arithmetic.xp
    if arithmetic.exp_takes_any:  # where e^-x is infinite the quotient is 0
        return 1.0 / (1.0 + arithmetic.exp(-x))
    e = arithmetic.exp(-xp.abs(x))
    d = 1.0 / (1.0 + e)
    return xp.where(x >= 0, d, xp.where(x < 0, arithmetic.multiply(e, d), x))


def sigmoid_gradient(output: Array, *, arithmetic: Arithmetic) -> Array:
    """The slope of the sigmoid where its value is `output`: output * (1 - output)."""
    return arithmetic.multiply(output, 1.0 - output)


def softmax(z: Array, *, arithmetic: Arithmetic) -> Array:
    """e^z_j / (e^z_0 + e^z_1 + ...) of each row: (rows, classes), positive, with the sum 1.

    The largest z of a row is subtracted first, so that nothing overflows. Reproducible: a row's
    sum is within 39 * 2^-53 of 1 for up to 1,024 classes, and a quotient below 2^-960 is 0.
    """
    below, total = compare_classes(z, arithmetic=arithmetic)
    quotients = arithmetic.multiply(arithmetic.exp(below), 1.0 / total)
    outputs = arithmetic.flush_products(quotients)
    return arithmetic.xp.where(arithmetic.xp.isnan(below), below, outputs)


def compare_classes(z: Array, *, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """Return z - max(z), (rows, classes), and each row's sum of its exponentials, (rows, 1)."""
    below = z - arithmetic.xp.max(z, axis=1, keepdims=True)
    total = arithmetic.row_sums(arithmetic.exp(below))
    return below, total
