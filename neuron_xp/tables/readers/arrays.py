"""NPY and NPZ -> chunks of columns. Nothing in these files is ever unpickled."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from neuron_xp.errors import one_line
from neuron_xp.npy import NpyRows, open_npy
from neuron_xp.tables.cells import (
    MISSING,
    Cells,
    Choose,
    Reading,
    TableError,
    Values,
    Wanted,
    refuse_missing,
    refuse_number,
    unique,
)

TARGETS = "targets"
"""The name, in an NPZ, of the array of targets and of its column."""


def read_npy(path: Path, reading: Reading, choose: Choose) -> Iterator[Cells]:
    """Chunks of an array, whose columns are named '0', '1', ..."""
    source = path.name
    with understood(source, "an .npy file of numbers, as numpy.save writes them"):
        array = np.lib.format.open_memmap(path, mode="r")
    names = _numbered(source, array)
    wanted = choose(names)
    for first, part in _row_blocks(path, array, wanted.rows):
        others: dict[str, Values] = {
            name: _floats(source, part[:, int(name)]) for name in wanted.others
        }
        block = _floats(source, _picked(part, wanted))
        yield arranged(source, wanted, block, others, drop=reading.drop_missing, first=first)


def _row_blocks(
    path: Path, array: np.ndarray, rows: int | None
) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, some rows), read and not mapped: what is mapped counts as memory in use."""
    if rows is None:
        yield 0, array
        return
    _refuse_other_than_real(path.name, array.dtype)
    if not array.flags.c_contiguous:
        raise TableError(
            f"{path.name}: is stored column by column and cannot be read by rows; save "
            "numpy.ascontiguousarray of it, or leave --max-memory out"
        )
    count, files = len(array), NpyRows([open_npy(path)])
    buffer = np.empty((min(rows, count), array.shape[1]), dtype=array.dtype)
    try:
        for first in range(0, max(count, 1), rows):
            part = buffer[: count - first]
            files.read(first, part)
            yield first, part
    finally:
        files.close()


def read_npz(path: Path, reading: Reading, choose: Choose) -> Iterator[Cells]:
    """One chunk: the array 'inputs', its columns named '0', '1', ..., and the array 'targets'."""
    source = path.name
    with path.open("rb") as file:
        with understood(source, "an .npz file of numbers, as numpy.savez writes them"):
            archive = np.load(file, allow_pickle=False)
        if getattr(archive, "files", None) is None:
            raise TableError(f"{source}: holds one array and no names; call it .npy")
        with archive:
            yield _from_archive(source, archive, reading, choose)


def _from_archive(source: str, archive: Any, reading: Reading, choose: Choose) -> Cells:
    if "inputs" not in archive:
        found = ", ".join(sorted(archive)) or "none"
        raise TableError(f"{source}: has no array 'inputs'; found {found}")
    array = _member(source, archive, "inputs")
    names = _numbered(source, array)
    wanted = choose((*names, TARGETS) if TARGETS in archive else names)
    others: dict[str, Values] = {
        name: _floats(source, array[:, int(name)]) for name in wanted.categories
    }
    if wanted.target is not None:
        others[wanted.target] = _targets(source, archive, rows=array.shape[0])
    block = _floats(source, _picked(array, wanted))
    return arranged(source, wanted, block, others, drop=reading.drop_missing)


def _member(source: str, archive: Any, name: str) -> np.ndarray:
    with understood(source, f"an .npz file whose {name!r} are numbers"):
        return np.asarray(archive[name])


