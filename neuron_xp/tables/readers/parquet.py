"""Parquet -> chunks of columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from reprlib import repr as short
from typing import Any, ClassVar

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
    check_names,
    large_integer_error,
    missing_error,
)
from neuron_xp.tables.readers.arrow import import_pyarrow, to_numpy, to_words
from neuron_xp.tables.readers.damage import explain_damage
from neuron_xp.tables.readers.missing import drop_missing_rows
from neuron_xp.threads import run_ahead

BUFFER = 2**16
"""Bytes of each column that are read from the file at a time, when memory is limited."""
MOST_TEXT = 2**13
"""Bytes of text in a group of rows, for each row of a chunk: some of it is in memory whole."""
ROWS, THREADS = 2**15, 2
"""Of a chunk, where no limit is given; and for chunks, while pyarrow's own read the next."""


@contextmanager
def open_parquet_table(path: Path, reading: Reading) -> Iterator["ParquetTable"]:
    """Open a Parquet file; ImportError without pyarrow."""
    arrow = import_pyarrow("parquet", "Parquet")
    with path.open("rb") as file:
        with explain_damage(path.name, "a Parquet file"):
            # read ahead, a group of rows would be in memory whole
            opened = arrow.parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
            names = tuple(opened.schema_arrow.names)
        with opened:
            check_names(path.name, names)
            yield ParquetTable(path.name, names, opened, arrow, reading)


@dataclass(frozen=True, eq=False)
class ParquetTable(OpenTable):
    """A Parquet file, a pyarrow.parquet.ParquetFile, and the module pyarrow."""

    column_bytes: ClassVar[int] = BUFFER + 2**13
    file: Any
    arrow: Any
    reading: Reading

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Convert some rows after others, while the next are read."""
        return run_ahead(partial(self._to_cells, wanted), self._batches(wanted, rows), THREADS)

    def _to_cells(self, wanted: Wanted, numbered: tuple[int, Any]) -> Cells:
        """Convert the wanted columns of a batch, whose first row has this number."""
        first, batch = numbered
        with explain_damage(self.source, "a sound Parquet file"):
            columns = {name: self._convert(name, batch, first) for name in batch.schema.names}
        numbers = np.empty((batch.num_rows, len(wanted.numbers)))
        for i, name in enumerate(wanted.numbers):
            numbers[:, i] = columns[name]
        return drop_missing_rows(
            self.source, wanted, numbers, {name: columns[name] for name in wanted.others},
            may_drop=self.reading.drop_missing, lines=range(first, first + len(numbers)),
        )  # fmt: skip

    def _batches(self, wanted: Wanted, rows: int | None) -> Iterator[tuple[int, Any]]:
        """Yield (first row, batch of pyarrow); of a file without rows one that is empty."""
        columns = [*wanted.numbers, *wanted.others]
        expected, found = self.file.metadata.num_rows, 0
        with explain_damage(self.source, "a sound Parquet file"):
            for name in wanted.numbers:
                if self._is_text(self.file.schema_arrow.field(name).type):
                    raise self._text_error(name)
            if rows is not None:
                self._check_text(wanted, MOST_TEXT * rows)
            if not expected:
                nothing = self.arrow.RecordBatch.from_pylist([], self.file.schema_arrow)
                yield 0, nothing.select(columns)
                return
            batches = self.file.iter_batches(rows or ROWS, columns=columns, use_threads=not rows)
            for batch in batches:
                yield found, batch
                found += batch.num_rows
        if found != expected:
            raise TableError(f"{self.source}: holds {found} rows, and says {expected}")

    def _check_text(self, wanted: Wanted, most: int) -> None:
        """Raise for a group of rows with more bytes of text than memory can be asked for."""
        metadata = self.file.metadata
        found = map(metadata.row_group, range(metadata.num_row_groups))
        # pyarrow ends the process at some damaged columns: only large groups are asked for theirs
        groups = (group for group in found if group.total_byte_size > most)
        for column in (group.column(i) for group in groups for i in range(group.num_columns)):
            size, name = column.total_uncompressed_size, column.path_in_schema
            if column.physical_type == "BYTE_ARRAY" and name in wanted.others and size > most:
                raise TableError(
                    f"{self.source}: column {name!r} has {size:,} bytes of text in one group of "
                    f"rows, and {most:,} fit; write smaller groups, or give max_memory=None"
                )

    def _is_text(self, kind: Any) -> bool:
        types = self.arrow.types
        kind = kind.value_type if types.is_dictionary(kind) else kind
        return bool(types.is_string(kind) or types.is_large_string(kind))

    def _convert(self, name: str, batch: Any, first: int) -> Values:
        column, types = batch.column(name), self.arrow.types
        is_dictionary = types.is_dictionary(column.type)
        if self._is_text(column.type):
            words = column if is_dictionary else column.dictionary_encode()
            return to_words(words, self.reading.decimal)
        kind = column.type.value_type if is_dictionary else column.type
        column = column.cast(kind)
        numbers = types.is_integer, types.is_floating, types.is_boolean, types.is_null
        if not any(is_one(kind) for is_one in numbers):
            raise TableError(
                f"{self.source}: column {name!r} must hold numbers or text; got {kind}"
            )
        try:
            return to_numpy(column.cast(self.arrow.float64()), np.nan)
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
