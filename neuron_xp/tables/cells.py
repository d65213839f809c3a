"""Columns that a reader is asked for, cells that it gives, and the words for a wrong one.

Every message is one line that begins with the file's name. Lines are counted from 1, as in an
editor; rows and columns of arrays from 0, as in an index. A hint is `give NAME=VALUE`, in Python;
the command line says it in flags.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from reprlib import repr as short
from typing import ClassVar, TypeAlias

import numpy as np

from neuron_xp.errors import show_text
from neuron_xp.tables.advice import advise_number

MISSING = frozenset(("", "NA", "NaN", "nan", "null"))
SPELLED_TABS = ("tab", r"\t", r"\\t")
"""What is typed for a tab where the key would do something else."""
LARGEST_INTEGER = 2**53
"""In magnitude; beyond it float64 cannot tell integers apart."""


class TableError(ValueError):
    """A file is not the table that was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(show_text(message, 500))  # names and cells may hold anything


@dataclass(frozen=True)
class Reading:
    r"""The way to read a table.

    target : its name, or its number counted from 0
    features : their names, or None for all other columns
    categories : the features whose cells are words and not numbers
    delimiter : None for ',' in a .csv and a tab in a .tsv; a tab may be spelled 'tab' or '\t'
    decimal : '.' or ','
    drop_missing : whether rows with missing cells are left out
    header : whether the first line of text names the columns; else they are '0', '1', ...
    """

    target: str | int | None = None
    features: Iterable[str] | None = None
    categories: Iterable[str] = ()
    delimiter: str | None = None
    decimal: str = "."
    drop_missing: bool = False
    header: bool = True

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ','; got {self.decimal!r}")
        if self.delimiter in SPELLED_TABS:
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(
                f"delimiter must be one character; got {self.delimiter!r}: give delimiter=';', "
                "or delimiter='tab'"
            )
        if self.delimiter is not None and self.delimiter in '\r\n"':
            raise ValueError(
                f"delimiter must be no line break and no quote; got {self.delimiter!r}"
            )
        if not isinstance(self.header, bool):  # 0 and None mean other things in other libraries
            raise TypeError(
                "header must be True, where the first line names the columns, or False, where it "
                f"is a row; got {self.header!r}"
            )
        for role in ("features", "categories"):
            names = getattr(self, role)
            if isinstance(names, str):
                raise TypeError(
                    f"{role} must be a list of names; got {names!r}: give {role}=[{names!r}]"
                )
            if names is not None:  # a list will do, but a model is compared with its file's tuple
                object.__setattr__(self, role, tuple(names))


@dataclass(frozen=True)
class Wanted:
    """The columns to read of a file, by name; the categories are some of the features."""

    features: tuple[str, ...]
    categories: tuple[str, ...]
    target: str | None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The features that hold numbers."""
        return tuple(name for name in self.features if name not in self.categories)

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that may hold words: the categories and the target."""
        return self.categories if self.target is None else (*self.categories, self.target)


