"""Orders in which a sum of products, or of numbers, may be added; each with a name in words."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from math import fsum
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.neuron.reproducible.elementary import ordered_sum
from neuron_xp.testing.explaining.trying.rounding import fuse, multiply_exactly

LANES = (2, 4, 8, 16, 32, 64)
BLOCKS = (32, 64, 128, 192, 256, 320, 384, 448, 512, 768, 1024)


class Terms(NamedTuple):
    """The terms of some sums: x * y, or x alone.

    x, y : (terms, sums)
    """

    x: np.ndarray
    y: np.ndarray | None = None

    def cut(self, terms: slice) -> "Terms":
        """Return some of the terms."""
        return self.change(lambda x: x[terms])

    def change(self, function: Callable[[np.ndarray], np.ndarray]) -> "Terms":
        """Return what the function makes of x and y."""
        return Terms(function(self.x), None if self.y is None else function(self.y))

    def values(self) -> np.ndarray:
        """Return the terms, each rounded."""
        return self.x if self.y is None else self.x * self.y


class Order(NamedTuple):
    """An order: its name in words, whether products and sums are fused, and how it adds."""

    words: str
    fused: bool
    add: Callable[[], Any]


def list_orders(terms: Terms) -> Iterator[Order]:
    """List the orders that are tried, the plainest first."""
    values = terms.values()
    count = len(values)
    yield Order("one after another", False, lambda: accumulate(terms, fused=False))
    yield Order("pairwise, as numpy.sum", False, lambda: np.sum(np.ascontiguousarray(values.T), -1))
    yield Order("from the last to the first", False,
                lambda: accumulate(terms.cut(slice(None, None, -1)), fused=False))  # fmt: skip
    yield Order("each half by itself", False, lambda: _add_halves(values))
    yield Order("neighbours first", False, lambda: _add_neighbours(values))
    yield Order("in 32 lanes, as this package", False, lambda: ordered_sum(values[None], xp=np)[0])
    if terms.y is not None:
        yield Order("one after another", True, lambda: accumulate(terms, fused=True))
        yield Order("from the last to the first", True,
                    lambda: accumulate(terms.cut(slice(None, None, -1)), fused=True))  # fmt: skip
    for fused in (False, True) if terms.y is not None else (False,):
        for lanes in (n for n in LANES if n <= count):
            yield from _list_lanes(terms, lanes, fused=fused)
        for size in (n for n in BLOCKS if n < count):
            yield Order(f"in blocks of {size}", fused, partial(_add_blocks, terms, size, fused))
    yield Order("exactly, rounded once", False, lambda: _add_and_round_once(terms))
    yield Order("with 64 bits of significand", False, lambda: _add_long(terms))


def accumulate(terms: Terms, *, fused: bool) -> Any:
    """Add the terms one after another: axis 0 of (terms, ...)."""
    total = terms.x[0] if terms.y is None else terms.x[0] * terms.y[0]
    for k in range(1, len(terms.x)):
        total = _add_term(total, terms.change(lambda x, k=k: x[k]), fused=fused)  # type: ignore[misc]
    return total


def _add_halves(x: np.ndarray) -> Any:
    if len(x) == 1:
        return x[0]
    half = len(x) // 2
    return _add_halves(x[:half]) + _add_halves(x[half:])


def _add_neighbours(x: np.ndarray) -> Any:
    while len(x) > 1:
        paired = x[: len(x) - len(x) % 2]
        added = paired[0::2] + paired[1::2]
        x = np.concatenate([added, x[len(paired) :]])
    return x[0]


def _fold(x: np.ndarray) -> Any:
    """Add the second half of the lanes to the first, until one is left."""
    while len(x) > 1:
        half = len(x) // 2
        x = x[:half] + x[half:]
    return x[0]


JOINS: dict[str, Callable[[np.ndarray], Any]] = {
    "halves": _fold,
    "neighbours": _add_neighbours,
    "one after another": lambda x: accumulate(Terms(x), fused=False),
}
"""Ways to add lanes, (lanes, sums)."""
SPELLED = {
    "halves": "half by half",
    "neighbours": "neighbour by neighbour",
    "one after another": "one by one",
}


def _list_lanes(terms: Terms, lanes: int, *, fused: bool) -> Iterator[Order]:
    """List sums whose every so-many-th term is of one lane; then lanes are joined.

    The lanes may be those of several vector registers: these are joined, and then what is in
    the last. Terms that fill the lanes no more are added to the first lanes, or at the end.
    """
    whole = len(terms.x) - len(terms.x) % lanes
    rest = terms.cut(slice(whole, None))

    @cache
    def add_lanes(has_rest: bool) -> Any:
        gathered = terms.cut(slice(0, whole)).change(lambda x: x.reshape(-1, lanes, x.shape[1]))
        total = accumulate(gathered, fused=fused)
        if not has_rest:
            return total
        first = _add_term(total[: len(rest.x)], rest, fused=fused)
        return np.concatenate([first, total[len(rest.x) :]])

    def join(width: int, vertical: str, horizontal: str, has_rest: bool) -> Any:
        registers = add_lanes(has_rest).reshape(-1, width, terms.x.shape[1])
        total = JOINS[horizontal](JOINS[vertical](registers))
        for k in range(0 if has_rest else len(rest.x)):
            total = _add_term(total, rest.change(lambda x, k=k: x[k]), fused=fused)  # type: ignore[misc]
        return total

    for has_rest in (False, True) if len(rest.x) else (False,):
        for width in (lanes >> n for n in range(lanes.bit_length() - 1)):
            for vertical in JOINS if width < lanes else ["halves"]:
                for horizontal in JOINS:
                    if vertical == horizontal == "halves" and width < lanes:
                        continue  # as without registers
                    how = f"in {lanes} lanes, joined {SPELLED[horizontal]}"
                    if width < lanes:
                        how = (
                            f"in {lanes // width} registers of {width}, these joined "
                            f"{SPELLED[vertical]}, then {SPELLED[horizontal]}"
                        )
                    yield Order(how, fused, partial(join, width, vertical, horizontal, has_rest))


def _add_term(total: Any, term: Terms, *, fused: bool) -> Any:
    if fused and term.y is not None:
        return fuse(term.x, term.y, total)
    return total + term.values()


def _add_blocks(terms: Terms, size: int, fused: bool) -> Any:
    """Add each block one after another, and the sums of the blocks, too."""
    whole = len(terms.x) - len(terms.x) % size
    blocks = terms.cut(slice(0, whole)).change(
        lambda x: x.reshape(-1, size, x.shape[1]).swapaxes(0, 1)
    )
    sums = accumulate(blocks, fused=fused)
    if whole < len(terms.x):
        rest = accumulate(terms.cut(slice(whole, None)), fused=fused)
        sums = np.concatenate([sums, rest[None]])
    return accumulate(Terms(sums), fused=False)


def _add_and_round_once(terms: Terms) -> Any:
    pieces = [terms.x.astype("float64")]
    if terms.y is not None:
        pieces = [*multiply_exactly(pieces[0], terms.y.astype("float64"))]
    columns = np.concatenate(pieces).T
    if not np.isfinite(columns).all():
        return terms.values().sum(axis=0)
    return np.asarray([fsum(column) for column in columns.tolist()]).astype(terms.x.dtype)


def _add_long(terms: Terms) -> Any:
    """Add one after another with what `longdouble` has: 64 bits on x86."""
    long = terms.change(lambda x: x.astype("longdouble"))
    return accumulate(long, fused=False).astype(terms.x.dtype)
