"""What exp, a weighted sum and a sum over examples mean: `reproducible` or `native`.

The trainer is written once on top of these few functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from neuron_xp.neuron import exact_sum, reproducible
from neuron_xp.neuron.types import Array, Namespace


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """The functions in which the two arithmetics differ, on arrays of the namespace `xp`.

    exp(x)
        e^x, for x <= 0.
    multiply(a, b)
        a * b, fit to be added to something.
    flush(x)
        x without magnitudes that are too small to be multiplied again.
    weighted_sum(inputs, weights)
        inputs @ weights: (rows, n), (n, m) -> (rows, m).
    sum_over_examples(inputs, delta)
        inputs.T @ delta of a block of rows, (n, m), as something that can be merged:
        the first row of a block is a multiple of 64 rows away from the first of all.
    merge(a, b)
        The sum over the examples of two blocks.
    total(sum)
        That sum as an array (n, m).
    """

    name: str
    xp: Namespace
    exp: Callable[[Array], Array]
    multiply: Callable[[Array, Array], Array]
    flush: Callable[[Array], Array]
    weighted_sum: Callable[[Array, Array], Array]
    sum_over_examples: Callable[[Array, Array], Any]
    merge: Callable[[Any, Any], Any]
    total: Callable[[Any], Array]


def reproducible_arithmetic(
    xp: Namespace, *, device: object = None, compiled: bool = False, ordinary: bool = False
) -> Arithmetic:
    """The defined arithmetic: the same bits from every library and device.

    `compiled` says that a compiler will see the operations, and may want to fuse them;
    `ordinary`, that no input lies between 0 and 2^-60 in magnitude. Neither changes a bit.
    """
    tables = reproducible.exp_tables(xp=xp, device=device)
    grid = exact_sum.grid(xp=xp, device=device)
    multiply = partial(reproducible.multiply, xp=xp, fence=compiled)
    products = partial(reproducible.products, xp=xp, fence=compiled, ordinary=ordinary)

    def sum_over_examples(inputs: Array, delta: Array) -> exact_sum.Accumulator:
        sums = exact_sum.leaf_sums(inputs, delta, products=products, xp=xp)
        return exact_sum.accumulate(sums, xp=xp, grid=grid)

    return Arithmetic(
        name="reproducible",
        xp=xp,
        exp=partial(reproducible.exp, xp=xp, tables=tables, fence=compiled),
        multiply=multiply,
        flush=partial(reproducible.flush, smallest=reproducible.SMALLEST_FACTOR, xp=xp),
        weighted_sum=partial(reproducible.weighted_sum, products=products, xp=xp),
        sum_over_examples=sum_over_examples,
        merge=partial(exact_sum.merge, xp=xp),
        total=partial(exact_sum.total, xp=xp, grid=grid),
    )


def native_arithmetic(xp: Namespace) -> Arithmetic:
    """The library's own exp and matmul: other last bits in every library."""

    def sum_over_examples(inputs: Array, delta: Array) -> Array:
        return xp.matmul(xp.matrix_transpose(inputs), delta)

    return Arithmetic(
        name="native",
        xp=xp,
        exp=xp.exp,
        multiply=lambda a, b: a * b,
        flush=lambda x: x,
        weighted_sum=xp.matmul,
        sum_over_examples=sum_over_examples,
        merge=lambda a, b: a + b,
        total=lambda sum_: sum_,
    )
