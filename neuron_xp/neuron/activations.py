"""The sigmoid and its gradient: one of each, for every library and arithmetic."""

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
