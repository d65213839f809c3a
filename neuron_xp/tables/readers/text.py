"""CSV and TSV -> chunks of columns: pyarrow parses blocks of rows, several at a time.

What pyarrow takes is the data. Where it fails, or where a number, a null or a line break asks for
a second look, Python's csv reads the same block again, for the line and for the words of an error.
"""

import math
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
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
    Wanted,
    Words,
    check_names,
    is_rounded,
    missing_error,
    number_error,
    parse_number,
)
from neuron_xp.tables.readers.arrow import import_pyarrow, to_numpy, to_words
from neuron_xp.tables.readers.damage import explain_damage
from neuron_xp.tables.readers.missing import drop_missing_rows
from neuron_xp.tables.readers.text_blocks import TextBlocks, are_quotes_plain
from neuron_xp.threads import count_threads, run_ahead

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}

HEADER, BLOCK, PIECE = 2**16, 2**22, 2**18
"""Bytes of text that are read at first, that a thread is given, and that pyarrow parses at a time:
the last stay in the processor's cache, and were the fastest."""
ROWS_OF_CELLS = 2**8
"""Bytes of text for each column, at least: pyarrow sets each up for every block."""
LONGEST_ROW, LONGEST_BOUNDED_ROW = 2**26, 2**23
"""Bytes, the second where memory is limited."""


def find_kind(file: PurePath) -> str:
    """Find the kind of a file by its name: its extension, for text the one before '.gz', say."""
    suffix, inner = file.suffix.lower(), PurePath(file.stem).suffix.lower()
    return inner if suffix in COMPRESSIONS and inner in DELIMITERS else suffix


@contextmanager
def open_text_table(path: Path, reading: Reading) -> Iterator["TextTable"]:
    """Open a text file whose first line names the columns; ImportError without pyarrow."""
    arrow = import_pyarrow("csv", "a text table")
    compression = COMPRESSIONS.get(path.suffix.lower())
    delimiter = reading.delimiter or DELIMITERS[find_kind(path)]
    if not delimiter.isascii():
        raise TableError(f"{path.name}: delimiter must be an ASCII character; got {delimiter!r}")
    if delimiter == reading.decimal:
        raise TableError(f"{path.name}: {delimiter!r} cannot be delimiter and decimal mark")
    with path.open("rb") as file, arrow.input_stream(file, compression=compression) as stream:
        blocks = TextBlocks(path.name, stream, delimiter, LONGEST_BOUNDED_ROW)
        with explain_damage(path.name, "sound text"):
            names = tuple(blocks.read_first_row(HEADER, keep=not reading.header))
        if not reading.header:
            names = tuple(map(str, range(len(names))))
        _check_header(path.name, blocks.line - 1, names)
        yield TextTable(path.name, names, blocks, arrow, reading)


def _check_header(source: str, line: int, names: tuple[str, ...]) -> None:
    others = [mark for mark in ";\t|," if mark in names[0]]
    if len(names) == 1 and others:
        raise TableError(
            f"{source}, line {line}: is one column, {short(names[0])}; "
            f"for another delimiter give delimiter={others[0]!r}"
        )
    if all(map(_spells_number, names)) and set(names) != {str(i) for i in range(len(names))}:
        raise TableError(
            f"{source}, line {line}: holds only numbers and must name the columns; if it does "
            "not, give header=False"
        )
    check_names(f"{source}, line {line}", names)


