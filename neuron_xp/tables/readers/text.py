"""CSV and TSV -> chunks of columns, row by row: never is the whole text in memory."""

import csv
import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from reprlib import repr as short

import numpy as np

from neuron_xp.errors import one_line
from neuron_xp.tables.cells import (
    MISSING,
    Cells,
    Choose,
    Reading,
    TableError,
    Values,
    Wanted,
    parsed,
    refuse_missing,
    refuse_number,
    unique,
)

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_text(path: Path, reading: Reading, choose: Choose) -> Iterator[Cells]:
    """Chunks of a text file whose first line names the columns."""
    delimiter = reading.delimiter or DELIMITERS[path.suffix.lower()]
    if delimiter == reading.decimal:
        raise TableError(f"{path.name}: {delimiter!r} cannot be delimiter and decimal mark")
    # surrogates let bad bytes through to where the line is known
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = _rows(path.name, file, delimiter)
        line, header = next(rows, (0, []))
        names = _header(path.name, line, [name.strip() for name in header])
        yield from _chunks(path.name, rows, names, choose(names), reading)


def _rows(source: str, file: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, and the line it ends on."""
    reader = csv.reader(_sound_lines(source, file), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise TableError(
            f"{source}, line {reader.line_num}: {one_line(error)}; is a quote left open?"
        ) from None


def _sound_lines(source: str, file: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise TableError(f"{source}, line {number}: holds a NUL byte; save it as UTF-8 text")
        if not line.isascii() and any("\ud800" <= letter <= "\udfff" for letter in line):
            raise TableError(f"{source}, line {number}: is not UTF-8; save it as UTF-8 text")
        yield line


def _header(source: str, line: int, names: list[str]) -> tuple[str, ...]:
    if not names:
        raise TableError(f"{source}: is empty; its first line must name the columns")
    others = [mark for mark in ";\t|," if mark in names[0]]
    if len(names) == 1 and others:
        raise TableError(
            f"{source}, line {line}: is one column, {short(names[0])}; "
            f"for another delimiter type --delimiter {others[0]!r}"
        )
    if all(map(_spells_number, names)) and set(names) != {str(i) for i in range(len(names))}:
        raise TableError(f"{source}, line {line}: holds only numbers; it must name the columns")
    return unique(f"{source}, line {line}", names)


def _spells_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class _Gathered:
    """Rows on their way to become a chunk."""

    def __init__(self, wanted: Wanted) -> None:
        self.numbers, self.lines, self.dropped = array("d"), array("q"), 0
        self.others: list[list[str]] = [[] for _ in wanted.others]

    def add(self, line: int, values: list[float], words: list[str]) -> None:
        self.numbers.extend(values)
        self.lines.append(line)
        for column, word in zip(self.others, words, strict=True):
            column.append(sys.intern(word))

    def cells(self, source: str, wanted: Wanted) -> Cells:
        rows = len(self.lines)
        table = np.asarray(self.numbers, dtype="float64").reshape(rows, len(wanted.numbers))
        columns: dict[str, Values] = dict(zip(wanted.others, self.others, strict=True))
        return Cells(source, wanted, table, columns, self.lines, "line", self.dropped)


def _chunks(
    source: str,
    rows: Iterator[tuple[int, list[str]]],
    names: tuple[str, ...],
    wanted: Wanted,
    reading: Reading,
) -> Iterator[Cells]:
    at = {name: i for i, name in enumerate(names)}
    number_at, other_at = ([at[name] for name in part] for part in (wanted.numbers, wanted.others))
    found = _Gathered(wanted)
    for line, row in rows:
        if len(row) != len(names):
            raise TableError(f"{source}, line {line}: {len(row)} cells; expected {len(names)}")
        words = [row[i].strip() for i in other_at]
        values = _finite([row[i] for i in number_at], reading.decimal)
        if values is None or not MISSING.isdisjoint(words):
            _check_dropped(f"{source}, line {line}", dict(zip(names, row, strict=True)), wanted,
                           reading)  # fmt: skip
            found.dropped += 1
            continue
        if len(found.lines) == wanted.rows:
            yield found.cells(source, wanted)
            found = _Gathered(wanted)
        found.add(line, values, words)
    yield found.cells(source, wanted)


def _finite(cells: Sequence[str], decimal: str) -> list[float] | None:
    try:
        if decimal == "." and "_" not in "".join(cells):
            values = list(map(float, cells))
        else:
            values = [parsed(cell, decimal) for cell in cells]
    except ValueError:
        return None
    # a sum is finite only of finite numbers, and sooner found
    return values if math.isfinite(sum(values)) or all(map(math.isfinite, values)) else None


def _check_dropped(where: str, row: dict[str, str], wanted: Wanted, reading: Reading) -> None:
    """Raise unless the row has a missing cell and may be dropped for it."""
    for name in dict.fromkeys((*wanted.features, *wanted.others)):
        if row[name].strip() in MISSING:
            if reading.drop_missing:
                return
            raise refuse_missing(f"{where}, column {name!r}", row[name])
    for name in wanted.numbers:
        if _finite([row[name]], reading.decimal) is None:
            place = f"{where}, column {name!r}"
            raise refuse_number(place, row[name], reading.decimal, name)
