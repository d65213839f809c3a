"""Parquet -> chunks of columns."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from neuron_xp.tables.cells import (
    LARGEST_INTEGER,
    MISSING,
    Cells,
    OpenTable,
    Reading,
    TableError,
    Values,
    Wanted,
    Words,
    check_names,
    large_integer_error,
    missing_error,
)
from neuron_xp.tables.readers.arrays import explain_damage
from neuron_xp.tables.readers.missing import drop_missing_rows

BUFFER = 2**16
"""Bytes of each column that are read from the file at a time, when memory is limited."""


@contextmanager
def open_parquet_table(path: Path, reading: Reading) -> Iterator["ParquetTable"]:
    """Open a Parquet file; ImportError without pyarrow."""
    arrow, parquet = _import_pyarrow()
    with path.open("rb") as file:
        with explain_damage(path.name, "a Parquet file"):
            # read ahead, a group of rows would be in memory whole
            opened = parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
            names = tuple(opened.schema_arrow.names)
        with opened:
            check_names(path.name, names)
            yield ParquetTable(path.name, names, opened, arrow, reading)


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow; type: pip install pyarrow") from error


@dataclass(frozen=True, eq=False)
class ParquetTable(OpenTable):
    """A Parquet file, a pyarrow.parquet.ParquetFile, and the module pyarrow."""

    file: Any
    arrow: Any
    reading: Reading

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Convert the wanted columns of some rows after others."""
        first = 0
        for table in self._tables(wanted, rows):
            with explain_damage(self.source, "a sound Parquet file"):
                columns = {name: self._column(name, table, first) for name in table.column_names}
            numbers = np.empty((table.num_rows, len(wanted.numbers)))
            for i, name in enumerate(wanted.numbers):
                values = columns[name]
                if isinstance(values, Words):
                    raise self._text_error(name)
                numbers[:, i] = values
            others = {name: columns[name] for name in wanted.others}
            may_drop = self.reading.drop_missing
            yield drop_missing_rows(
                self.source, wanted, numbers, others, may_drop=may_drop, first=first
            )
            first += table.num_rows

    def _tables(self, wanted: Wanted, rows: int | None) -> Iterator[Any]:
        """Yield pyarrow's tables; of a file without rows one that is empty."""
        columns = [*wanted.numbers, *wanted.others]
        expected, found = self.file.metadata.num_rows, 0
        with explain_damage(self.source, "a sound Parquet file"):
            if rows is None or not expected:
                yield self.file.read(columns=columns)
                return
            for batch in self.file.iter_batches(rows, columns=columns, use_threads=False):
                found += batch.num_rows
                yield self.arrow.Table.from_batches([batch])
        if found != expected:
            raise TableError(f"{self.source}: holds {found} rows, and says {expected}")

    def _column(self, name: str, table: Any, first: int) -> Values:
        column, types = table.column(name), self.arrow.types
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        if types.is_string(kind) or types.is_large_string(kind):
            cells = ["" if word is None else word.strip() for word in column.to_pylist()]
            return Words(cells, self.reading.decimal)
        numbers = types.is_integer, types.is_floating, types.is_boolean, types.is_null
        if not any(is_one(kind) for is_one in numbers):
            raise TableError(
                f"{self.source}: column {name!r} must hold numbers or text; got {kind}"
            )
        try:
            return np.asarray(column.cast(self.arrow.float64()).to_numpy())
        except self.arrow.ArrowInvalid:
            row, cell = next(
                (row, cell.as_py()) for row, cell in enumerate(column, start=first)
                if cell.is_valid and abs(cell.as_py()) > LARGEST_INTEGER
            )  # fmt: skip
            where = f"{self.source}, row {row}, column {name!r}"
            raise large_integer_error(where, str(cell)) from None

    def _text_error(self, name: str) -> TableError:
        """Explain, at its first word, that a column of text should hold numbers."""
        row = 0
        for batch in self.file.iter_batches(columns=[name]):
            for cell in batch.column(0).to_pylist():
                word = "" if cell is None else cell.strip()
                if word not in MISSING:
                    return TableError(
                        f"{self.source}, row {row}, column {name!r}: {short(word)} is text; "
                        f"store it as numbers, or give categories={[name]}"
                    )
                row += 1
        return missing_error(f"{self.source}, row 0, column {name!r}", "")