def _targets(source: str, archive: Any, rows: int) -> Values:
    array = _member(source, archive, TARGETS)
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise TableError(
            f"{source}: 'targets' must have the shape (rows,) or (rows, neurons); got {array.shape}"
        )
    if array.shape[0] != rows:
        raise TableError(
            f"{source}: 'inputs' hold {rows} rows but 'targets' {array.shape[0]}; give one for each"
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "U" and array.ndim == 1:
        return [str(word).strip() for word in array]
    return _floats(source, array)


def _numbered(source: str, array: np.ndarray) -> tuple[str, ...]:
    if array.ndim != 2:
        raise TableError(
            f"{source}: must be a table, of the shape (rows, columns); got {array.shape}"
        )
    return unique(source, map(str, range(array.shape[1])))


def _picked(array: np.ndarray, wanted: Wanted) -> np.ndarray:
    """The numbers' columns; all of them in their order are not copied."""
    at = [int(name) for name in wanted.numbers]
    return array if at == list(range(array.shape[1])) else array[:, at]


def _floats(source: str, array: np.ndarray) -> np.ndarray:
    """Exactly, in float64 and C order, or refused."""
    _refuse_other_than_real(source, array.dtype)
    large = 2**53
    if array.dtype.kind in "iu" and ((array >= large) | (array <= -large)).any():
        raise too_large(source)
    return np.array(array, dtype="float64", order="C", subok=False)


def _refuse_other_than_real(source: str, dtype: Any) -> None:
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TableError(f"{source}: must hold real numbers; got dtype {dtype}")


def too_large(source: str) -> TableError:
    """The error for integers that float64 cannot tell apart."""
    return TableError(
        f"{source}: holds integers of 2^53 or more, which float64 cannot tell apart; "
        "scale them, or store them as floats"
    )


@contextmanager
def understood(source: str, what: str) -> Iterator[None]:
    """Whatever a library says of a damaged file, in one line."""
    try:
        yield
    except TableError:
        raise
    except (ValueError, EOFError, OSError, BadZipFile, zlib.error, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # there is no such file, or it may not be read
        # NumPy takes what it does not know for a pickle, and tells how to load that
        reason = "pickles are not read" if "pickle" in str(error) else one_line(error)
        raise TableError(f"{source}: is not {what} ({reason})") from error


# --- rows ------------------------------------------------------------------------------


def arranged(
    source: str,
    wanted: Wanted,
    block: np.ndarray,
    others: dict[str, Values],
    *,
    drop: bool,
    first: int = 0,
) -> Cells:
    """Without the rows that have a missing cell, if they may be dropped; the rest finite.

    first : the number of the first row, counted in the file
    """
    gone = np.isnan(block).any(axis=1)
    for values in others.values():
        gone |= _missing(values)
    kept = np.flatnonzero(~gone)
    cells = Cells(source, wanted, block, others, range(first, first + len(block)), "row", 0)
    dropped = len(block) - len(kept)
    if dropped:
        if not drop:
            raise _first_missing(cells, row=int(np.argmax(gone)))
        some = {name: _rows_of(values, kept) for name, values in others.items()}
        lines = (kept + first).tolist()
        cells = Cells(source, wanted, block[kept], some, lines, "row", dropped)
    _check_finite(cells)
    return cells


def _missing(values: Values) -> np.ndarray:
    """Which rows have a missing cell."""
    if isinstance(values, list):
        return np.asarray([word in MISSING for word in values], dtype=bool)
    missing: np.ndarray = np.isnan(values)
    if missing.ndim == 2:
        missing = np.any(missing, axis=1)
    return missing


def _rows_of(values: Values, rows: np.ndarray) -> Values:
    return [values[i] for i in rows] if isinstance(values, list) else values[rows]


def _first_missing(cells: Cells, row: int) -> TableError:
    columns: dict[str, Values] = {
        name: cells.numbers[:, i] for i, name in enumerate(cells.wanted.numbers)
    }
    columns |= cells.others
    name = next(name for name, values in columns.items() if _missing(values[row : row + 1])[0])
    cell = columns[name][row]
    return refuse_missing(cells.place(row, name), cell if isinstance(cell, str) else "nan")


def _check_finite(cells: Cells) -> None:
    columns = {"": cells.numbers} | {
        name: values for name, values in cells.others.items() if not isinstance(values, list)
    }
    for name, values in columns.items():
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, value = int(bad[0][0]), float(values[tuple(bad[0])])
            place = cells.place(row, name or cells.wanted.numbers[int(bad[0][1])])
            raise refuse_number(place, str(value), ".")
