"""L-BFGS: Newton's steps, with a curvature that is learned from the last few of them.

Nocedal and Wright, "Numerical optimization", second edition (2006), algorithms 7.4 and 7.5.
Every decision rests on sums that are the same everywhere, and so is its path.
"""

from math import inf, sqrt
from typing import NamedTuple

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.optimizers.gradient import dot, multiply
from neuron_xp.neuron.types import Array

MEMORY = 10
"""Steps that are remembered."""


class Curvature(NamedTuple):
    """What the last steps tell of the loss, oldest first; (k, n) each, k <= 10.

    steps : s = new parameters - old
    changes : y = new gradient - old
    """

    steps: Array
    changes: Array


def find_direction(gradient: Array, curvature: Curvature, *, arithmetic: Arithmetic) -> Array:
    """Return -H g, algorithm 7.4: H is the inverse Hessian that the curvature speaks for.

    H0 is gamma times the identity, gamma = s y / y y of the last step, (7.20).
    """

    def times(a: Array, b: float) -> Array:
        return multiply(a, b, arithmetic=arithmetic)

    steps, changes = curvature
    pairs = [(steps[i, :], changes[i, :]) for i in range(steps.shape[0])]
    if not pairs:
        return -gradient
    scales = arithmetic.row_sums(multiply(steps, changes, arithmetic=arithmetic))[:, 0]
    scales = [float(scale) for scale in scales]
    alphas = []
    q = gradient
    for (s, y), scale in zip(reversed(pairs), reversed(scales), strict=True):
        alphas.append(dot(s, q, arithmetic=arithmetic) / scale)
        q = q - times(y, alphas[-1])
    y = pairs[-1][1]
    r = times(q, scales[-1] / dot(y, y, arithmetic=arithmetic))
    for (s, y), scale, alpha in zip(pairs, scales, reversed(alphas), strict=True):
        beta = dot(y, r, arithmetic=arithmetic) / scale
        r = r + times(s, alpha - beta)
    return arithmetic.flush(-r)


def remember(
    curvature: Curvature, step: Array, change: Array, *, arithmetic: Arithmetic
) -> Curvature:
    """Add a step and the gradient's change over it, and forget the oldest of more than ten.

    A step along which the gradient did not rise, or not by a number that can be divided by,
    tells nothing that can be used.
    """
    products = [dot(x, change, arithmetic=arithmetic) for x in (step, change)]
    if not all(0 < product < inf for product in products):
        return curvature
    xp = arithmetic.xp

    def append(rows: Array, row: Array) -> Array:
        return xp.concat([rows[max(0, rows.shape[0] + 1 - MEMORY) :, :], row[None, :]])

    return Curvature(append(curvature.steps, step), append(curvature.changes, change))


def choose_first_step(gradient: Array, curvature: Curvature, *, arithmetic: Arithmetic) -> float:
    """Return the step to try first: 1, or without curvature no more than 1 / |gradient|."""
    if curvature.steps.shape[0]:
        return 1.0
    return 1 / max(1.0, sqrt(dot(gradient, gradient, arithmetic=arithmetic)))
