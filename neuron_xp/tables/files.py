"""A table's files: one, or parts in a folder or by a pattern; read chunk by chunk.

The parts are of one kind and have the same columns. They follow each other in the lexicographic
order of their names, and the result depends on it.
"""

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path, PurePath
from typing import TypeAlias, TypeVar

from neuron_xp.tables.cells import Cells, Choose, Reading, TableError, Wanted
from neuron_xp.tables.columns import refuse_other_columns
from neuron_xp.tables.readers.arrays import read_npy, read_npz
from neuron_xp.tables.readers.parquet import read_parquet
from neuron_xp.tables.readers.text import read_text

P = TypeVar("P", bound=PurePath)

READERS: dict[str, Callable[[Path, Reading, Choose], Iterator[Cells]]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".npy": read_npy,
    ".npz": read_npz,
    ".parquet": read_parquet,
}

Rows: TypeAlias = Callable[[Wanted], int]
"""How many rows of what is wanted make a chunk, at most."""

ChooseOf: TypeAlias = Callable[[str, tuple[str, ...]], Wanted]
"""From a file's name, for the messages, and the names of its columns to what is wanted."""

LARGEST_CHUNK = 2**22
"""Bytes: larger ones are read no faster."""
SHARE = 64
"""Of the memory, for a chunk: it is there in several forms at a time."""
TEXT_BYTES = 128
"""Of a cell that is held as text, about."""


def within(max_memory: int, inputs: int = 0) -> Rows:
    """Rows so that a chunk, and what becomes of it, takes a small part of `max_memory` bytes.

    inputs : how many columns of float64 are made of a row
    """
    return partial(_within, chunk_bytes(max_memory), inputs)


def chunk_bytes(max_memory: int) -> int:
    """Of a chunk, at most."""
    return min(max_memory // SHARE, LARGEST_CHUNK)


def _within(size: int, inputs: int, wanted: Wanted) -> int:
    row = 8 * (len(wanted.numbers) + inputs) + TEXT_BYTES * len(wanted.others)
    return max(1, size // row)


def parts_of(path: str | PathLike[str]) -> tuple[Path, ...]:
    """The files of a table: the file, those of the folder, or those that match the pattern.

    In a folder, hidden files and those that are no tables are left alone. Raises
    FileNotFoundError, or TableError for none and for several kinds.
    """
    if isinstance(path, str) and "://" in path:
        raise FileNotFoundError(
            f"{path!r} is for the workers of a cluster; type --workers N or --scheduler ADDRESS"
        )
    given = Path(path)
    if given.is_dir():
        return _in_folder(given)
    if given.exists():
        return (given,)
    if not glob.has_magic(str(given)):
        raise FileNotFoundError(f"{str(given)!r} does not exist")
    found = [Path(name) for name in sorted(glob.glob(str(given)))]
    parts = tuple(part for part in found if part.is_file())
    if not parts:
        raise FileNotFoundError(f"no file matches the pattern {str(given)!r}")
    return of_one_kind(given.name, parts)


def _in_folder(folder: Path) -> tuple[Path, ...]:
    name = folder.resolve().name
    parts = tables_among(file for file in folder.iterdir() if file.is_file())
    if not parts:
        raise TableError(f"{name}: the folder holds no table; its files are {', '.join(READERS)}")
    return of_one_kind(name, parts)


def tables_among(files: Iterable[P]) -> tuple[P, ...]:
    """Those that are tables by their names, and not hidden, in lexicographic order."""
    return tuple(
        file
        for file in sorted(files, key=lambda file: file.name)
        if file.suffix.lower() in READERS and not file.name.startswith(".")
    )


def of_one_kind(name: str, parts: tuple[P, ...]) -> tuple[P, ...]:
    """The same files; TableError if they are of several kinds."""
    for part in parts[1:]:
        if part.suffix.lower() != parts[0].suffix.lower():
            raise TableError(
                f"{name}: holds {parts[0].name} and {part.name}; the parts of a table must be of "
                f"one kind, so give a pattern such as '*{parts[0].suffix}'"
            )
    return parts


def part_chunks(
    part: Path, reading: Reading, choose: ChooseOf, rows: Rows | None = None
) -> Iterator[Cells]:
    """The chunks of one file, at least one, of which the last may be without rows.

    rows : None makes one chunk of the whole file
    """
    kind = part.suffix.lower()
    reader = READERS.get(kind)
    if reader is None:
        raise TableError(
            f"{part.name}: unknown kind of table {part.suffix!r}; choose from {', '.join(READERS)}"
        )
    if rows is not None and kind == ".npz":
        raise TableError(
            f"{part.name}: an archive is in memory whole; save inputs and targets as the columns "
            "of one .npy file, or leave --max-memory out"
        )

    def chosen(names: tuple[str, ...]) -> Wanted:
        wanted = choose(part.name, names)
        return replace(wanted, rows=rows and rows(wanted))

    return reader(part, reading, chosen)


def chunks(
    parts: Sequence[Path], reading: Reading, choose: ChooseOf, rows: Rows | None = None
) -> Iterator[Cells]:
    """The chunks of all parts; what is wanted is chosen once, from the first one's columns."""
    chosen = list[tuple[tuple[str, ...], Wanted]]()

    def choose_once(source: str, names: tuple[str, ...]) -> Wanted:
        if not chosen:
            chosen.append((names, choose(source, names)))
        known, wanted = chosen[0]
        refuse_other_columns(parts[0].name, known, source, names)
        return wanted

    for part in parts:
        yield from part_chunks(part, reading, choose_once, rows)


def refuse_empty(source: str, rows: int, dropped: int) -> None:
    """Raise if no row is left of a table."""
    if rows:
        return
    if dropped:
        raise TableError(
            f"{source}: each of the {dropped} rows has a missing cell, and none is left"
        )
    raise TableError(f"{source}: has columns but no rows; give at least one")


def named(first: str, parts: int) -> str:
    """What messages call a table of several parts."""
    return first if parts == 1 else f"{first} and {parts - 1} more"
