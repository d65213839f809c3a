"""Parquet -> chunks of columns."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short
from shlex import quote
from typing import Any

import numpy as np

from neuron_xp.tables.cells import (
    MISSING,
    Cells,
    Choose,
    Reading,
    TableError,
    Values,
    Wanted,
    refuse_missing,
    unique,
)
from neuron_xp.tables.readers.arrays import arranged, too_large, understood

BUFFER = 2**16
"""Bytes of each column that are read from the file at a time, when memory is limited."""


def read_parquet(path: Path, reading: Reading, choose: Choose) -> Iterator[Cells]:
    """Chunks of a Parquet file."""
    source, first = path.name, 0
    arrow, parquet = _pyarrow()
    with path.open("rb") as file:
        with understood(source, "a Parquet file"):
            # read ahead, a group of rows would be in memory whole
            opened = parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
        wanted = choose(unique(source, opened.schema_arrow.names))
        for table in _tables(arrow, source, opened, wanted):
            columns = {name: _column(arrow, source, name, table) for name in table.column_names}
            for name in wanted.numbers:
                if isinstance(columns[name], list):
                    raise _text(source, name, opened)
            block = np.empty((table.num_rows, len(wanted.numbers)))
            for i, name in enumerate(wanted.numbers):
                block[:, i] = columns[name]
            others = {name: columns[name] for name in wanted.others}
            yield arranged(source, wanted, block, others, drop=reading.drop_missing, first=first)
            first += table.num_rows


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow; type: pip install pyarrow") from error


def _tables(arrow: Any, source: str, opened: Any, wanted: Wanted) -> Iterator[Any]:
    """The wanted columns by chunks; of a file without rows one that is empty."""
    columns = [*wanted.numbers, *wanted.others]
    with understood(source, "a sound Parquet file"):
        if wanted.rows is None or not opened.metadata.num_rows:
            yield opened.read(columns=columns)
            return
        for batch in opened.iter_batches(wanted.rows, columns=columns, use_threads=False):
            yield arrow.Table.from_batches([batch])


def _column(arrow: Any, source: str, name: str, table: Any) -> Values:
    column, types = table.column(name), arrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return ["" if word is None else word.strip() for word in column.to_pylist()]
    numbers = types.is_integer, types.is_floating, types.is_boolean, types.is_null
    if not any(is_one(kind) for is_one in numbers):
        raise TableError(f"{source}: column {name!r} must hold numbers or text; got {kind}")
    try:
        return np.asarray(column.cast(arrow.float64()).to_numpy())
    except arrow.ArrowInvalid:
        raise too_large(source) from None


def _text(source: str, name: str, opened: Any) -> TableError:
    """The error for a column of text that should hold numbers: at its first word."""
    row = 0
    for batch in opened.iter_batches(columns=[name]):
        for cell in batch.column(0).to_pylist():
            word = "" if cell is None else cell.strip()
            if word not in MISSING:
                return TableError(
                    f"{source}, row {row}, column {name!r}: {short(word)} is text; "
                    f"store it as numbers, or type --categories {quote(name)}"
                )
            row += 1
    return refuse_missing(f"{source}, row 0, column {name!r}", "")
