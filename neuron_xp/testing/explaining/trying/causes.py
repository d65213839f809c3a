"""Causes: which ways of computing an operation give the bits that two libraries gave."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuron_xp.bits import count_ulps
from neuron_xp.testing.explaining.recording import Recorded, normalize
from neuron_xp.testing.explaining.trying.rounding import DECIMALS, round_by, round_correctly
from neuron_xp.testing.explaining.trying.ways import (
    ELEMENTWISE,
    FUSED,
    ORDER,
    OWN,
    PLAIN,
    SINGLE,
    Way,
    list_elementwise,
    list_moves,
)
from neuron_xp.testing.explaining.trying.ways_of_sums import list_revealed, list_sums

MOST_ULP_OF_OWN = 16
"""Of a function that is still called another one, and no mistake."""
ENOUGH = 0.9
MOST_PLACES = 4096
MOST_TERMS = 2**21


class Fit(NamedTuple):
    """How well a way gives the bits that were recorded.

    same : at how many of the places at which the runs differ
    same_elsewhere : at how many of the others that were looked at
    """

    way: Way
    same: int
    same_elsewhere: int


@dataclass(frozen=True)
class Cause:
    """A cause that was found out by trying.

    name : "order of the sum", "fused multiply-add", ...; None where no way gives the bits
    words : what each of the two does
    tried : how many ways were tried
    places, elsewhere : at how many places that differ, and others, they were tried
    """

    name: str | None
    words: tuple[str, ...]
    tried: int
    places: int
    elsewhere: int


def find_cause(a: Recorded, b: Recorded, names: tuple[str, str]) -> Cause:
    """Try ways to compute the operation on the host, from what both were given."""
    first, second = (normalize(r.results[0]).reshape(-1) for r in (a, b))
    differs = _as_bits(first) != _as_bits(second)
    places = choose_places(a, differs)
    counted = differs[places]
    found = first[places], second[places]
    fits: list[list[Fit]] = [[], []]
    tried = 0
    with np.errstate(all="ignore"):
        for way in list_ways(a, places):
            tried += 1
            for values, kept in zip(found, fits, strict=True):
                fit = _try(way, values, counted)
                if fit is not None:
                    kept.append(fit)
        if a.name in ("matmul", "sum"):
            for recorded, values, kept in zip((a, b), found, fits, strict=True):
                if not kept:
                    revealed = list(list_revealed(recorded, places, values))
                    tried += len(revealed)
                    kept.extend(filter(None, (_try(way, values, counted) for way in revealed)))
        of_a, of_b = (max(kept, key=_goodness, default=None) for kept in fits)
        name = _name_cause(of_a, of_b)
        words = [
            f"{who} {_say(fit, int(counted.sum()))}"
            for who, fit in zip(names, (of_a, of_b), strict=True)
        ]
        if (name is None or name == OWN) and a.name in DECIMALS:
            name, words = _measure_own(a, places, found, names)
    return Cause(
        name=name,
        words=tuple(words),
        tried=tried,
        places=int(counted.sum()),
        elsewhere=int((~counted).sum()),
    )


def choose_places(recorded: Recorded, differs: np.ndarray) -> np.ndarray:
    """Choose places, as flat indices, at which ways are tried: all, or about as many of both kinds.

    differs : where the results of two runs differ, flat
    """
    most = MOST_PLACES
    if recorded.name in ("matmul", "sum"):
        most = max(4, min(most, MOST_TERMS // max(1, _count_terms(recorded))))
    if len(differs) <= most:
        return np.arange(len(differs))
    halves = [_thin(np.flatnonzero(kind), most // 2) for kind in (differs, ~differs)]
    return np.sort(np.concatenate(halves))


def _thin(x: np.ndarray, most: int) -> np.ndarray:
    return x if len(x) <= most else x[np.linspace(0, len(x) - 1, most).astype("int64")]


def _count_terms(recorded: Recorded) -> int:
    x = recorded.arguments[0]
    if recorded.name == "matmul":
        return int(x.shape[-1])
    return int(x.size // max(1, recorded.results[0].size))


def list_ways(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List the ways that are tried at some places of an operation's first result."""
    if recorded.name in ("matmul", "sum"):
        yield from list_sums(recorded, places)
    elif recorded.name in ELEMENTWISE:
        yield from list_elementwise(recorded, places)
    else:
        yield from list_moves(recorded, places)
    if recorded.results[0].dtype == np.float64:
        yield Way(SINGLE, "gives numbers of float32", round_by("float32"))


def _as_bits(x: np.ndarray) -> np.ndarray:
    return x.view(f"u{x.dtype.itemsize}") if x.dtype.kind == "f" else x


def _try(way: Way, found: np.ndarray, differs: np.ndarray) -> Fit | None:
    """Compute by a way; None where that gives other bits at too many places, or fails."""
    try:
        computed = normalize(np.asarray(way.compute(found)).astype(found.dtype).reshape(-1))
    except (AttributeError, TypeError, ValueError, IndexError):  # NumPy has no such function
        return None
    same = _as_bits(np.ascontiguousarray(computed)) == _as_bits(np.ascontiguousarray(found))
    fit = Fit(way, int(same[differs].sum()), int(same[~differs].sum()))
    enough = ENOUGH * differs.sum(), ENOUGH * (~differs).sum()
    return fit if fit.same >= enough[0] and fit.same_elsewhere >= enough[1] else None


def _goodness(fit: Fit) -> tuple[int, int]:
    return fit.same, fit.same_elsewhere


def _name_cause(a: Fit | None, b: Fit | None) -> str | None:
    """Name the cause: what b does if that is not plain, else what a does."""
    if a is None or b is None:
        known = [fit.way.cause for fit in (b, a) if fit is not None]
        return known[0] if b is not None and known[0] != PLAIN else None
    causes = [fit.way.cause for fit in (b, a)]
    sums = {ORDER, FUSED}
    if set(causes) <= sums:
        return FUSED if causes[0] != causes[1] else ORDER
    special = [cause for cause in causes if cause not in (PLAIN, ORDER)]
    return special[0] if special else None


def _say(fit: Fit | None, places: int) -> str:
    if fit is None:
        return "gives bits that none of these ways gives"
    if fit.same == places:
        return fit.way.words
    return f"{fit.way.words}, at {fit.same} of {places} places"


def _measure_own(
    recorded: Recorded,
    places: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    names: Iterable[str],
) -> tuple[str | None, list[str]]:
    """Measure how far each is from the correctly rounded function."""
    x = np.asarray(recorded.arguments[0]).reshape(-1)[places]
    correct = round_correctly(recorded.name, x)
    words, worst = [], 0
    for who, values in zip(names, found, strict=True):
        ulps = count_ulps(values, correct)
        worst = max(worst, int(ulps.max()))
        words.append(
            f"{who}'s is correctly rounded at {int((ulps == 0).sum())} of {len(ulps)} places, "
            f"and {int(ulps.max())} ulp off at most"
        )
    return (OWN if worst <= MOST_ULP_OF_OWN else None), words
