"""Summaries: what one look at all of the data finds, part by part."""

import math
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import numpy as np

from neuron_xp.backends.examples import TOO_HEAVY
from neuron_xp.backends.libraries import find_backend
from neuron_xp.model.fingerprint import (
    GROUP,
    MOST_GROUPS,
    digest_groups,
    digest_rows,
    keep_groups,
    mix_rows,
)
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.reproducible.elementary import TINY_INPUT
from neuron_xp.neuron.reproducible.exact_sum import add_exactly
from neuron_xp.neuron.step import Examples

MOST_ROWS = GROUP * MOST_GROUPS
SUMMARY_ROWS = 2**14
"""Rows that are summarized at a time; a multiple of 64."""


class Summary(NamedTuple):
    """Findings of one look at the data: sums and extremes that can be merged.

    digest : of the fingerprint
    unordered : a digest that does not know the order of the rows
    groups : some bits of the digest of each group of 64 rows; empty for many
    rows : how many
    no_tiny_inputs : whether each input is 0 or at least 2^-60 in magnitude
    low, high : the smallest and the largest input of each column
    class_sums : the largest distance from 1 of the sum of an example's targets
    weights : floats whose exact sum is that of the sample weights
    """

    digest: int
    unordered: int
    groups: dict[int, int]
    rows: int
    no_tiny_inputs: bool
    low: np.ndarray
    high: np.ndarray
    class_sums: float
    weights: tuple[float, ...]


def summarize_part(first_row: int, examples: Examples) -> Summary:
    """Summarize a part whose first row is a multiple of 64, counted in all of the data."""
    backend = find_backend(examples.inputs)
    summaries, row = list[Summary](), first_row
    with backend.context():
        for block in steps.blocks(examples, SUMMARY_ROWS):
            tables = [backend.to_host(x).astype("float64") for x in block[:3] if x is not None]
            summaries.append(_summarize_block(row, tables))
            row += SUMMARY_ROWS
    return reduce(merge_summaries, summaries)


def _summarize_block(first_row: int, tables: list[np.ndarray]) -> Summary:
    inputs, groups = tables[0], digest_groups(first_row, *tables)
    return Summary(
        digest=digest_rows(groups),
        unordered=mix_rows(*tables),
        groups=keep_groups(groups),
        rows=len(inputs),
        no_tiny_inputs=not ((inputs != 0) & (abs(inputs) < TINY_INPUT)).any(),
        low=inputs.min(axis=0),
        high=inputs.max(axis=0),
        class_sums=float(abs(tables[1].sum(axis=1) - 1).max()),
        weights=_shorten_exact_sum(tables[2].ravel().tolist()) if len(tables) == 3 else (),
    )


def merge_summaries(a: Summary, b: Summary) -> Summary:
    """Summarize the rows of both."""
    return Summary(
        digest=(a.digest + b.digest) % 2**256,
        unordered=(a.unordered + b.unordered) % 2**64,
        groups=keep_groups(a.groups | b.groups) if a.rows + b.rows <= MOST_ROWS else {},
        rows=a.rows + b.rows,
        no_tiny_inputs=a.no_tiny_inputs and b.no_tiny_inputs,
        low=np.minimum(a.low, b.low),
        high=np.maximum(a.high, b.high),
        class_sums=max(a.class_sums, b.class_sums),
        weights=_shorten_exact_sum((*a.weights, *b.weights)),
    )


def _shorten_exact_sum(terms: Iterable[float]) -> tuple[float, ...]:
    """Return a few floats with the same exact sum as the terms."""
    left, parts = list(terms), list[float]()
    while left and (part := add_exactly(left)):
        if part == math.inf:
            raise ValueError(TOO_HEAVY)
        parts.append(part)
        left.append(-part)
    return tuple(parts)
