"""CSV and TSV -> chunks of columns, row by row: the whole text is never in memory."""

import csv
import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from reprlib import repr as short

import numpy as np

from neuron_xp.errors import one_line
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
    is_rounded,
    missing_error,
    number_error,
    parse_number,
)

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@contextmanager
def open_text_table(path: Path, reading: Reading) -> Iterator["TextTable"]:
    """Open a text file whose first line names the columns."""
    delimiter = reading.delimiter or DELIMITERS[path.suffix.lower()]
    if delimiter == reading.decimal:
        raise TableError(f"{path.name}: {delimiter!r} cannot be delimiter and decimal mark")
    # surrogates let bad bytes through to where the line is known
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = _split_rows(path.name, file, delimiter)
        line, header = next(rows, (0, []))
        names = tuple(name.strip() for name in header)
        if not reading.header:
            rows, names = chain([(line, header)], rows), tuple(map(str, range(len(header))))
        _check_header(path.name, line, names)
        yield TextTable(path.name, names, rows, reading)


def _split_rows(
    source: str, file: Iterable[str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, and the line it ends on."""
    reader = csv.reader(_check_lines(source, file), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise TableError(
            f"{source}, line {reader.line_num}: {one_line(error)}; is a quote left open?"
        ) from None


def _check_lines(source: str, file: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise TableError(f"{source}, line {number}: holds a NUL byte; save it as UTF-8 text")
        if not line.isascii() and any("\ud800" <= letter <= "\udfff" for letter in line):
            raise TableError(f"{source}, line {number}: is not UTF-8; save it as UTF-8 text")
        yield line


def _check_header(source: str, line: int, names: tuple[str, ...]) -> None:
    if not names:
        raise TableError(f"{source}: is empty; its first line must name the columns")
    others = [mark for mark in ";\t|," if mark in names[0]]
    if len(names) == 1 and others:
        raise TableError(
            f"{source}, line {line}: is one column, {short(names[0])}; "
            f"for another delimiter give delimiter={others[0]!r}"
        )
    if all(map(_spells_number, names)) and set(names) != {str(i) for i in range(len(names))}:
        raise TableError(f"{source}, line {line}: holds only numbers; it must name the columns")
    check_names(f"{source}, line {line}", names)


def _spells_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True, eq=False)
class TextTable(OpenTable):
    """A text file behind its header; `rows` are (line, cells)."""

    rows: Iterator[tuple[int, list[str]]]
    reading: Reading

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Parse the rows one by one; their cells are kept until a chunk is full."""
        width, decimal = len(self.names), self.reading.decimal
        index = {name: i for i, name in enumerate(self.names)}
        numbers_at = [index[name] for name in wanted.numbers]
        others_at = [index[name] for name in wanted.others]
        chunk = _Chunk(self, wanted)
        for line, row in self.rows:
            if len(row) != width:
                raise TableError(f"{self.source}, line {line}: {len(row)} cells; expected {width}")
            words = [row[i].strip() for i in others_at]
            values = _parse_numbers([row[i] for i in numbers_at], decimal)
            if values is None or not MISSING.isdisjoint(words):
                self._check_dropped(line, dict(zip(self.names, row, strict=True)), wanted)
                chunk.dropped += 1
                continue
            if len(chunk.lines) == rows:
                yield chunk.cells()
                chunk = _Chunk(self, wanted)
            chunk.add(line, values, words)
        yield chunk.cells()

    def _check_dropped(self, line: int, row: dict[str, str], wanted: Wanted) -> None:
        """Raise unless the row has a missing cell and may be dropped for it."""
        decimal = self.reading.decimal
        for name in dict.fromkeys((*wanted.features, *wanted.others)):
            if row[name].strip() in MISSING:
                if self.reading.drop_missing:
                    return
                raise missing_error(self._locate(line, name), row[name])
        for name in wanted.numbers:
            if _parse_numbers([row[name]], decimal) is None:
                raise number_error(self._locate(line, name), row[name], decimal, name)

    def _locate(self, line: int, column: str) -> str:
        return f"{self.source}, line {line}, column {column!r}"


class _Chunk:
    """Rows on their way to become `Cells`."""

    def __init__(self, file: TextTable, wanted: Wanted) -> None:
        self.file, self.wanted = file, wanted
        self.numbers, self.lines, self.dropped = array("d"), array("q"), 0
        self.others: list[list[str]] = [[] for _ in wanted.others]

    def add(self, line: int, values: list[float], words: list[str]) -> None:
        self.numbers.extend(values)
        self.lines.append(line)
        for column, word in zip(self.others, words, strict=True):
            column.append(sys.intern(word))

    def cells(self) -> Cells:
        shape = len(self.lines), len(self.wanted.numbers)
        table = np.asarray(self.numbers, dtype="float64").reshape(shape)
        others: dict[str, Values] = {
            name: Words(column, self.file.reading.decimal)
            for name, column in zip(self.wanted.others, self.others, strict=True)
        }
        source = self.file.source
        return Cells(source, self.wanted, table, others, self.lines, "line", self.dropped)


def _parse_numbers(cells: Sequence[str], decimal: str) -> list[float] | None:
    """Parse the cells of a row; None if one is no finite number, or an integer that is rounded."""
    try:
        if decimal == "." and "_" not in "".join(cells):
            values = list(map(float, cells))
        else:
            values = [parse_number(cell, decimal) for cell in cells]
    except ValueError:
        return None
    # the length of a vector is no smaller than its numbers, and sooner found
    if math.hypot(*values) < LARGEST_INTEGER / 2:
        return values
    are_sound = all(
        math.isfinite(value) and not is_rounded(cell, value)
        for cell, value in zip(cells, values, strict=True)
    )
    return values if are_sound else None
