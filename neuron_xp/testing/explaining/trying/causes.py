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
    WITH_FUSED,
    Way,
    list_elementwise,
    list_moves,
)
from neuron_xp.testing.explaining.trying.ways_of_sums import (
    count_terms,
    is_sum,
    list_revealed,
    list_sums,
)

MOST_ULP_OF_OWN = 16
"""Of a function that is still called another one, and no mistake."""
ENOUGH = 0.9
"""The share of the places at which a way must give the bits."""
MOST_WAYS_TOGETHER = 4
LEAST_PLACES_OF_A_WAY = 8
MOST_PLACES = 1024
MOST_TERMS = 2**21


class Match(NamedTuple):
    """A way, and where it gives the bits that were recorded."""

    way: Way
    at: np.ndarray


class Fit(NamedTuple):
    """Ways that give the bits that were recorded, each at some of the places.

    cause : of the way that does so at most of the places at which the runs differ
    words : what they do
    same : at how many of the places at which the runs differ
    same_elsewhere : at how many of the others that were looked at
    """

    cause: str
    words: str
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
    matches: tuple[list[Match], list[Match]] = ([], [])
    tried = 0
    with np.errstate(all="ignore"):
        for way in list_ways(a, places):
            tried += 1
            for values, kept in zip(found, matches, strict=True):
                kept.extend(_try(way, values))
        for recorded, values, kept in zip((a, b), found, matches, strict=True):
            if is_sum(a) and _find_fit(kept, counted) is None:
                for way in list_revealed(recorded, places, values):
                    tried += 1
                    kept.extend(_try(way, values))
        of_a, of_b = (_find_fit(kept, counted) or _combine(kept, counted) for kept in matches)
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
    if is_sum(recorded):
        most = max(4, min(most, MOST_TERMS // max(1, count_terms(recorded))))
    if len(differs) <= most:
        return np.arange(len(differs))
    halves = [_thin(np.flatnonzero(kind), most // 2) for kind in (differs, ~differs)]
    return np.sort(np.concatenate(halves))


def _thin(x: np.ndarray, most: int) -> np.ndarray:
    return x if len(x) <= most else x[np.linspace(0, len(x) - 1, most).astype("int64")]


def list_ways(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List the ways that are tried at some places of an operation's first result."""
    if is_sum(recorded):
        yield from list_sums(recorded, places)
    elif recorded.name in ELEMENTWISE:
        yield from list_elementwise(recorded, places)
    else:
        yield from list_moves(recorded, places)
    if recorded.results[0].dtype == np.float64:
        yield Way(SINGLE, "gives numbers of float32", round_by("float32"))


def _as_bits(x: np.ndarray) -> np.ndarray:
    return x.view(f"u{x.dtype.itemsize}") if x.dtype.kind == "f" else x


def _try(way: Way, found: np.ndarray) -> Iterator[Match]:
    """Compute by a way; yield where that gives the bits, nothing where NumPy cannot."""
    try:
        computed = normalize(np.asarray(way.compute(found)).astype(found.dtype).reshape(-1))
    except (AttributeError, TypeError, ValueError, IndexError):
        return
    at = _as_bits(np.ascontiguousarray(computed)) == _as_bits(np.ascontiguousarray(found))
    yield Match(way, at)


def _find_fit(matches: list[Match], differs: np.ndarray) -> Fit | None:
    """Return the way that gives most of the bits; None if it does not give nearly all."""
    fits = (
        Fit(way.cause, way.words, int((at & differs).sum()), int((at & ~differs).sum()))
        for way, at in matches
    )
    enough = (fit for fit in fits if _is_enough(fit, differs))
    return max(enough, key=lambda fit: (fit.same, fit.same_elsewhere), default=None)


def _is_enough(fit: Fit, differs: np.ndarray) -> bool:
    counts = int(differs.sum()), int((~differs).sum())
    return fit.same >= ENOUGH * counts[0] and fit.same_elsewhere >= ENOUGH * counts[1]


def _combine(matches: list[Match], differs: np.ndarray) -> Fit | None:
    """Return several ways that together give nearly all of the bits: of a tile and its margin, say.

    Each gives some that those before it do not, and if it is guessed, more than by chance.
    """
    missing = np.ones(len(differs), dtype=bool)
    chosen: list[Match] = []
    while matches and missing.any() and len(chosen) < MOST_WAYS_TOGETHER:
        way, at = max(matches, key=lambda match: int((match.at & missing).sum()))
        if (at & missing).sum() < (1 if way.is_shown else LEAST_PLACES_OF_A_WAY):
            break
        chosen.append(Match(way, at & missing))
        missing &= ~at
    if not chosen:
        return None
    main = max(chosen, key=lambda match: int((match.at & differs).sum()))
    words = (f"{way.words} ({int(at.sum())} of {len(differs)} places)" for way, at in chosen)
    fit = Fit(
        cause=main.way.cause,
        words=", and ".join(words),
        same=int((~missing & differs).sum()),
        same_elsewhere=int((~missing & ~differs).sum()),
    )
    return fit if _is_enough(fit, differs) else None


def _name_cause(a: Fit | None, b: Fit | None) -> str | None:
    """Name the cause: what b does if that is not plain, else what a does."""
    if a is None or b is None:
        known = [fit.cause for fit in (b, a) if fit is not None]
        return known[0] if b is not None and known[0] != PLAIN else None
    causes = [fit.cause for fit in (b, a)]
    sums = {ORDER, FUSED}
    if set(causes) <= sums:
        if causes[0] == causes[1]:
            return ORDER
        is_same_order = a.words.replace(WITH_FUSED, "") == b.words.replace(WITH_FUSED, "")
        return FUSED if is_same_order else f"{ORDER}, and {FUSED}"
    special = [cause for cause in causes if cause not in (PLAIN, ORDER)]
    return special[0] if special else None


def _say(fit: Fit | None, places: int) -> str:
    if fit is None:
        return "gives bits that none of these ways gives"
    if fit.same == places:
        return fit.words
    return f"{fit.words}, at {fit.same} of {places} places"


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
