"""Columns of a file -> cells: rows with a missing cell go, the rest must be finite."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from neuron_xp.tables.cells import (
    MISSING,
    Cells,
    TableError,
    Values,
    Wanted,
    Words,
    missing_error,
    number_error,
)


def drop_missing_rows(
    source: str,
    wanted: Wanted,
    numbers: np.ndarray,
    others: Mapping[str, Values],
    *,
    may_drop: bool,
    lines: Sequence[int],
    unit: str = "row",
) -> Cells:
    """Make a chunk of columns without the rows that have a missing cell.

    may_drop : whether there may be such rows
    lines, unit : the number of each row, for messages

    Raises TableError for a missing cell where none may be dropped, and for infinity.
    """
    cells = Cells(source, wanted, numbers, others, lines, unit, dropped=0)
    if np.isfinite(numbers).all() and not any(map(_has_gaps, others.values())):
        return cells
    gone = np.isnan(numbers).any(axis=1)
    for values in others.values():
        gone |= _find_missing(values)
    if gone.any():
        if not may_drop:
            raise _missing_error(cells, row=int(gone.argmax()))
        kept = np.flatnonzero(~gone)
        cells = Cells(
            source, wanted, numbers[kept], {name: values[kept] for name, values in others.items()},
            [lines[row] for row in kept.tolist()], unit, dropped=len(gone) - len(kept),
        )  # fmt: skip
    _check_finite(cells)
    return cells


def find_gaps(words: Words) -> Words:
    """Have rows with a word that stands for nothing be missing."""
    gaps = [code for code, word in enumerate(words.distinct) if word in MISSING]
    codes = np.where(np.isin(words.codes, gaps), -1, words.codes) if gaps else words.codes
    return replace(words, codes=codes)


def _has_gaps(values: Values) -> bool:
    if isinstance(values, Words):
        return bool((values.codes < 0).any())
    return not np.isfinite(values).all()


def _find_missing(values: Values) -> np.ndarray:
    """Mark the rows of a column that have a missing cell."""
    if isinstance(values, Words):
        return np.asarray(values.codes < 0)
    return np.asarray(np.isnan(values.reshape(len(values), -1)).any(axis=1))


def _missing_error(cells: Cells, row: int) -> TableError:
    for name, column in zip(cells.wanted.numbers, cells.numbers.T, strict=True):
        if np.isnan(column[row]):
            return missing_error(cells.locate(row, name), "nan")
    columns = cells.others.items()
    name, values = next(pair for pair in columns if _find_missing(pair[1])[row])
    return missing_error(cells.locate(row, name), "" if isinstance(values, Words) else "nan")


def _check_finite(cells: Cells) -> None:
    columns = [*zip(cells.wanted.numbers, cells.numbers.T, strict=True), *cells.others.items()]
    for name, values in columns:
        if isinstance(values, Words) or np.isfinite(values).all():
            continue
        row, *more = np.argwhere(~np.isfinite(values))[0].tolist()
        raise number_error(cells.locate(row, name), str(float(values[row, *more])), ".")
