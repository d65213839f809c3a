"""A table's rows to train on, and those held out: in memory, or as working copies on the disk.

A working copy is two .npy files, so that a text is parsed, and Parquet decoded, once and not in
each iteration. They are in a temporary folder, in TMPDIR where that is set, and removed at the
end.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from neuron_xp.model.table_use import TableUse, mark_held_out, split_rows
from neuron_xp.npy import RowFile, check_disk_space, open_npy_rows
from neuron_xp.tables.encode import Columns, Table, read_table, read_training_table, tables
from neuron_xp.tables.files import chunk_bytes, parts_of, within
from neuron_xp.tables.survey import columns_of, constant_inputs, merge, survey_file

SPLIT_BYTES = 9
"""Of a row, while those that are held out are drawn: its place, and whether it is one."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows: arrays (of Dask, on a cluster), or the .npy files that hold them.

    inputs : (rows, columns)
    targets : (rows, neurons)
    """

    inputs: Any
    targets: Any
    rows: int

    def blocks(self, max_memory: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs and targets, by as many rows as fit; what is given is used again."""
        if not isinstance(self.inputs, Path) or not isinstance(self.targets, Path):
            yield self.inputs, self.targets
            return
        files = open_npy_rows(self.inputs), open_npy_rows(self.targets)
        width = sum(file.shape[1] for file in files)
        rows = self.rows if max_memory is None else chunk_bytes(max_memory) // (8 * width) or 1
        size = min(rows, self.rows)
        buffers = [np.empty((size, file.shape[1])) for file in files]
        try:
            for start in range(0, self.rows, size):
                inputs, targets = (buffer[: self.rows - start] for buffer in buffers)
                files[0].read(start, inputs)
                files[1].read(start, targets)
                yield inputs, targets
        finally:
            for file in files:
                file.close()


@dataclass(frozen=True, eq=False)
class TableData:
    """A table that was read.

    dropped : how many rows were left out for a missing cell
    notes : what the user may want to know
    constant : the names of inputs that are the same in each row, where that was looked at
    """

    columns: Columns
    training: Part
    held_out: Part | None
    dropped: int
    notes: tuple[str, ...]
    constant: tuple[str, ...] = ()


@contextmanager
def opened(
    path: str | PathLike[str],
    use: TableUse,
    *,
    known: bool,
    max_memory: int | None = None,
    on_cluster: bool = False,
) -> Iterator[TableData]:
    """A table with its targets, split as `use` says; what is on the disk is removed in the end.

    known : whether the columns mean what `use` says, or are to be found
    max_memory : bytes; None reads the table whole
    on_cluster : whether the workers of a cluster read it, and keep what is not held out

    Raises TableError, ValueError or OSError.
    """
    if on_cluster:
        from neuron_xp.cluster.tables import bring_arrays, spread_table  # needs Dask

        spread = spread_table(str(path), use.reading, use.columns if known else None)
        data = _split(spread, use)
        if data.held_out is not None:
            inputs, targets = bring_arrays(data.held_out.inputs, data.held_out.targets)
            data = replace(data, held_out=Part(inputs, targets, data.held_out.rows))
        yield data
    elif max_memory is not None:
        with TemporaryDirectory(prefix="neuron-xp-") as folder:
            yield _copied(path, use, known, max_memory, Path(folder))
    elif known:
        yield _split(read_table(path, use.reading, use.columns, targets=True), use)
    else:
        yield _split(read_training_table(path, use.reading), use)


def _split(table: Table, use: TableUse) -> TableData:
    assert table.targets is not None, "they were asked for"
    count = len(table.inputs)
    rows, held_out = split_rows(count, use)
    _refuse_no_row(len(rows), count, use)
    whole = Part(table.inputs, table.targets, count)
    training = _rows_of(table, rows) if len(held_out) else whole
    apart = _rows_of(table, held_out) if len(held_out) else None
    return TableData(table.columns, training, apart, table.dropped, table.notes, table.constant)


