"""A table's files: one, or parts in a folder or by a pattern.

The parts are of one kind and have the same columns. They follow each other in the lexicographic
order of their names, and the result depends on it.
"""

import glob
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from difflib import get_close_matches
from functools import partial
from os import PathLike
from pathlib import Path, PurePath
from typing import TypeAlias, TypeVar

from neuron_xp.files.durable import check_regular
from neuron_xp.tables.advice import advise_kind
from neuron_xp.tables.cells import OpenTable, Reading, TableError, Wanted
from neuron_xp.tables.readers.arrays import open_npy_table, open_npz_table
from neuron_xp.tables.readers.parquet import open_parquet_table
from neuron_xp.tables.readers.text import find_kind, open_text_table

P = TypeVar("P", bound=PurePath)

READERS: dict[str, Callable[[Path, Reading], AbstractContextManager[OpenTable]]] = {
    ".csv": open_text_table,
    ".tsv": open_text_table,
    ".npy": open_npy_table,
    ".npz": open_npz_table,
    ".parquet": open_parquet_table,
}

RowLimit: TypeAlias = Callable[[OpenTable, Wanted], int]
"""How many rows of the wanted columns of a file make a chunk, at most."""

LARGEST_CHUNK = 2**22
"""Bytes: larger ones are read no faster."""
SHARE = 64
"""Of the memory, for a chunk: it is there in several forms at a time."""
TEXT_BYTES = 128
"""Of a cell that is held as text, about."""
LEAST_BYTES = 2**25
"""What a library takes at any rate, and less is not asked after."""


def open_table(part: Path, reading: Reading) -> AbstractContextManager[OpenTable]:
    """Open one file for a `with`, which closes it; TableError for an unknown kind.

    OSError for a pipe or a device: it would be waited for, or has no end.
    """
    check_regular(part)
    reader = READERS.get(find_kind(part))
    if reader is None:
        advice = advise_kind(part.name) or f"choose from {', '.join(READERS)}"
        raise TableError(f"{part.name}: unknown kind of table {part.suffix!r}; {advice}")
    return reader(part, reading)


# --- the size of a chunk ---------------------------------------------------------------


def limit_rows(max_memory: int, inputs: int = 0) -> RowLimit:
    """Limit rows so that a chunk, and what becomes of it, takes a small part of the memory.

    max_memory : bytes
    inputs : how many columns of float64 are made of a row
    """
    return partial(_count_rows, max_memory, inputs)


def chunk_bytes(max_memory: int) -> int:
    """The bytes of a chunk, at most."""
    return min(max_memory // SHARE, LARGEST_CHUNK)


def _count_rows(max_memory: int, inputs: int, file: OpenTable, wanted: Wanted) -> int:
    numbers, others = len(wanted.numbers), len(wanted.others)
    least = file.column_bytes * (numbers + others)
    if least > max(max_memory, LEAST_BYTES):
        raise TableError(
            f"{file.source}: to read {numbers + others:,} columns takes about {least:,} bytes, and "
            f"max_memory is {max_memory:,}; give max_memory={least}, or save the table as .npy"
        )
    return max(1, chunk_bytes(max_memory) // (8 * (numbers + inputs) + TEXT_BYTES * others))


# --- the parts -------------------------------------------------------------------------


def find_parts(path: str | PathLike[str]) -> tuple[Path, ...]:
    """Find the files of a table: the file, those of the folder, or those of the pattern.

    In a folder, hidden files and those that are no tables are left alone. Raises
    FileNotFoundError, or TableError for none and for several kinds.
    """
    if isinstance(path, str) and "://" in path:
        raise FileNotFoundError(
            f"{path!r} is an address; download it first, or have the workers of a cluster read it "
            "(on_cluster)"
        )
    given = Path(path)
    if given.is_dir():
        return _find_in_folder(given)
    if given.exists():
        return (given,)
    if not glob.has_magic(str(given)):
        raise _missing_error(given)
    found = [Path(name) for name in sorted(glob.glob(str(given)))]
    parts = tuple(part for part in found if part.is_file())
    if not parts:
        raise FileNotFoundError(f"no file matches the pattern {str(given)!r}")
    check_one_kind(given.name, parts)
    return parts


def _missing_error(path: Path) -> FileNotFoundError:
    """Explain that a file is not there; perhaps another has nearly its name."""
    if not path.parent.is_dir():
        message = f"{str(path)!r} does not exist: there is no folder {str(path.parent)!r}"
        return FileNotFoundError(message)
    found = [entry for entry in path.parent.iterdir() if entry.is_dir() or pick_tables([entry])]
    near = {entry.stem.lower(): entry.name for entry in found}
    close = get_close_matches(path.stem.lower()[:100], near, n=1)
    hint = f"; did you mean {near[close[0]]!r}?" if close else ""
    return FileNotFoundError(f"{str(path)!r} does not exist{hint}")


def _find_in_folder(folder: Path) -> tuple[Path, ...]:
    name = folder.resolve().name
    files = [file for file in folder.iterdir() if file.is_file()]
    parts = pick_tables(files)
    if not parts:
        found = ", ".join(sorted(file.name for file in files)[:5])
        raise TableError(
            f"{name}: the folder holds no table; its files are {', '.join(READERS)}; "
            f"found {found or 'none'}"
        )
    check_one_kind(name, parts)
    return parts


def pick_tables(files: Iterable[P]) -> tuple[P, ...]:
    """Pick those that are tables by their names, and not hidden, in lexicographic order."""
    return tuple(
        file
        for file in sorted(files, key=lambda file: file.name)
        if find_kind(file) in READERS and not file.name.startswith(".")
    )


def check_one_kind(name: str, parts: tuple[P, ...]) -> None:
    """Raise TableError if the files are of several kinds."""
    for part in parts[1:]:
        if find_kind(part) != find_kind(parts[0]):
            raise TableError(
                f"{name}: holds {parts[0].name} and {part.name}; the parts of a table must be of "
                f"one kind, so give a pattern such as '*{parts[0].suffix}'"
            )


def check_not_empty(source: str, rows: int, dropped: int) -> None:
    """Raise if no row is left of a table."""
    if rows:
        return
    if dropped:
        raise TableError(
            f"{source}: each of the {dropped} rows has a missing cell, and none is left"
        )
    raise TableError(f"{source}: has columns but no rows; give at least one")


def name_table(first: str, parts: int) -> str:
    """Name a table of several parts, for messages."""
    return first if parts == 1 else f"{first} and {parts - 1} more"
