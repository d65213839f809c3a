"""Tables -> inputs and targets: what the columns mean in training, and the same again later.

A table is a file, a folder or a pattern; the format follows from the files' extension. Columns
are found by name; those of arrays are named '0', '1', ... Each is read whole, or in chunks of
rows that are the same bits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from neuron_xp.tables.cells import Cells, Reading, TableError, refuse_number
from neuron_xp.tables.columns import Columns, for_model, for_training, hint
from neuron_xp.tables.files import Rows, chunks, named, parts_of, refuse_empty
from neuron_xp.tables.survey import columns_of, constant_inputs, survey_chunks
from neuron_xp.tables.targets import refuse_outside
from neuron_xp.tables.words import number_of, numbers_of, spelled, words_of

__all__ = ["Columns", "Reading", "Table", "TableError", "read_table", "read_training_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """A table as float64 NumPy arrays.

    inputs : (rows, len(columns.input_names))
    targets : (rows, neurons), or None where they were not asked for
    dropped : how many rows were left out for a missing cell
    notes : what the user may want to know, a short sentence each
    constant : names of inputs that are the same in each row, where that was looked at
    """

    inputs: np.ndarray
    targets: np.ndarray | None
    columns: Columns
    dropped: int = 0
    notes: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()


def read_training_table(path: str | PathLike[str], reading: Reading) -> Table:
    """The table to train on, and what its columns mean: see `columns_of`."""
    parts = parts_of(path)
    cells = list(chunks(parts, reading, partial(for_training, reading)))
    survey = survey_chunks(cells, reading.decimal, len(parts))
    columns = columns_of(survey)
    table = _joined([_table(part, columns, reading) for part in cells])
    return replace(table, constant=constant_inputs(survey, columns))


def read_table(
    path: str | PathLike[str], reading: Reading, columns: Columns, *, targets: bool
) -> Table:
    """A table for a model whose columns are known; its target only if `targets` are wanted."""
    return _joined(tables(parts_of(path), reading, columns, targets=targets))


def tables(
    parts: Sequence[Path],
    reading: Reading,
    columns: Columns,
    *,
    targets: bool,
    rows: Rows | None = None,
) -> Iterator[Table]:
    """The same in chunks of as many rows as `rows` says, those of each file on their own.

    The first one has the notes; some may have no rows. Raises TableError, at the end for a
    table without rows, or OSError.
    """
    notes, count, dropped = list[str](), 0, 0
    for cells in chunks(parts, reading, partial(for_model, columns, targets, notes), rows):
        count, dropped = count + len(cells.lines), dropped + cells.dropped
        yield replace(_table(cells, columns, reading), notes=tuple(notes))
        notes.clear()
    refuse_empty(named(parts[0].name, len(parts)), count, dropped)


def _joined(chunks: Iterable[Table]) -> Table:
    first, *others = chunks
    if not others:
        return first
    found = [first, *others]
    targets = [table.targets for table in found if table.targets is not None]
    return replace(
        first,
        inputs=np.concatenate([table.inputs for table in found]),
        targets=np.concatenate(targets) if targets else None,
        dropped=sum(table.dropped for table in found),
    )


# --- what they mean --------------------------------------------------------------------


def _table(cells: Cells, columns: Columns, reading: Reading) -> Table:
    inputs = _inputs(cells, columns)
    asked = cells.wanted.target is not None
    return Table(
        inputs, _targets(cells, columns, reading.decimal) if asked else None, columns, cells.dropped
    )


def _inputs(cells: Cells, columns: Columns) -> np.ndarray:
    """Each number as it is, each category as one column of 0 and 1 for each word."""
    if not columns.categories:
        return cells.numbers
    inputs = np.zeros((len(cells.lines), len(columns.input_names)))
    categories, at, numbers = dict(columns.categories), 0, iter(cells.numbers.T)
    for name in columns.features:
        if name in categories:
            codes = _codes(cells, name, words_of(cells, name), categories[name])
            inputs[np.arange(len(codes)), at + codes] = 1.0
            at += len(categories[name])
        else:
            inputs[:, at] = next(numbers)
            at += 1
    return inputs


def _codes(cells: Cells, name: str, words: list[str], known: tuple[str, ...]) -> np.ndarray:
    """The place of each word among the known ones."""
    places = {word: i for i, word in enumerate(known)}
    for row, word in enumerate(words):
        if word not in places:
            place = cells.place(row, name)
            raise TableError(f"{place}: {word!r} was not seen in training{hint(word, known)}")
    return np.asarray([places[word] for word in words], dtype=int)


# --- targets ---------------------------------------------------------------------------


def _targets(cells: Cells, columns: Columns, decimal: str) -> np.ndarray:
    """One column of numbers, or of two classes; one for each of more classes."""
    values = cells.others[columns.target]
    if columns.classes is None:
        return _targets_in_0_1(cells, decimal)
    if getattr(values, "ndim", 1) == 2:
        raise TableError(f"{cells.source}: 'targets' must have the shape (rows,) to hold classes")
    words = [
        _class_word(word, columns.classes, decimal) for word in words_of(cells, columns.target)
    ]
    codes = _codes(cells, columns.target, words, columns.classes)
    if len(columns.classes) == 2:
        return np.asarray(codes[:, None], dtype="float64")
    return np.asarray(np.eye(len(columns.classes))[codes])


def _class_word(word: str, classes: tuple[str, ...], decimal: str) -> str:
    number = None if word in classes else number_of(word, decimal)
    return word if number is None else spelled(number)


def _targets_in_0_1(cells: Cells, decimal: str) -> np.ndarray:
    values = cells.others[str(cells.wanted.target)]
    numbers = numbers_of(values, decimal)
    if numbers is None:
        words = enumerate(values)
        row, word = next(pair for pair in words if number_of(pair[1], decimal) is None)
        raise refuse_number(cells.place(row, str(cells.wanted.target)), word, decimal)
    outside = np.argwhere(~((numbers >= 0) & (numbers <= 1)))
    if len(outside):
        place = tuple(outside[0])
        raise refuse_outside(cells, int(place[0]), float(numbers[place]))
    return numbers.reshape(len(numbers), 1 if numbers.ndim == 1 else numbers.shape[1])
