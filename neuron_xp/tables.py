"""Tables -> inputs and targets: what the columns mean in training, and the same again later.

The format follows from the file's extension. Columns are found by name; those of arrays are
named '0', '1', ...
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

from neuron_xp.backend import HostArray
from neuron_xp.backends import host
from neuron_xp.table_arrays import read_npy, read_npz, read_parquet
from neuron_xp.table_cells import (
    Cells,
    Choose,
    Reading,
    TableError,
    Values,
    parsed,
    refuse_number,
)
from neuron_xp.table_columns import Columns, for_model, for_training, hint
from neuron_xp.table_text import read_text

__all__ = ["Columns", "Reading", "Table", "TableError", "read_table", "read_training_table"]

READERS: dict[str, Callable[[Path, Reading, Choose], Cells]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".npy": read_npy,
    ".npz": read_npz,
    ".parquet": read_parquet,
}
MOST_NUMBERED_CLASSES = 20


@dataclass(frozen=True, eq=False)
class Table:
    """A table as float64 NumPy arrays.

    inputs : (rows, len(columns.input_names))
    targets : (rows, neurons), or None where they were not asked for
    dropped : how many rows were left out for a missing cell
    notes : what the user may want to know, a short sentence each
    """

    inputs: HostArray
    targets: HostArray | None
    columns: Columns
    dropped: int = 0
    notes: tuple[str, ...] = ()


def read_training_table(path: str | PathLike[str], reading: Reading) -> Table:
    """The table to train on, and what its columns mean.

    Two words as targets become 0 and 1, more of them one column each. Targets in [0, 1] are
    taken as they are; 2 to 20 other whole numbers are classes.
    """
    file = Path(path)
    cells = _read_cells(file, reading, partial(for_training, file.name, reading))
    wanted = cells.wanted
    words = tuple((name, tuple(sorted(set(_words(cells, name))))) for name in wanted.categories)
    classes = _classes(cells, reading.decimal)
    columns = Columns(wanted.features, str(wanted.target), classes, words)
    return _table(cells, columns, reading, ())


def read_table(
    path: str | PathLike[str], reading: Reading, columns: Columns, *, targets: bool
) -> Table:
    """A table for a model whose columns are known; its target only if `targets` are wanted."""
    file, notes = Path(path), list[str]()
    cells = _read_cells(file, reading, partial(for_model, file.name, columns, targets, notes))
    return _table(cells, columns, reading, tuple(notes))


def _read_cells(path: Path, reading: Reading, choose: Choose) -> Cells:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise TableError(
            f"{path.name}: unknown kind of table {path.suffix!r}; choose from {', '.join(READERS)}"
        )
    cells = reader(path, reading, choose)
    if cells.dropped and not len(cells.lines):
        raise TableError(
            f"{path.name}: each of the {cells.dropped} rows has a missing cell, and none is left"
        )
    if not len(cells.lines):
        raise TableError(f"{path.name}: has columns but no rows; give at least one")
    return cells


# --- what they mean --------------------------------------------------------------------


def _table(cells: Cells, columns: Columns, reading: Reading, notes: tuple[str, ...]) -> Table:
    inputs = _inputs(cells, columns)
    asked = cells.wanted.target is not None
    targets = _targets(cells, columns, reading.decimal) if asked else None
    return Table(inputs, targets, columns, cells.dropped, notes)


def _inputs(cells: Cells, columns: Columns) -> HostArray:
    """Each number as it is, each category as one column of 0 and 1 for each word."""
    if not columns.categories:
        return cells.numbers
    inputs = host.zeros((len(cells.lines), len(columns.input_names)))
    categories, at, numbers = dict(columns.categories), 0, iter(cells.numbers.T)
    for name in columns.features:
        if name in categories:
            codes = _codes(cells, name, _words(cells, name), categories[name])
            inputs[host.arange(len(codes)), at + codes] = 1.0
            at += len(categories[name])
        else:
            inputs[:, at] = next(numbers)
            at += 1
    return inputs


def _codes(cells: Cells, name: str, words: list[str], known: tuple[str, ...]) -> HostArray:
    """The place of each word among the known ones."""
    places = {word: i for i, word in enumerate(known)}
    for row, word in enumerate(words):
        if word not in places:
            place = cells.place(row, name)
            raise TableError(f"{place}: {word!r} was not seen in training{hint(word, known)}")
    return host.asarray([places[word] for word in words])


def _words(cells: Cells, name: str) -> list[str]:
    values = cells.others[name]
    return values if isinstance(values, list) else [_word(value) for value in values.tolist()]


def _word(number: float) -> str:
    """One word for one number, however the file spells it: '3' for 3 and 3.0."""
    return str(int(number)) if number.is_integer() else repr(number)


# --- targets ---------------------------------------------------------------------------


def _classes(cells: Cells, decimal: str) -> tuple[str, ...] | None:
    """The classes of the targets in training, or None for numbers in [0, 1]."""
    target = str(cells.wanted.target)
    values = cells.others[target]
    numbers = _numbers(values, decimal)
    if numbers is None:
        found = sorted(set(values))
        _refuse_words_among_numbers(cells, found, decimal)
    elif numbers.ndim == 2:
        return None
    else:
        distinct = host.unique(numbers)
        found = [_word(number) for number in distinct.tolist()]
    if len(found) < 2:
        raise TableError(
            f"{cells.source}: column {target!r} is {found[0]!r} in each row; "
            "give examples of at least two classes"
        )
    if numbers is None or _are_classes(distinct):
        return tuple(found)
    return None


def _are_classes(distinct: HostArray) -> bool:
    outside = (distinct < 0).any() or (distinct > 1).any()
    whole = (distinct == host.floor(distinct)).all() and host.isfinite(distinct).all()
    return bool(outside and whole and len(distinct) <= MOST_NUMBERED_CLASSES)


def _numbers(values: Values, decimal: str) -> HostArray | None:
    """The values as numbers, or None if one of them is not."""
    if not isinstance(values, list):
        return values
    try:
        return host.asarray([parsed(word, decimal) for word in values])
    except ValueError:
        return None


def _refuse_words_among_numbers(cells: Cells, found: list[str], decimal: str) -> None:
    """A word or two in a long column of numbers is a mistake, and no class."""
    numbered = {word for word in found if _numbers([word], decimal) is not None}
    if len(found) > MOST_NUMBERED_CLASSES and 2 * len(numbered) > len(found):
        raise _first_word(cells, decimal)


def _first_word(cells: Cells, decimal: str) -> TableError:
    """The error for the first target that is no number."""
    target = str(cells.wanted.target)
    words = enumerate(cells.others[target])
    row, word = next(pair for pair in words if _numbers([pair[1]], decimal) is None)
    return refuse_number(cells.place(row, target), word, decimal)


def _targets(cells: Cells, columns: Columns, decimal: str) -> HostArray:
    """One column of numbers, or of two classes; one for each of more classes."""
    values = cells.others[columns.target]
    if columns.classes is None:
        return _targets_in_0_1(cells, _numbers(values, decimal), decimal)
    if getattr(values, "ndim", 1) == 2:
        raise TableError(f"{cells.source}: 'targets' must have the shape (rows,) to hold classes")
    words = [_class_word(word, columns.classes, decimal) for word in _words(cells, columns.target)]
    codes = _codes(cells, columns.target, words, columns.classes)
    if len(columns.classes) == 2:
        return host.asarray(codes[:, None], dtype="float64")
    return host.eye(len(columns.classes))[codes]


def _class_word(word: str, classes: tuple[str, ...], decimal: str) -> str:
    numbers = None if word in classes else _numbers([word], decimal)
    return word if numbers is None else _word(float(numbers[0]))


def _targets_in_0_1(cells: Cells, numbers: HostArray | None, decimal: str) -> HostArray:
    if numbers is None:
        raise _first_word(cells, decimal)
    outside = host.argwhere(~((numbers >= 0) & (numbers <= 1)))
    if len(outside):
        place = cells.place(int(outside[0][0]), str(cells.wanted.target))
        value = float(numbers[tuple(outside[0])])
        raise TableError(
            f"{place}: target {value!r} is outside [0, 1]; scale the targets, "
            f"or give 2 to {MOST_NUMBERED_CLASSES} classes, as words or whole numbers"
        )
    return numbers.reshape(len(numbers), -1)