@dataclass(frozen=True, eq=False)
class Words:
    """A column of text, without the spaces around its cells.

    codes : (rows,) integers: the place of each row's word in `distinct`, or -1 if it is missing
    distinct : the words, some perhaps in no row
    decimal : the decimal mark in those that spell numbers
    """

    codes: np.ndarray
    distinct: tuple[str, ...]
    decimal: str = "."

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: np.ndarray | slice) -> "Words":
        return replace(self, codes=self.codes[rows])

    def used(self) -> frozenset[str]:
        """Find the words that are in some row."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.distinct))
        return frozenset(self.distinct[code] for code in np.flatnonzero(counts))

    def numbers(self) -> dict[str, float]:
        """Find the number that each word spells, for those that spell one."""
        found = {}
        for word in self.used():
            try:
                found[word] = parse_number(word, self.decimal)
            except ValueError:
                continue
        return found

    def map(self, values: Mapping[str, float], dtype: str) -> np.ndarray:
        """Give each row the value of its word; NaN, or -1, where there is none."""
        none = -1 if dtype == "int64" else np.nan
        table = np.asarray([*(values.get(word, none) for word in self.distinct), none], dtype)
        return np.asarray(table[self.codes])

    def first(self, some: Set[str]) -> int:
        """Find the first row with one of these words."""
        codes = [code for code, word in enumerate(self.distinct) if word in some]
        return int(np.isin(self.codes, codes).argmax())

    def number_error(self, where: str, row: int) -> TableError:
        """Explain that the cell in a row should have been a number."""
        return number_error(where, self.distinct[self.codes[row]], self.decimal)


Values: TypeAlias = Words | np.ndarray
"""A column as text, or as float64 numbers."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A chunk of the wanted columns without missing cells; numbers are finite.

    numbers : (rows, len(wanted.numbers)) float64
    others : the columns of `wanted.others`
    lines : the number of each row in the file, counted as `unit` says
    unit : 'line' or 'row'
    dropped : how many rows were left out for a missing cell
    """

    source: str
    wanted: Wanted
    numbers: np.ndarray
    others: Mapping[str, Values]
    lines: Sequence[int]
    unit: str
    dropped: int

    @property
    def target(self) -> str:
        """The name of the target, which must be wanted."""
        assert self.wanted.target is not None, "the target was asked for"
        return self.wanted.target

    def words(self, name: str) -> Words:
        """Spell the cells of one of the other columns."""
        values = self.others[name]
        if isinstance(values, Words):
            return values
        numbers, codes = np.unique(values, return_inverse=True)
        return Words(codes, tuple(map(spell_number, numbers.tolist())))

    def cut(self, rows: int) -> Iterator["Cells"]:
        """Yield chunks of at most so many rows; the first has what was dropped."""
        for first in range(0, max(len(self.lines), 1), rows):
            part = slice(first, first + rows)
            yield replace(
                self,
                numbers=self.numbers[part],
                others={name: values[part] for name, values in self.others.items()},
                lines=self.lines[part],
                dropped=0 if first else self.dropped,
            )

    def locate(self, row: int, column: str) -> str:
        """Begin a message about one cell."""
        return f"{self.source}, {self.unit} {self.lines[row]}, column {column!r}"


@dataclass(frozen=True, eq=False)
class OpenTable(ABC):
    """A file that is open and holds a table: what each reader gives.

    source : the file's name, for messages
    names : of all columns
    column_bytes : what reading takes for each wanted column, however few rows are read at a time
    """

    source: str
    names: tuple[str, ...]
    column_bytes: ClassVar[int] = 0

    @abstractmethod
    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Read the wanted columns, once, in chunks of at most so many rows, or of any size.

        There is at least one chunk, and some may be without rows.
        """


# --- numbers ---------------------------------------------------------------------------


def parse_number(cell: str, decimal: str) -> float:
    """Find the number that a cell spells, perhaps infinite or NaN; ValueError if it spells none."""
    text = cell.strip(" \t")
    if (
        text != cell.strip()
        or not cell.isascii()
        or "_" in cell
        or (decimal == "," and "." in cell)
    ):
        raise ValueError(cell)
    return float(cell.replace(",", ".") if decimal == "," else cell)


def is_rounded(cell: str, number: float) -> bool:
    """Tell whether a cell spells an integer, by its digits alone, that is not the number."""
    return (
        abs(number) >= LARGEST_INTEGER
        and cell.strip().lstrip("+-").isdecimal()
        and Decimal(cell) != Decimal(number)
    )


def spell_number(number: float) -> str:
    """Write a number in one way, however the file spells it: '3' for 3 and 3.0."""
    return str(int(number)) if number.is_integer() else repr(number)


# --- what is wrong ---------------------------------------------------------------------


def number_error(where: str, cell: str, decimal: str, name: str = "") -> TableError:
    """Explain why a cell is no number for float64; a feature's `name` could be a category's."""
    try:
        value = parse_number(cell, decimal)
    except ValueError:
        advice = advise_number(cell, decimal, name)
        return TableError(f"{where}: {short(cell)} is not a number{advice}")
    if math.isfinite(value):
        return large_integer_error(where, cell)
    return TableError(f"{where}: {short(cell)} is {value}; numbers must be finite")


def large_integer_error(where: str, cell: str) -> TableError:
    """Explain that an integer would be rounded."""
    return TableError(
        f"{where}: {short(cell)} is an integer beyond 2^53, where float64 cannot tell integers "
        "apart; scale the column, or store it as floats"
    )


def missing_error(where: str, cell: str) -> TableError:
    """Explain that a cell is missing."""
    return TableError(
        f"{where}: missing cell {cell!r}; fill it in, or give drop_missing=True to leave such "
        "rows out"
    )


def check_names(source: str, names: tuple[str, ...]) -> None:
    """Raise if no column is there, or if two have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(f"{source}: two columns are named {twice[0]!r}; rename one")
    if not names:
        raise TableError(f"{source}: has no columns; give at least one")
