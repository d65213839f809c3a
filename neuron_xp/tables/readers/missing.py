"""Columns of a binary file -> cells: rows with a missing cell go, the rest must be finite."""

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
    others: dict[str, Values],
    *,
    may_drop: bool,
    first: int = 0,
) -> Cells:
    """Make a chunk of columns without the rows that have a missing cell.

    may_drop : whether there may be such rows
    first : the number of the first row, counted in the file

    Raises TableError for a missing cell where none may be dropped, and for infinity.
    """
    gone = np.isnan(numbers).any(axis=1)
    for values in others.values():
        gone |= _find_missing(values)
    kept = np.flatnonzero(~gone)
    lines = range(first, first + len(numbers))
    cells = Cells(source, wanted, numbers, others, lines, "row", dropped=0)
    dropped = len(numbers) - len(kept)
    if dropped:
        if not may_drop:
            raise _first_missing_error(cells, row=int(np.argmax(gone)))
        some = {name: _take(values, kept) for name, values in others.items()}
        at = (kept + first).tolist()
        cells = Cells(source, wanted, numbers[kept], some, at, "row", dropped)
    _check_finite(cells)
    return cells


def _find_missing(values: Values) -> np.ndarray:
    """Mark the rows of a column that have a missing cell."""
    if isinstance(values, Words):
        return np.asarray([word in MISSING for word in values.cells], dtype=bool)
    missing: np.ndarray = np.isnan(values)
    return missing if missing.ndim == 1 else np.any(missing, axis=1)


def _take(values: Values, rows: np.ndarray) -> Values:
    return values.take(rows.tolist()) if isinstance(values, Words) else values[rows]


def _first_missing_error(cells: Cells, row: int) -> TableError:
    for i, name in enumerate(cells.wanted.numbers):
        if np.isnan(cells.numbers[row, i]):
            return missing_error(cells.locate(row, name), "nan")
    columns = cells.others.items()
    name, values = next(pair for pair in columns if _find_missing(pair[1])[row])
    cell = values.cells[row] if isinstance(values, Words) else "nan"
    return missing_error(cells.locate(row, name), cell)


def _check_finite(cells: Cells) -> None:
    at = _first_infinite(cells.numbers)
    if at is not None:
        where = cells.locate(at[0], cells.wanted.numbers[at[1]])
        raise number_error(where, str(float(cells.numbers[at])), ".")
    for name, values in cells.others.items():
        if isinstance(values, Words):
            continue
        at = _first_infinite(values)
        if at is not None:
            raise number_error(cells.locate(at[0], name), str(float(values[at])), ".")


def _first_infinite(numbers: np.ndarray) -> tuple[int, ...] | None:
    found = np.argwhere(~np.isfinite(numbers))
    return tuple(found[0].tolist()) if len(found) else None
