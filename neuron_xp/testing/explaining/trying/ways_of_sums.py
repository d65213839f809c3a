"""Ways to compute a sum, or a product of matrices: orders, and roundings on the way."""

from collections.abc import Callable, Iterator
from functools import cache, partial

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
from neuron_xp.testing.explaining.trying.ways import FLUSHED, FUSED, ORDER, SINGLE, Way

MOST_ORDERS = 4
"""Of the sums of one operation: a library may add the columns at the end in another."""


def list_sums(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List ways of a sum, or of a product of matrices."""
    terms, dtype = find_terms(recorded, places), recorded.results[0].dtype
    for order in list_orders(terms):
        fused = ", with fused multiply-add" if order.fused else ""
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

    @cache
    def reveal(number: int) -> Tree | None:
        return reveal_order(partial(_add_probe, recorded, int(places[number])), len(terms.x))

    for fused in (False, True) if terms.y is not None else (False,):
        computed, missing = np.zeros_like(found), np.ones(len(found), dtype=bool)
        spelled: list[str] = []
        while missing.any() and len(spelled) < MOST_ORDERS:
            tree = reveal(int(np.argmax(missing)))
            if tree is None:
                break
            computed[missing] = add_in_order(tree, terms, fused=fused)[missing]
            missing &= computed != found
            spelled.append(show_text(spell_order(tree), 90))
        if spelled:
            words = f"adds its terms as {', or as '.join(dict.fromkeys(spelled))}"
            more = ", with fused multiply-add" if fused else ""
            yield Way(
                FUSED if fused else ORDER, words + more,
                lambda _, computed=computed: computed,  # type: ignore[misc]
            )  # fmt: skip


def _add_probe(recorded: Recorded, place: int, values: np.ndarray) -> float:
    """Have the library add these values in each of its sums; return that of a place."""
    x, *others = recorded.arguments
    if recorded.name == "matmul":
        shaped = np.broadcast_to(values, x.shape)
        others = [np.ones_like(others[0])]
    else:
        axes = _find_axes(x, recorded.options.get("axis"))
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
    x, axis = recorded.arguments[0], recorded.options.get("axis")
    factors = recorded.products.get(0)
    if factors is None:
        return Terms(_move_terms(x, axis)[:, places])
    left, right = (np.broadcast_to(np.asarray(f, dtype=x.dtype), x.shape) for f in factors)
    return Terms(_move_terms(left, axis)[:, places], _move_terms(right, axis)[:, places])


def _find_axes(x: np.ndarray, axis: int | tuple[int, ...] | None) -> list[int]:
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return sorted(number % x.ndim for number in given)


def _move_terms(x: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """Return x as (terms, sums), where the terms lie along one or several axes."""
    axes = _find_axes(x, axis)
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
