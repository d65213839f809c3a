"""A table's rows to train on, and those held out: in memory, or as working copies on the disk.

A working copy is two .npy files, so that a text is parsed, and Parquet decoded, once and not in
each iteration. They are in a temporary folder, in TMPDIR where that is set, and removed at the
end, or by the next run where this one was killed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from neuron_xp.files.npy import RowFile, open_npy_rows
from neuron_xp.files.temporary import check_disk_space, open_temporary_folder
from neuron_xp.model.table_use import TableUse, mark_held_out, split_rows
from neuron_xp.tables.advice import drop_training_advice
from neuron_xp.tables.cells import TableError
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import Table, read_chunks, read_table, read_training_table
from neuron_xp.tables.files import chunk_bytes, find_parts, limit_rows
from neuron_xp.tables.survey import (
    decide_columns,
    find_constant_inputs,
    merge_surveys,
    survey_file,
)

SPLIT_BYTES = 9
"""Bytes of a row while rows to hold out are drawn: its number, and whether it is one."""


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows of a table: arrays (of Dask, on a cluster), or the .npy files that hold them.

    inputs : (count, columns)
    targets : (count, neurons)
    """

    inputs: Any
    targets: Any
    count: int

    def blocks(self, max_memory: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, targets) blocks that fit into max_memory; the buffers are reused."""
        if not isinstance(self.inputs, Path) or not isinstance(self.targets, Path):
            yield self.inputs, self.targets
            return
        files = open_npy_rows(self.inputs), open_npy_rows(self.targets)
        width = sum(file.shape[1] for file in files)
        rows = self.count if max_memory is None else chunk_bytes(max_memory) // (8 * width) or 1
        size = min(rows, self.count)
        buffers = [np.empty((size, file.shape[1])) for file in files]
        try:
            for start in range(0, self.count, size):
                inputs, targets = (buffer[: self.count - start] for buffer in buffers)
                files[0].read(start, inputs)
                files[1].read(start, targets)
                yield inputs, targets
        finally:
            for file in files:
                file.close()


@dataclass(frozen=True, eq=False)
class TableData:
    """A table that was read, its rows split into those to train on and those held out.

    dropped : how many rows were left out for a missing cell
    notes : what the user may want to know
    constant : the names of inputs that are the same in each row, where that was looked at
    """

    columns: Columns
    training: TableRows
    held_out: TableRows | None
    dropped: int
    notes: tuple[str, ...]
    constant: tuple[str, ...] = ()


@contextmanager
def explain_to_model() -> Iterator[None]:
    """Leave advice for a training out of errors, where a model reads a table."""
    try:
        yield
    except TableError as error:
        raise TableError(drop_training_advice(str(error))) from error


@contextmanager
def open_table_data(
    path: str | PathLike[str],
    use: TableUse,
    *,
    known: bool,
    max_memory: int | None = None,
    on_cluster: bool = False,
) -> Iterator[TableData]:
    """Open a table with its targets, split as `use` says; remove what is on the disk at the end.

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
            data = replace(data, held_out=TableRows(inputs, targets, data.held_out.count))
        yield data
    elif max_memory is not None:
        with open_temporary_folder() as folder:
            yield _copy_to_disk(path, use, known, max_memory, folder)
    elif known:
        yield _split(read_table(path, use.reading, use.columns, targets=True), use)
    else:
        yield _split(read_training_table(path, use.reading), use)


def _split(table: Table, use: TableUse) -> TableData:
    assert table.targets is not None, "they were asked for"
    count = len(table.inputs)
    rows, held_out = split_rows(count, use)
    _check_rows_left(len(rows), count, use)
    whole = TableRows(table.inputs, table.targets, count)
    training = _take_rows(table, rows) if len(held_out) else whole
    apart = _take_rows(table, held_out) if len(held_out) else None
    return TableData(table.columns, training, apart, table.dropped, table.notes, table.constant)


def _take_rows(table: Table, rows: np.ndarray) -> TableRows:
    assert table.targets is not None, "they were asked for"
    return TableRows(table.inputs[rows], table.targets[rows], len(rows))


def _check_rows_left(left: int, rows: int, use: TableUse) -> None:
    if left == 0:
        raise ValueError(f"holdout={use.holdout} leaves no row of {rows} to train on")


# --- on the disk -----------------------------------------------------------------------


def _copy_to_disk(
    path: str | PathLike[str], use: TableUse, known: bool, max_memory: int, folder: Path
) -> TableData:
    parts, reading = find_parts(path), use.reading
    columns, constant, rows = use.columns, tuple[str, ...](), None
    if not known:
        at_once = limit_rows(max_memory)
        survey = reduce(merge_surveys, (survey_file(part, reading, at_once) for part in parts))
        columns, rows = decide_columns(survey), survey.rows
        constant = find_constant_inputs(survey, columns)
    width = len(columns.input_names) + columns.neurons

    def read() -> Iterator[Table]:
        limit = limit_rows(max_memory, width)
        return read_chunks(parts, reading, columns, targets=True, rows=limit)

    if use.holdout and rows is None:
        rows = sum(len(table.inputs) for table in read())
    if rows is not None:
        check_disk_space(folder.parent, 8 * rows * width)
    held_out = _mark_held_out(rows, use, max_memory) if use.holdout and rows is not None else None
    return _write_copies(read(), columns, constant, held_out, rows, folder)


def _mark_held_out(rows: int, use: TableUse, max_memory: int) -> np.ndarray:
    if SPLIT_BYTES * rows > max_memory // 4:
        raise ValueError(
            f"to hold rows out of {rows:,} takes {SPLIT_BYTES * rows:,} bytes, which is more than "
            "a quarter of max_memory; keep those rows in a file of their own, to evaluate the "
            "model on"
        )
    marks = mark_held_out(rows, use)
    _check_rows_left(rows - int(marks.sum()), rows, use)
    return marks


def _write_copies(
    chunks: Iterator[Table],
    columns: Columns,
    constant: tuple[str, ...],
    held_out: np.ndarray | None,
    rows: int | None,
    folder: Path,
) -> TableData:
    first, dropped, notes = 0, 0, tuple[str, ...]()
    with ExitStack() as stack:
        training = _WorkingCopy(folder, "training", columns, stack)
        apart = _WorkingCopy(folder, "held_out", columns, stack)
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
        columns=columns,
        training=training.as_rows(),
        held_out=apart.as_rows() if apart.count else None,
        dropped=dropped,
        notes=notes,
        constant=constant,
    )


class _WorkingCopy:
    """A pair of files that grow, of inputs and of targets."""

    def __init__(self, folder: Path, name: str, columns: Columns, stack: ExitStack) -> None:
        self.inputs = stack.enter_context(
            RowFile(folder / f"{name}-inputs.npy", len(columns.input_names))
        )
        self.targets = stack.enter_context(RowFile(folder / f"{name}-targets.npy", columns.neurons))

    @property
    def count(self) -> int:
        return self.inputs.shape[0]

    def append(self, table: Table, rows: np.ndarray | slice) -> None:
        assert table.targets is not None, "they were asked for"
        self.inputs.append(table.inputs[rows])
        self.targets.append(table.targets[rows])

    def as_rows(self) -> TableRows:
        return TableRows(self.inputs.path, self.targets.path, self.count)
