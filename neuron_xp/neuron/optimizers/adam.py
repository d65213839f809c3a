"""Adam: steps by running means of the gradient and of its square.

Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015: algorithm 1, in the
order of operations at the end of section 2.
"""

from math import sqrt
from typing import NamedTuple

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.optimizers.gradient import multiply
from neuron_xp.neuron.types import Array

BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-8


class Moments(NamedTuple):
    """Running means of the gradient, and of its square: (n,) each; zeros to begin with."""

    mean: Array
    square: Array


def descend(
    parameters: Array, moments: Moments, gradient: Array, rate: float, *, arithmetic: Arithmetic
) -> tuple[Array, Moments]:
    """Take a step of flat parameters, with the gradient there and a `corrected_rate`.

    mean   = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient^2
    parameters = parameters - rate * mean / (sqrt(square) + epsilon)
    """

    def times(a: Array, b: Array | float) -> Array:
        return multiply(a, b, arithmetic=arithmetic)

    mean = arithmetic.flush(times(moments.mean, BETA1) + times(gradient, 1 - BETA1))
    squared = times(gradient, gradient)
    square = arithmetic.flush_products(times(moments.square, BETA2) + times(squared, 1 - BETA2))
    quotient = arithmetic.flush_products(mean / (arithmetic.sqrt(square) + EPSILON))
    parameters = arithmetic.flush(parameters - times(quotient, rate))
    return parameters, Moments(mean, square)


def corrected_rate(learning_rate: float, iteration: int) -> float:
    """The rate of an iteration, counted from 1: the means began at 0, and are too small at first.

    learning_rate * sqrt(1 - beta2^iteration) / (1 - beta1^iteration)
    """
    return learning_rate * sqrt(1 - raise_to(BETA2, iteration)) / (1 - raise_to(BETA1, iteration))


def raise_to(base: float, exponent: int) -> float:
    """base^exponent by squaring, from the exponent's lowest bit on: a library's is its own."""
    power = 1.0
    while exponent:
        if exponent % 2:
            power *= base
        base *= base
        exponent //= 2
    return power
