"""L-BFGS: Newton's steps, with a curvature that is learned from the last few of them.

Nocedal and Wright, "Numerical optimization", second edition (2006), sections 7.1 and 7.2, in
the compact form (7.24) of Byrd, Nocedal and Schnabel, which takes two passes over the memory.
Every decision rests on sums that are the same everywhere, and so is its path.
"""

from math import inf, sqrt
from typing import NamedTuple, TypeAlias

from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.optimizers.gradient import dot, multiply
from neuron_xp.neuron.reproducible.exact_sum import add_exactly
from neuron_xp.neuron.types import Array, Namespace

MEMORY = 10
"""Steps that are remembered."""


Matrix: TypeAlias = tuple[tuple[float, ...], ...]


class Curvature(NamedTuple):
    """What the last k <= 10 steps tell of the loss, oldest first.

    steps : (k, n), S: s = new parameters - old
    changes : (k, n), Y: y = new gradient - old
    step_products : k rows of numbers, R: s_i y_j where j is not older than i, else 0
    change_products : k rows of numbers, Y Y^T
    """

    steps: Array
    changes: Array
    step_products: Matrix
    change_products: Matrix


def know_nothing(size: int, *, xp: Namespace) -> Curvature:
    """Return the curvature before the first step, for so many parameters."""
    none = xp.zeros((0, size), dtype=xp.float64)
    return Curvature(none, none, (), ())


def find_direction(gradient: Array, curvature: Curvature, *, arithmetic: Arithmetic) -> Array:
    """Return -H g, where H is the inverse Hessian that the curvature speaks for: (7.24).

    H g = gamma g + S^T u - gamma Y^T a,    a = R^-1 S g,
    u = R^-T ((D + gamma Y Y^T) a - gamma Y g),    D = diag(R),

    with gamma = s y / y y of the last step, (7.20). Without curvature it is -g.
    """
    steps, changes, r, yy = curvature
    if not steps.shape[0]:
        return -gradient
    xp = arithmetic.xp
    gamma = r[-1][-1] / yy[-1][-1]
    basis = xp.concat([steps, changes])
    along = _dots(basis, gradient, arithmetic=arithmetic)
    sg, yg = along[: len(r)], along[len(r) :]
    a = _solve_upper(r, sg)
    right = [
        add_exactly(
            [r[i][i] * a[i], -gamma * yg[i], *(gamma * (yy[i][j] * a[j]) for j in range(len(a)))]
        )
        for i in range(len(a))
    ]
    u = _solve_lower(r, right)
    factors = xp.asarray([*u, *(-gamma * x for x in a)], dtype=xp.float64)
    change = arithmetic.weighted_sum(xp.permute_dims(basis, (1, 0)), factors[:, None])[:, 0]
    return arithmetic.flush(-(multiply(gradient, gamma, arithmetic=arithmetic) + change))


def remember(
    curvature: Curvature, step: Array, change: Array, *, arithmetic: Arithmetic
) -> Curvature:
    """Add a step and the gradient's change over it, and forget the oldest of more than ten.

    A step along which the gradient did not rise, or not by a number that can be divided by,
    tells nothing that can be used.
    """
    xp = arithmetic.xp
    oldest = max(0, curvature.steps.shape[0] + 1 - MEMORY)
    steps, changes = (
        xp.concat([rows[oldest:, :], row[None, :]])
        for rows, row in zip(curvature[:2], (step, change), strict=True)
    )
    count = steps.shape[0]
    basis = xp.concat([steps, changes])
    products = _dots(basis, change, arithmetic=arithmetic)
    if not all(0 < product < inf for product in (products[count - 1], products[-1])):
        return curvature
    of_steps, of_changes = tuple(products[:count]), tuple(products[count:])

    def extend(matrix: Matrix, column: tuple[float, ...]) -> Matrix:
        pairs = zip(matrix[oldest:], column, strict=False)
        return tuple((*row[oldest:], product) for row, product in pairs)

    none = (0.0,) * (count - 1)
    return Curvature(
        steps,
        changes,
        (*extend(curvature.step_products, of_steps), (*none, of_steps[-1])),
        (*extend(curvature.change_products, of_changes), of_changes),
    )


def choose_first_step(gradient: Array, curvature: Curvature, *, arithmetic: Arithmetic) -> float:
    """Return the step to try first: 1, or without curvature no more than 1 / |gradient|."""
    if curvature.steps.shape[0]:
        return 1.0
    return 1 / max(1.0, sqrt(dot(gradient, gradient, arithmetic=arithmetic)))


def _dots(rows: Array, vector: Array, *, arithmetic: Arithmetic) -> list[float]:
    """Return the product of each row with the vector."""
    products = arithmetic.weighted_sum(rows, vector[:, None])
    return [float(products[i, 0]) for i in range(rows.shape[0])]


def _solve_upper(r: Matrix, right: list[float]) -> list[float]:
    """Solve R x = right."""
    x = [0.0] * len(right)
    for i in reversed(range(len(right))):
        later = range(i + 1, len(right))
        x[i] = add_exactly([right[i], *(-r[i][j] * x[j] for j in later)]) / r[i][i]
    return x


def _solve_lower(r: Matrix, right: list[float]) -> list[float]:
    """Solve R^T x = right."""
    x = [0.0] * len(right)
    for i in range(len(right)):
        x[i] = add_exactly([right[i], *(-r[j][i] * x[j] for j in range(i))]) / r[i][i]
    return x
