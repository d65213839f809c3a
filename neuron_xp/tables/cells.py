"""What is asked of a table's file, what comes of it, and the words for what is wrong with it.

Every message is one line that begins with the file's name. Lines are counted from 1, as in an
editor; rows and columns of arrays from 0, as in an index.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from shlex import quote
from typing import TypeAlias

import numpy as np

MISSING = frozenset(("", "NA", "NaN", "nan", "null"))

Values: TypeAlias = list[str] | np.ndarray
"""A column as text, or as float64 numbers."""


class TableError(ValueError):
    """A file is not the table that was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # a name may hold line breaks


@dataclass(frozen=True)
class Reading:
    """How to read a table.

    target : its name, or its number counted from 0
    features : their names, or None for all other columns
    categories : the features whose cells are words and not numbers
    delimiter : None for ',' in a .csv and a tab in a .tsv
    decimal : '.' or ','
    drop_missing : whether rows with missing cells are left out
    """

    target: str | int | None = None
    features: tuple[str, ...] | None = None
    categories: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str = "."
    drop_missing: bool = False

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ','; got {self.decimal!r}")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character; got {self.delimiter!r}")


@dataclass(frozen=True)
class Wanted:
    """What to read of a file; the categories are some of the features.

    rows : how many make a chunk, at most; None for all of them
    """

    features: tuple[str, ...]
    categories: tuple[str, ...]
    target: str | None
    rows: int | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The features that hold numbers."""
        return tuple(name for name in self.features if name not in self.categories)

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that may hold words."""
        return self.categories if self.target is None else (*self.categories, self.target)


Choose: TypeAlias = Callable[[tuple[str, ...]], Wanted]
"""From the names of a file's columns to what is wanted of them."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A chunk of the wanted columns without missing cells; numbers are finite.

    numbers : one column for each of `wanted.numbers`, float64
    others : the columns of `wanted.others`
    lines : where each row stands in the file
    dropped : how many rows were left out for a missing cell
    """

    source: str
    wanted: Wanted
    numbers: np.ndarray
    others: dict[str, Values]
    lines: Sequence[int]
    unit: str
    dropped: int

    def place(self, row: int, column: str) -> str:
        """The beginning of a message about one cell."""
        return f"{self.source}, {self.unit} {self.lines[row]}, column {column!r}"


def parsed(cell: str, decimal: str) -> float:
    """The number that a cell spells, perhaps infinite or NaN, or ValueError."""
    if "_" in cell or (decimal == "," and "." in cell):
        raise ValueError(cell)
    return float(cell.replace(",", ".") if decimal == "," else cell)


def refuse_number(place: str, cell: str, decimal: str, name: str = "") -> TableError:
    """The error for a cell that is no finite number; a feature's `name` could be a category's."""
    try:
        value = parsed(cell, decimal)
    except ValueError:
        return TableError(f"{place}: {short(cell)} is not a number{_hint(cell, decimal, name)}")
    return TableError(f"{place}: {short(cell)} is {value}; numbers must be finite")


def _hint(cell: str, decimal: str, name: str) -> str:
    if decimal == "." and "," in cell:
        return "; for decimal commas type --decimal ,"
    return f"; if the column holds categories type --categories {quote(name)}" if name else ""


def refuse_missing(place: str, cell: str) -> TableError:
    """The error for a missing cell."""
    return TableError(
        f"{place}: missing cell {cell!r}; fill it in, or type --drop-missing to leave such rows out"
    )


def unique(source: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names, if there are any, and no two the same."""
    known = tuple(names)
    twice = [name for name, count in Counter(known).items() if count > 1]
    if twice:
        raise TableError(f"{source}: two columns are named {twice[0]!r}; rename one")
    if not known:
        raise TableError(f"{source}: has no columns; give at least one")
    return known
