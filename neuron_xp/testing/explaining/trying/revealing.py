"""The order in which a library adds, shown by sums that it is made to compute.

Among ones, a huge number and its negative swallow all that is added before they meet: what is
left of the sum tells how many terms those are. The method is FPRev's: Xie, Gao and Chen,
"FPRev: Revealing the order of floating-point summation", 2024.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from neuron_xp.testing.explaining.trying.rounding import fuse
from neuron_xp.testing.explaining.trying.sums import Terms

Tree: TypeAlias = int | list[Any]
"""A term's number, or parts that are added one after another, the first first."""

HUGE = 2.0**100
MOST_TERMS = 2048
MOST_SUMS = 30_000


def reveal_order(add: Callable[[np.ndarray], float], count: int) -> Tree | None:
    """Find the order in which `add` adds so many terms; None if it is none of pairs.

    add(terms) : the sum, (count,) float64 -> a number
    """
    if count > MOST_TERMS:
        return None
    sums = 0

    def count_before(i: int, j: int) -> int:
        """Count the terms of the smallest part that holds both."""
        nonlocal sums
        sums += 1
        if sums > MOST_SUMS:
            raise _NoTreeError
        terms = np.ones(count)
        terms[i], terms[j] = HUGE, -HUGE
        left = add(terms)
        if left != round(left) or not 0 <= left <= count - 2:
            raise _NoTreeError
        return count - int(left)

    def build(numbers: Sequence[int]) -> Tree:
        first, *others = numbers
        by_size: dict[int, list[int]] = {}
        for other in others:
            by_size.setdefault(count_before(first, other), []).append(other)
        parts: list[Any] = [first]
        size = 1
        for expected in sorted(by_size):
            size += len(by_size[expected])
            if size != expected:
                raise _NoTreeError
            parts.append(build(by_size[expected]))
        return parts if others else first

    try:
        return build(range(count))
    except (_NoTreeError, RecursionError):
        return None


class _NoTreeError(Exception):
    """The terms are not added two at a time."""


def add_in_order(tree: Tree, terms: Terms, *, fused: bool) -> Any:
    """Add (terms, sums) in an order, products of single terms fused with the rest."""
    if isinstance(tree, int):
        return terms.change(lambda x: x[tree]).values()
    first, *others = tree
    total = add_in_order(first, terms, fused=fused)
    for number, part in enumerate(others):
        if fused and isinstance(part, int):
            total = _fuse_term(terms, part, total)
        elif fused and number == 0 and isinstance(first, int):
            total = _fuse_term(terms, first, add_in_order(part, terms, fused=True))
        else:
            total = total + add_in_order(part, terms, fused=fused)
    return total


def _fuse_term(terms: Terms, number: int, rest: Any) -> Any:
    if terms.y is None:
        return rest + terms.x[number]
    return fuse(terms.x[number], terms.y[number], rest)


def spell_order(tree: Tree) -> str:
    """Spell an order by the numbers of its terms.

    >>> spell_order([0, 2, 4, 6, [1, 3]])
    '0+2+...+6+(1+3)'
    """
    if isinstance(tree, int):
        return str(tree)
    pieces: list[str] = []
    run: list[int] = []
    for part in tree:
        if isinstance(part, int) and (len(run) < 2 or part - run[-1] == run[1] - run[0]):
            run.append(part)
            continue
        pieces += _spell_run(run)
        run = [part] if isinstance(part, int) else []
        if not isinstance(part, int):
            pieces.append(f"({spell_order(part)})")
    return "+".join(pieces + _spell_run(run))


def _spell_run(run: list[int]) -> list[str]:
    if len(run) < 4:
        return [str(number) for number in run]
    return [str(run[0]), str(run[1]), "...", str(run[-1])]
