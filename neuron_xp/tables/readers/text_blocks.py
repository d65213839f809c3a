"""Text as blocks of whole rows: bounded, whatever the file holds."""

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from neuron_xp.errors import one_line
from neuron_xp.tables.cells import TableError


class TextBlocks:
    """The rows of a text file, block by block.

    line : the number of the next block's first line, from 1
    longest : the bytes that a row has at most
    """

    def __init__(self, source: str, stream: Any, delimiter: str, longest: int) -> None:
        self.source, self.stream = source, stream
        self.delimiter, self.longest = delimiter, longest
        self.line, self.line_end = 1, b""
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Read about `size` bytes of whole rows; none at the end. TableError for a long row."""
        block = self._rest
        while True:
            # twice as much: copied few times; by a buffer, as pyarrow's read keeps what it fails at
            more = memoryview(self.stream.read_buffer(max(size, len(block))))
            block += more
            if not self.line_end:
                block = block.removeprefix(codecs.BOM_UTF8)
                self.line_end = _find_line_end(block, is_whole=not more)
            end = self._find_end(block) if more else len(block)
            if end or not more:
                self._rest = block[end:]
                return block[:end]
            if len(block) > self.longest:
                raise TableError(
                    f"{self.source}, line {self.line}: is a row of more than {self.longest:,} "
                    "bytes, which is more than fits; is a quote left open?"
                )

    def read_first_row(self, size: int, *, keep: bool) -> list[str]:
        """Read the cells of the first row that is not blank; `keep` lets it be read again."""
        while block := self.read(size):
            for end, line, row in self.split_rows(block, self.line):
                if not keep:
                    self.line = line + 1
                self._rest = block[0 if keep else end :] + self._rest
                return [cell.strip() for cell in row]
            self.line += block.count(self.line_end)
        raise TableError(f"{self.source}: is empty; its first line must name the columns")

    def split_rows(
        self, block: bytes, first: int, *, strict: bool = True
    ) -> Iterator[tuple[int, int, list[str]]]:
        """Yield each row that is not blank: the bytes up to its end, the line of that, its cells.

        first : the number of the block's first line
        strict : whether TableError is raised for what is no text, and for a quote left open
        """
        read, number = 0, first - 1
        # surrogates let bad bytes through to where the line is known
        text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")

        def count_lines() -> Iterator[str]:
            nonlocal read, number
            for line in text:
                number += 1
                read += len(line.encode("utf-8", "surrogateescape"))
                if strict:
                    _check_line(f"{self.source}, line {number}", line)
                yield line

        try:
            for row in csv.reader(count_lines(), delimiter=self.delimiter, strict=strict):
                if row:
                    yield read, number, row
        except csv.Error as error:
            problem = f"{one_line(error)}; is a quote left open?"
            raise TableError(f"{self.source}, line {number}: {problem}") from None

    def _find_end(self, block: bytes) -> int:
        """Find the end of the last whole row, 0 for none: a line break in quotes ends none."""
        if not self.line_end:
            return 0
        last = end = block.rfind(self.line_end) + 1
        if b'"' not in block:
            return end
        while end and block.count(b'"', 0, end) % 2:
            end = block.rfind(self.line_end, 0, block.rfind(b'"', 0, end)) + 1
        if not last or (end and are_quotes_plain(block[:end], self.delimiter)):
            return end
        # a quote in the middle of a cell begins nothing
        with suppress(TableError):  # of a cell that is too long, which is said by its line
            *_, end, _ = [0, 0, *(read for read, *_ in self.split_rows(block, 1, strict=False))]
        return end


def are_quotes_plain(block: bytes, delimiter: str) -> bool:
    """Tell whether all quotes are in pairs around whole cells, or doubled within these."""
    if b'"' not in block:
        return True
    letters = np.frombuffer(block, "u1")
    at = np.flatnonzero(letters == ord('"'))
    before, after = at[0::2] - 1, at[1::2] + 1
    around = letters[np.concatenate([before[before >= 0], after[after < len(letters)]])]
    return len(at) % 2 == 0 and bool(np.isin(around, [*f'"\r\n{delimiter}'.encode()]).all())


def _find_line_end(block: bytes, *, is_whole: bool) -> bytes:
    """Find what ends the lines of text; nothing where more must be read to tell."""
    if b"\n" in block or (is_whole and b"\r" not in block):
        return b"\n"
    return b"\r" if is_whole or b"\r" in block[:-1] else b""


def _check_line(where: str, line: str) -> None:
    if "\0" in line:
        raise TableError(f"{where}: holds a NUL byte; save it as UTF-8 text")
    if not line.isascii() and any("\ud800" <= letter <= "\udfff" for letter in line):
        raise TableError(f"{where}: is not UTF-8; save it as UTF-8 text")