def _rows_of(table: Table, rows: np.ndarray) -> Part:
    assert table.targets is not None, "they were asked for"
    return Part(table.inputs[rows], table.targets[rows], len(rows))


def _refuse_no_row(left: int, rows: int, use: TableUse) -> None:
    if left == 0:
        raise ValueError(f"holdout={use.holdout} leaves no row of {rows} to train on")


# --- on the disk -----------------------------------------------------------------------


def _copied(
    path: str | PathLike[str], use: TableUse, known: bool, max_memory: int, folder: Path
) -> TableData:
    parts, reading = parts_of(path), use.reading
    columns, constant, rows = use.columns, tuple[str, ...](), None
    if not known:
        at_once = within(max_memory)
        survey = reduce(merge, (survey_file(part, reading, at_once) for part in parts))
        columns, rows = columns_of(survey), survey.rows
        constant = constant_inputs(survey, columns)
    chunks = tables(
        parts, reading, columns, targets=True,
        rows=within(max_memory, len(columns.input_names) + columns.neurons),
    )  # fmt: skip
    if use.holdout and rows is None:
        counted = tables(
            parts, reading, columns, targets=True,
            rows=within(max_memory, len(columns.input_names) + columns.neurons),
        )  # fmt: skip
        rows = sum(len(table.inputs) for table in counted)
    if rows is not None:
        check_disk_space(folder.parent, 8 * rows * (len(columns.input_names) + columns.neurons))
    held_out = _marks(rows, use, max_memory) if use.holdout and rows is not None else None
    return _written(chunks, columns, constant, held_out, rows, folder)


def _marks(rows: int, use: TableUse, max_memory: int) -> np.ndarray:
    if SPLIT_BYTES * rows > max_memory // 4:
        raise ValueError(
            f"to hold rows out of {rows:,} takes {SPLIT_BYTES * rows:,} bytes, which is more than "
            "a quarter of --max-memory; keep those rows in a file of their own, and type: "
            "neuron-xp evaluate MODEL FILE"
        )
    marks = mark_held_out(rows, use)
    _refuse_no_row(rows - int(marks.sum()), rows, use)
    return marks


def _written(
    chunks: Iterator[Table],
    columns: Columns,
    constant: tuple[str, ...],
    held_out: np.ndarray | None,
    rows: int | None,
    folder: Path,
) -> TableData:
    first, dropped, notes = 0, 0, tuple[str, ...]()
    with ExitStack() as stack:
        training, apart = (_Copy(folder, name, columns, stack) for name in ("training", "held_out"))
        for table in chunks:
            count = len(table.inputs)
            if held_out is None:
                training.append(table, slice(None))
            else:
                marks = held_out[first : first + count]
                training.append(table, ~marks)
                apart.append(table, marks)
            first, dropped, notes = first + count, dropped + table.dropped, notes + table.notes
    if rows not in (None, first):
        raise OSError(f"the table has changed while it was read: {rows} rows became {first}")
    return TableData(
        columns, training.part(), apart.part() if apart.rows else None, dropped, notes, constant
    )


class _Copy:
    """Two files that grow, of inputs and targets."""

    def __init__(self, folder: Path, name: str, columns: Columns, stack: ExitStack) -> None:
        self.inputs = stack.enter_context(
            RowFile(folder / f"{name}-inputs.npy", len(columns.input_names))
        )
        self.targets = stack.enter_context(RowFile(folder / f"{name}-targets.npy", columns.neurons))

    @property
    def rows(self) -> int:
        return self.inputs.shape[0]

    def append(self, table: Table, rows: np.ndarray | slice) -> None:
        assert table.targets is not None, "they were asked for"
        self.inputs.append(table.inputs[rows])
        self.targets.append(table.targets[rows])

    def part(self) -> Part:
        return Part(self.inputs.path, self.targets.path, self.rows)
