"""Ways to compute a sum, or a product of matrices: orders, and roundings on the way."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from neuron_xp.errors import show_text
from neuron_xp.testing.explaining.recording import Recorded
from neuron_xp.testing.explaining.trying.revealing import (
    Tree,
    add_in_order,
    reveal_order,
    spell_order,
)
from neuron_xp.testing.explaining.trying.rounding import flush_subnormals, round_by
from neuron_xp.testing.explaining.trying.sums import Terms, list_orders
from neuron_xp.testing.explaining.trying.ways import FLUSHED, FUSED, ORDER, SINGLE, WITH_FUSED, Way

MOST_ORDERS = 4
"""Of the sums of one operation: a library may add the columns at the end in another."""


def is_sum(recorded: Recorded) -> bool:
    """Tell whether it is a sum of floats, or a product of two matrices of floats."""
    if recorded.results[0].dtype.kind != "f":
        return False
    if recorded.name == "matmul":
        return all(x.ndim == 2 for x in recorded.arguments)
    return recorded.name == "sum"


def count_terms(recorded: Recorded) -> int:
    """Count the terms of each of its sums."""
    x = recorded.arguments[0]
    if recorded.name == "matmul":
        return int(x.shape[-1])
    return int(x.size // max(1, recorded.results[0].size))


def list_sums(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List ways of a sum, or of a product of matrices."""
    terms, dtype = find_terms(recorded, places), recorded.results[0].dtype
    for order in list_orders(terms):
        fused = WITH_FUSED if order.fused else ""
        yield Way(
            FUSED if order.fused else ORDER, f"adds {order.words}{fused}",
            lambda found, add=order.add: add(),  # type: ignore[misc]
        )  # fmt: skip
    single = terms.change(lambda x: x.astype("float32"))
    if dtype == np.float64:
        for order in (o for o in list_orders(single) if not o.words.startswith("exactly")):
            if order.fused or "lanes" in order.words or "blocks" in order.words:
                continue
            yield Way(SINGLE, f"adds in float32, {order.words}",
                      lambda found, add=order.add: add().astype(found.dtype))  # type: ignore[misc]  # fmt: skip
        yield Way(SINGLE, "rounds the sum to float32",
                  lambda _: round_by("float32")(terms.values().sum(axis=0)))  # fmt: skip
    flushed = terms.change(flush_subnormals)

    def add_flushed(found: np.ndarray) -> np.ndarray:
        return flush_subnormals(flush_subnormals(flushed.values()).sum(axis=0))

    yield Way(FLUSHED, "takes subnormal terms for 0", add_flushed)
    if recorded.name == "matmul":
        a, b = recorded.arguments
        yield from _list_blas(a, b, places)


def list_revealed(recorded: Recorded, places: np.ndarray, found: np.ndarray) -> Iterator[Way]:
    """List a sum in the orders that the library shows when it adds other numbers.

    found : what was recorded at the places; where the order of one does not give these, another
        place may have another
    """
    terms = find_terms(recorded, places)
    orders: dict[str, Tree] = {}
    missing = np.ones(len(found), dtype=bool)
    variants = (False, True) if terms.y is not None else (False,)
    while missing.any() and len(orders) < MOST_ORDERS:
        place = int(places[int(np.argmax(missing))])
        tree = reveal_order(partial(_add_probe, recorded, place), len(terms.x))
        spelled = "" if tree is None else spell_order(tree)
        if tree is None or spelled in orders:
            return
        orders[spelled] = tree
        for fused in variants:
            computed = add_in_order(tree, terms, fused=fused)
            missing &= computed != found
            more = WITH_FUSED if fused else ""
            yield Way(
                FUSED if fused else ORDER, f"adds its terms as {show_text(spelled, 90)}{more}",
                lambda _, computed=computed: computed,  # type: ignore[misc]
                is_shown=True,
            )  # fmt: skip


def _add_probe(recorded: Recorded, place: int, values: np.ndarray) -> float:
    """Have the library add these values in each of its sums; return that of a place."""
    x, *others = recorded.arguments
    if recorded.name == "matmul":
        shaped = np.broadcast_to(values, x.shape)
        others = [np.ones_like(others[0])]
    else:
        axes = _find_axes(recorded)
        lengths = [x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)]
        shaped = np.broadcast_to(values.reshape(lengths), x.shape)
    probe = np.empty_like(x)  # in its layout
    probe[...] = shaped
    return float(recorded.do_again(probe, *others).reshape(-1)[place])


def find_terms(recorded: Recorded, places: np.ndarray) -> Terms:
    """Return the terms of the sums at some places."""
    if recorded.name == "matmul":
        a, b = recorded.arguments
        columns = b.shape[1]
        return Terms(np.ascontiguousarray(a[places // columns].T),
                     np.ascontiguousarray(b[:, places % columns]))  # fmt: skip
    x, axes = recorded.arguments[0], _find_axes(recorded)
    factors = recorded.products.get(0)
    if factors is None:
        return Terms(_move_terms(x, axes)[:, places])
    left, right = (np.broadcast_to(np.asarray(f, dtype=x.dtype), x.shape) for f in factors)
    return Terms(_move_terms(left, axes)[:, places], _move_terms(right, axes)[:, places])


def _find_axes(recorded: Recorded) -> list[int]:
    """Find the axes along which the terms of a sum lie."""
    x, *others = recorded.arguments
    axis = others[0] if others else recorded.options.get("axis")
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return sorted(number % x.ndim for number in given)


def _move_terms(x: np.ndarray, axes: list[int]) -> np.ndarray:
    """Return x as (terms, sums), where the terms lie along one or several axes."""
    moved = np.moveaxis(x, axes, range(len(axes)))
    count = int(np.prod(moved.shape[: len(axes)]))
    return np.ascontiguousarray(moved.reshape(count, -1))


def _list_blas(a: np.ndarray, b: np.ndarray, places: np.ndarray) -> Iterator[Way]:
    """List NumPy's matmul, whose order is that of its BLAS: it depends on the layout."""

    def columns_alone() -> np.ndarray:
        return np.stack([a @ np.ascontiguousarray(column) for column in b.T], axis=1)

    layouts: dict[str, Callable[[], np.ndarray]] = {
        "as numpy's matmul does here": lambda: a @ b,
        "as numpy's matmul does of rows": lambda: np.ascontiguousarray(a) @ np.ascontiguousarray(b),
        "as numpy's matmul does of columns": lambda: np.asfortranarray(a) @ np.asfortranarray(b),
        "as numpy's matmul does of a column at a time": columns_alone,
        "as numpy's einsum does": lambda: np.einsum("ij,jk->ik", a, b),
    }
    for words, compute in layouts.items():
        yield Way(ORDER, f"adds {words}",
                  lambda _, compute=compute: compute().reshape(-1)[places])  # type: ignore[misc]  # fmt: skip
