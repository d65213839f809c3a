"""Tables -> inputs and targets: what the columns mean in training, and the same again later.

A table is a file, a folder or a pattern; the format follows from the files' extension. Columns
are found by name; those of arrays are named '0', '1', ... Each is read whole, or in chunks of
rows that are the same bits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path

import numpy as np

from neuron_xp.checks import check_fits
from neuron_xp.errors import did_you_mean
from neuron_xp.tables.cells import Cells, OpenTable, Reading, TableError, Words, spell_number
from neuron_xp.tables.columns import (
    Columns,
    check_same_columns,
    note_differences,
    select_for_model,
    select_for_training,
)
from neuron_xp.tables.files import (
    RowLimit,
    check_not_empty,
    find_parts,
    name_table,
    open_table,
)
from neuron_xp.tables.survey import (
    Survey,
    decide_columns,
    find_constant_inputs,
    merge_surveys,
    survey_chunks,
)
from neuron_xp.tables.targets import find_outside, outside_error, parse_targets


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
    """Read the table to train on, and decide what its columns mean: see `decide_columns`."""
    chunks, surveys, first = list[Cells](), list[Survey](), None
    for part in find_parts(path):
        with open_table(part, reading) as file:
            first = _check_like_first(first, file)
            cells = list(file.chunks(select_for_training(reading, file.source, file.names)))
            surveys.append(survey_chunks(cells, file.names))
            chunks += cells
    survey = reduce(merge_surveys, surveys)
    columns = decide_columns(survey)
    table = _join([_encode(cells, columns) for cells in chunks])
    return replace(table, constant=find_constant_inputs(survey, columns))


def read_table(
    path: str | PathLike[str], reading: Reading, columns: Columns, *, targets: bool
) -> Table:
    """Read a table for a model whose columns are known; its target only with `targets`."""
    return _join(read_chunks(find_parts(path), reading, columns, targets=targets))


def read_chunks(
    parts: Sequence[Path],
    reading: Reading,
    columns: Columns,
    *,
    targets: bool,
    rows: RowLimit | None = None,
) -> Iterator[Table]:
    """Read the same in chunks of as many rows as `rows` says, those of each file on their own.

    The first one has the notes; some may have no rows. Raises TableError, at the end for a
    table without rows, or OSError.
    """
    first, count, dropped = None, 0, 0
    for part in parts:
        with open_table(part, reading) as file:
            notes = note_differences(columns, file.source, file.names) if first is None else ()
            first = _check_like_first(first, file)
            wanted = select_for_model(columns, file.source, file.names, targets=targets)
            for cells in file.chunks(wanted, None if rows is None else rows(file, wanted)):
                count, dropped = count + len(cells.lines), dropped + cells.dropped
                yield replace(_encode(cells, columns), notes=notes)
                notes = ()
    check_not_empty(name_table(parts[0].name, len(parts)), count, dropped)


def _check_like_first(first: OpenTable | None, file: OpenTable) -> OpenTable:
    """Return the first part; raise unless another has the same columns."""
    if first is None:
        return file
    check_same_columns(first.source, first.names, file.source, file.names)
    return first


def _join(tables: Iterable[Table]) -> Table:
    first, *others = tables
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


# --- inputs ----------------------------------------------------------------------------


def _encode(cells: Cells, columns: Columns) -> Table:
    targets = None if cells.wanted.target is None else _encode_targets(cells, columns)
    return Table(_encode_inputs(cells, columns), targets, columns, cells.dropped)


def _encode_inputs(cells: Cells, columns: Columns) -> np.ndarray:
    """Keep each number, and make of each category one column of 0 and 1 for each word."""
    if not columns.categories:
        return cells.numbers
    shape = len(cells.lines), len(columns.input_names)
    check_fits(f"{cells.source}: its categories", shape)
    inputs = np.zeros(shape)
    categories, at, numbers = dict(columns.categories), 0, iter(cells.numbers.T)
    for name in columns.features:
        if name in categories:
            codes = _encode_words(cells, name, cells.words(name), categories[name])
            inputs[np.arange(len(codes)), at + codes] = 1.0
            at += len(categories[name])
        else:
            inputs[:, at] = next(numbers)
            at += 1
    return inputs


def _encode_words(cells: Cells, name: str, words: Words, known: tuple[str, ...]) -> np.ndarray:
    """Find the index of each word among the known ones."""
    codes = words.map({word: i for i, word in enumerate(known)}, "int64")
    if len(codes) and codes.min() < 0:
        row = int(codes.argmin())
        word = words.distinct[words.codes[row]]
        where = cells.locate(row, name)
        raise TableError(f"{where}: {word!r} was not seen in training{did_you_mean(word, known)}")
    return codes


# --- targets ---------------------------------------------------------------------------


def _encode_targets(cells: Cells, columns: Columns) -> np.ndarray:
    """Make one column of numbers, or of two classes; one for each of more classes."""
    values = cells.others[cells.target]
    if columns.classes is None:
        return _take_numbers(cells)
    if not isinstance(values, Words) and values.ndim == 2:
        raise TableError(f"{cells.source}: 'targets' must have the shape (rows,) to hold classes")
    words = _class_words(cells, columns.classes)
    codes = _encode_words(cells, cells.target, words, columns.classes)
    if len(columns.classes) == 2:
        return np.asarray(codes[:, None], dtype="float64")
    shape = len(codes), len(columns.classes)
    check_fits(f"{cells.source}: its classes", shape)
    targets = np.zeros(shape)
    targets[np.arange(len(codes)), codes] = 1.0
    return targets


def _class_words(cells: Cells, classes: tuple[str, ...]) -> Words:
    """Spell the targets as the classes are: a number in one way, unless a class has its cell."""
    values = cells.others[cells.target]
    if not isinstance(values, Words):
        return cells.words(cells.target)
    numbers = parse_targets(cells, values)
    spelled = {word: spell_number(number) for word, number in numbers.items()}
    spelled |= {word: word for word in classes}
    return replace(values, distinct=tuple(spelled.get(word, word) for word in values.distinct))


def _take_numbers(cells: Cells) -> np.ndarray:
    """Take the targets as they are: numbers in [0, 1]."""
    values = cells.others[cells.target]
    numbers = _take_words(cells, values) if isinstance(values, Words) else values
    at = find_outside(numbers)
    if at is not None:
        raise outside_error(cells, at[0], float(numbers[at]))
    return numbers.reshape(len(numbers), 1 if numbers.ndim == 1 else numbers.shape[1])


def _take_words(cells: Cells, values: Words) -> np.ndarray:
    numbers = parse_targets(cells, values)
    words = values.used() - numbers.keys()
    if words:
        row = values.first(words)
        raise values.number_error(cells.locate(row, cells.target), row)
    return values.map(numbers, "float64")