def _spells_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True, eq=False)
class TextTable(OpenTable):
    """A text file behind its header, and the module pyarrow."""

    column_bytes: ClassVar[int] = 2**14  # measured: 5 kB of pyarrow's for each block at work
    blocks: TextBlocks
    arrow: Any
    reading: Reading

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Parse block after block, as many at a time as there are threads."""
        if rows is None:
            self.blocks.longest = LONGEST_ROW
        size = BLOCK if rows is None else min(BLOCK, 16 * rows * len(self.names))
        size = max(size, ROWS_OF_CELLS * len(self.names))
        parse = partial(self._parse, wanted)
        first = True
        for cells in run_ahead(parse, self._read_blocks(size), count_threads()):
            first = False
            yield from [cells] if rows is None else cells.cut(rows)
        if first:
            yield self._parse(wanted, (1, b"\n"))

    def _read_blocks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield (number of the first line, block)."""
        while True:
            with explain_damage(self.source, "sound text"):
                block = self.blocks.read(size)
            if not block:
                return
            line = self.blocks.line
            self.blocks.line += _count(block, self.blocks.line_end)
            yield line, block

    def _parse(self, wanted: Wanted, numbered: tuple[int, bytes]) -> Cells:
        """Make cells of a block; TableError names the first that is wrong."""
        line, block = numbered
        dropped = 0
        lines: Sequence[int]
        try:
            numbers, others, nulls = self._read(wanted, block)
            is_plain = self._is_plain(block, numbers, others, nulls)
            lines = range(line, line + len(numbers))
        except self.arrow.ArrowInvalid:
            is_plain = False
        if not is_plain:
            lines, block, dropped = self._examine(wanted, line, block)
            with explain_damage(self.source, "sound text"):
                numbers, others, _ = self._read(wanted, block)
        cells = drop_missing_rows(
            self.source, wanted, numbers, others, may_drop=self.reading.drop_missing,
            lines=lines, unit="line",
        )  # fmt: skip
        return replace(cells, dropped=cells.dropped + dropped)

    def _read(self, wanted: Wanted, block: bytes) -> tuple[np.ndarray, dict[str, Words], int]:
        """Parse the wanted columns of a block: (numbers, others, nulls of the numbers)."""
        arrow, csv = self.arrow, self.arrow.csv
        if block.startswith(BOM_UTF8):  # in the first cell, and not of the file
            block = b"\n" + block
        types = dict.fromkeys(wanted.numbers, arrow.float64())
        types |= dict.fromkeys(wanted.others, arrow.dictionary(arrow.int32(), arrow.string()))
        has_quotes = b'"' in block
        parsing = csv.ParseOptions(
            delimiter=self.blocks.delimiter, newlines_in_values=has_quotes,
            quote_char='"' if has_quotes else False,
        )  # fmt: skip
        converting = csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=list(MISSING),
            true_values=[], false_values=[],  # a wide table has a copy of each for a column
            strings_can_be_null=True, decimal_point=self.reading.decimal,
        )  # fmt: skip

        def read(size: int) -> Any:
            reading = csv.ReadOptions(column_names=self.names, use_threads=False, block_size=size)
            return csv.read_csv(arrow.BufferReader(block), reading, parsing, converting)

        try:
            table = read(max(PIECE, ROWS_OF_CELLS * len(self.names)))
        except arrow.ArrowInvalid:  # perhaps of a row that is longer
            table = read(len(block) + 1)
        numbers = np.empty((table.num_rows, len(wanted.numbers)))
        for i in range(len(wanted.numbers)):
            numbers[:, i] = to_numpy(table.column(i), np.nan)
        decimal = self.reading.decimal
        others = {name: to_words(table.column(name), decimal) for name in wanted.others}
        nulls = sum(column.null_count for column in table.columns[: len(wanted.numbers)])
        return numbers, others, nulls

    def _is_plain(
        self, block: bytes, numbers: np.ndarray, others: dict[str, Words], nulls: int
    ) -> bool:
        """Tell whether a block that was parsed has nothing that asks for a second look."""
        rows = _count(block, self.blocks.line_end) + (not block.endswith(self.blocks.line_end))
        largest = max(
            -np.fmin.reduce(numbers, None, initial=0), np.fmax.reduce(numbers, None, initial=0)
        )
        missing = nulls + sum(int((words.codes < 0).sum()) for words in others.values())
        return (
            rows == len(numbers)
            and largest < LARGEST_INTEGER
            and np.isnan(numbers).sum() == nulls
            and (self.reading.drop_missing or not missing)
            and b"\0" not in block
            and are_quotes_plain(block, self.blocks.delimiter)
            and _is_utf8(block)
        )

    def _examine(self, wanted: Wanted, line: int, block: bytes) -> tuple[list[int], bytes, int]:
        """Read a block by Python's csv: the rows that stay, or TableError for what is wrong.

        Returns the line of each, their text, and how many were left out for a missing cell.
        """
        decimal, width = self.reading.decimal, len(self.names)
        index = {name: i for i, name in enumerate(self.names)}
        places = [(index[name], name) for name in wanted.numbers]
        others = [(index[name], name) for name in wanted.others]
        lines, kept, start, dropped = [], [], 0, 0
        for end, number, row in self.blocks.split_rows(block, line):
            where, first, start = f"{self.source}, line {number}", start, end
            if len(row) != width:
                raise TableError(f"{where}: {len(row)} cells; expected {width}")
            missing = [at for at in (*places, *others) if row[at[0]].strip() in MISSING]
            if missing and not self.reading.drop_missing:
                i, name = missing[0]
                raise missing_error(f"{where}, column {name!r}", row[i])
            if missing:
                dropped += 1
                continue
            for i, name in places:
                if not _is_number(row[i], decimal):
                    raise number_error(f"{where}, column {name!r}", row[i], decimal, name)
            lines.append(number)
            kept.append(block[first:end])
        return lines, b"".join(kept) or b"\n", dropped


def _count(block: bytes, mark: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(block, "u1") == ord(mark)))


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False


def _is_number(cell: str, decimal: str) -> bool:
    """Tell whether a cell spells a finite number, and no integer that is rounded."""
    try:
        number = parse_number(cell, decimal)
    except ValueError:
        return False
    return math.isfinite(number) and not is_rounded(cell, number)
