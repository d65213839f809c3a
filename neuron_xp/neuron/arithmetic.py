"""Two arithmetics, `reproducible` and `native`, behind one set of functions.

The trainer is written once, on exp, log1p, weighted sums and sums over examples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from neuron_xp.neuron.reproducible import elementary, exact_sum, logarithm, square_root
from neuron_xp.neuron.types import Array, Namespace


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """The functions in which the two arithmetics differ, on arrays of the namespace `xp`.

    exp(x), exp_takes_any
        e^x for x <= 0; for any x, if `exp_takes_any`.
    log1p(e), log(x), sqrt(x)
        log(1 + e), for 0 <= e <= 1; log(x), for 1 <= x < 2^16; the square root of x >= 0.
    multiply(a, b)
        a * b, rounded before anything is added to it.
    flush(x), flush_products(x), flush_inputs(x)
        x, with 0 in place of magnitudes below 2^-900, 2^-960 (products) or 2^-60
        (standardized inputs).
    weighted_sum(inputs, weights, of_data=False)
        inputs @ weights: (rows, n), (n, m) -> (rows, m). `of_data`: these are the first
        layer's inputs, to which `no_tiny_inputs` applies.
    row_sums(x)
        The sum of each row: (rows, n) -> (rows, 1).
    sum_over_examples(inputs, delta, of_data=False)
        inputs.T @ delta of a block of rows, (n, m), as an accumulator. Blocks begin at
        multiples of 64 rows.
    column_sums(x)
        The sums of the columns of a block of rows, (m,), as an accumulator.
    merge(a, b)
        The accumulator of two blocks.
    total(sum)
        An accumulator's sum as an array.
    """

    name: str
    xp: Namespace
    exp: Callable[[Array], Array]
    log1p: Callable[[Array], Array]
    log: Callable[[Array], Array]
    sqrt: Callable[[Array], Array]
    multiply: Callable[[Array, Array], Array]
    flush: Callable[[Array], Array]
    flush_products: Callable[[Array], Array]
    flush_inputs: Callable[[Array], Array]
    weighted_sum: Callable[..., Array]
    row_sums: Callable[[Array], Array]
    sum_over_examples: Callable[..., Any]
    column_sums: Callable[[Array], Any]
    merge: Callable[[Any, Any], Any]
    total: Callable[[Any], Array]
    exp_takes_any: bool = False


def reproducible_arithmetic(
    xp: Namespace,
    *,
    device: object = None,
    compiled: bool = False,
    rounds_sqrt: bool = False,
    no_tiny_inputs: bool = False,
) -> Arithmetic:
    """The arithmetic of README.md: the same bits from every library and device.

    `compiled` says that a compiler sees the operations and might fuse them; `rounds_sqrt`, that
    the library's own square root is correctly rounded; `no_tiny_inputs`, that no input of the
    data lies between 0 and 2^-60 in magnitude. None of them changes a bit.
    """
    exp_tables = elementary.exp_tables(xp=xp, device=device)
    log_tables = logarithm.log_tables(xp=xp, device=device)
    root_tables = square_root.root_tables(xp=xp, device=device)
    grid = exact_sum.grid(xp=xp, device=device)
    flush = partial(elementary.flush, xp=xp)

    def products(of_data: bool) -> elementary.Products:
        none_is_tiny = no_tiny_inputs and of_data
        return partial(elementary.products, xp=xp, fence=compiled, no_tiny_inputs=none_is_tiny)

    def weighted_sum(inputs: Array, weights: Array, *, of_data: bool = False) -> Array:
        return elementary.weighted_sum(inputs, weights, products=products(of_data), xp=xp)

    def row_sums(x: Array) -> Array:
        return elementary.ordered_sum(x, xp=xp)[:, None]

    def sqrt(x: Array) -> Array:
        return square_root.sqrt(x, xp=xp, tables=root_tables, fence=compiled)

    def sum_over_examples(
        inputs: Array, delta: Array, *, of_data: bool = False
    ) -> exact_sum.Accumulator:
        sums = exact_sum.leaf_products(inputs, delta, products=products(of_data), xp=xp)
        return exact_sum.accumulate(sums, xp=xp, grid=grid)

    def column_sums(x: Array) -> exact_sum.Accumulator:
        x = flush(x, elementary.SMALLEST_PRODUCT)
        return exact_sum.accumulate(exact_sum.leaf_sums(x, xp=xp), xp=xp, grid=grid)

    return Arithmetic(
        name="reproducible",
        xp=xp,
        exp=partial(elementary.exp, xp=xp, tables=exp_tables, fence=compiled),
        log1p=partial(logarithm.log1p, xp=xp, tables=log_tables, fence=compiled),
        log=partial(logarithm.log, xp=xp, tables=log_tables, fence=compiled),
        sqrt=xp.sqrt if rounds_sqrt else sqrt,
        multiply=partial(elementary.multiply, xp=xp, fence=compiled),
        flush=partial(flush, smallest=elementary.SMALLEST_FACTOR),
        flush_products=partial(flush, smallest=elementary.SMALLEST_PRODUCT),
        flush_inputs=partial(flush, smallest=elementary.TINY_INPUT),
        weighted_sum=weighted_sum,
        row_sums=row_sums,
        sum_over_examples=sum_over_examples,
        column_sums=column_sums,
        merge=partial(exact_sum.merge, xp=xp),
        total=partial(exact_sum.total, xp=xp, grid=grid),
    )


def native_arithmetic(xp: Namespace) -> Arithmetic:
    """The library's own exp, log1p, matmul and sum: each library has its own last bits."""

    def weighted_sum(inputs: Array, weights: Array, *, of_data: bool = False) -> Array:
        return inputs @ weights

    def sum_over_examples(inputs: Array, delta: Array, *, of_data: bool = False) -> Array:
        return inputs.T @ delta

    return Arithmetic(
        name="native",
        xp=xp,
        exp=xp.exp,
        log1p=xp.log1p,
        log=xp.log,
        sqrt=xp.sqrt,
        multiply=lambda a, b: a * b,
        flush=lambda x: x,
        flush_products=lambda x: x,
        flush_inputs=lambda x: x,
        weighted_sum=weighted_sum,
        row_sums=lambda x: xp.sum(x, axis=1, keepdims=True),
        sum_over_examples=sum_over_examples,
        column_sums=lambda x: xp.sum(x, axis=0),
        merge=lambda a, b: a + b,
        total=lambda sum_: sum_,
        exp_takes_any=True,
    )
