"""NPY, NPZ and Parquet -> columns. Nothing in these files is ever unpickled."""

import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from shlex import quote
from typing import Any
from zipfile import BadZipFile

from neuron_xp.backend import HostArray
from neuron_xp.backends import host, one_line
from neuron_xp.table_cells import (
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


def read_npy(path: Path, reading: Reading, choose: Choose) -> Cells:
    """The columns of an array, named '0', '1', ..."""
    with _understood(path.name, "an .npy file of numbers, as numpy.save writes them"):
        array = host.lib.format.open_memmap(path, mode="r")
    names = _numbered(path.name, array)
    wanted = choose(names)
    others: dict[str, Values] = {
        name: _floats(path.name, array[:, int(name)]) for name in wanted.others
    }
    block = _floats(path.name, _picked(array, wanted))
    return _arranged(path.name, wanted, block, others, drop=reading.drop_missing)


def read_npz(path: Path, reading: Reading, choose: Choose) -> Cells:
    """The columns of the array 'inputs', named '0', '1', ..., and the array 'targets'."""
    source = path.name
    with path.open("rb") as file:
        with _understood(source, "an .npz file of numbers, as numpy.savez writes them"):
            archive = host.load(file, allow_pickle=False)
        if getattr(archive, "files", None) is None:
            raise TableError(f"{source}: holds one array and no names; call it .npy")
        with archive:
            return _from_archive(source, archive, reading, choose)


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
    return _arranged(source, wanted, block, others, drop=reading.drop_missing)


def _member(source: str, archive: Any, name: str) -> HostArray:
    with _understood(source, f"an .npz file whose {name!r} are numbers"):
        return archive[name]


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


def _numbered(source: str, array: HostArray) -> tuple[str, ...]:
    if array.ndim != 2:
        raise TableError(
            f"{source}: must be a table, of the shape (rows, columns); got {array.shape}"
        )
    return unique(source, map(str, range(array.shape[1])))


def _picked(array: HostArray, wanted: Wanted) -> HostArray:
    """The numbers' columns; all of them in their order are not copied."""
    at = [int(name) for name in wanted.numbers]
    return array if at == list(range(array.shape[1])) else array[:, at]


def _floats(source: str, array: HostArray) -> HostArray:
    """Exactly, in float64 and C order, or refused."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TableError(f"{source}: must hold real numbers; got dtype {array.dtype}")
    large = 2**53
    if array.dtype.kind in "iu" and ((array >= large) | (array <= -large)).any():
        raise _too_large(source)
    return host.array(array, dtype="float64", order="C", subok=False)


def _too_large(source: str) -> TableError:
    return TableError(
        f"{source}: holds integers of 2^53 or more, which float64 cannot tell apart; "
        "scale them, or store them as floats"
    )


@contextmanager
def _understood(source: str, what: str) -> Iterator[None]:
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


# --- Parquet ---------------------------------------------------------------------------


def read_parquet(path: Path, reading: Reading, choose: Choose) -> Cells:
    """The columns of a Parquet file."""
    source = path.name
    arrow, parquet = _pyarrow()
    with path.open("rb") as file:
        with _understood(source, "a Parquet file"):
            opened = parquet.ParquetFile(file)
        wanted = choose(unique(source, opened.schema_arrow.names))
        with _understood(source, "a sound Parquet file"):
            table = opened.read(columns=[*wanted.numbers, *wanted.others])
    columns = {name: _column(arrow, source, name, table) for name in table.column_names}
    for name in wanted.numbers:
        if isinstance(columns[name], list):
            _refuse_text(source, name, columns[name])
    block = host.empty((table.num_rows, len(wanted.numbers)))
    for i, name in enumerate(wanted.numbers):
        block[:, i] = columns[name]
    others = {name: columns[name] for name in wanted.others}
    return _arranged(source, wanted, block, others, drop=reading.drop_missing)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow; type: pip install pyarrow") from error


def _column(arrow: Any, source: str, name: str, table: Any) -> Values:
    column, types = table.column(name), arrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return ["" if word is None else word.strip() for word in column.to_pylist()]
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise TableError(f"{source}: column {name!r} must hold numbers or text; got {kind}")
    try:
        return column.cast(arrow.float64()).to_numpy()
    except arrow.ArrowInvalid:
        raise _too_large(source) from None


def _refuse_text(source: str, name: str, words: list[str]) -> None:
    for row, word in enumerate(words):
        if word not in MISSING:
            raise TableError(
                f"{source}, row {row}, column {name!r}: {short(word)} is text; "
                f"store it as numbers, or type --categories {quote(name)}"
            )
    raise refuse_missing(f"{source}, row 0, column {name!r}", "")


# --- rows ------------------------------------------------------------------------------


def _arranged(
    source: str, wanted: Wanted, block: HostArray, others: dict[str, Values], *, drop: bool
) -> Cells:
    """Without the rows that have a missing cell, if they may be dropped; the rest finite."""
    gone = host.isnan(block).any(axis=1)
    for values in others.values():
        gone |= _missing(values)
    kept = host.flatnonzero(~gone)
    cells = Cells(source, wanted, block, others, range(len(block)), "row", 0)
    if len(kept) < len(block):
        if not drop:
            raise _first_missing(cells, row=int(host.argmax(gone)))
        some = {name: _rows_of(values, kept) for name, values in others.items()}
        cells = Cells(
            source, wanted, block[kept], some, kept.tolist(), "row", len(block) - len(kept)
        )
    _check_finite(cells)
    return cells


def _missing(values: Values) -> HostArray:
    """Which rows have a missing cell."""
    if isinstance(values, list):
        return host.asarray([word in MISSING for word in values], dtype=bool)
    nan = host.isnan(values)
    return nan if nan.ndim == 1 else nan.any(axis=1)


def _rows_of(values: Values, rows: HostArray) -> Values:
    return [values[i] for i in rows] if isinstance(values, list) else values[rows]


def _first_missing(cells: Cells, row: int) -> TableError:
    columns = {name: cells.numbers[:, i] for i, name in enumerate(cells.wanted.numbers)}
    columns |= cells.others
    name = next(name for name, values in columns.items() if _missing(values[row : row + 1])[0])
    cell = columns[name][row]
    return refuse_missing(cells.place(row, name), cell if isinstance(cell, str) else "nan")


def _check_finite(cells: Cells) -> None:
    columns = {"": cells.numbers} | {
        name: values for name, values in cells.others.items() if not isinstance(values, list)
    }
    for name, values in columns.items():
        bad = host.argwhere(~host.isfinite(values))
        if len(bad):
            row, value = int(bad[0][0]), float(values[tuple(bad[0])])
            place = cells.place(row, name or cells.wanted.numbers[int(bad[0][1])])
            raise refuse_number(place, str(value), ".")
