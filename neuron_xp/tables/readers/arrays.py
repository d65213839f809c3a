"""NPY and NPZ -> chunks of columns. Nothing in these files is ever unpickled."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from os import fstat
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np
from numpy.lib.npyio import NpzFile

from neuron_xp.files.npy import NpyRows, check_size, open_npy, read_header
from neuron_xp.tables.cells import (
    LARGEST_INTEGER,
    Cells,
    OpenTable,
    Reading,
    TableError,
    Values,
    Wanted,
    Words,
    check_names,
    large_integer_error,
)
from neuron_xp.tables.readers.damage import explain_damage
from neuron_xp.tables.readers.missing import drop_missing_rows, find_gaps

INPUTS, TARGETS = "inputs", "targets"
"""The arrays of an NPZ; the second is the name of the target's column, too."""
MOST_DEFLATED = 1032
"""Bytes that one byte of a deflated archive can stand for."""


# --- NPY -------------------------------------------------------------------------------


@contextmanager
def open_npy_table(path: Path, reading: Reading) -> Iterator["NpyTable"]:
    """Open an array, whose columns are named '0', '1', ..."""
    with (
        path.open("rb") as file,
        explain_damage(path.name, "an .npy file of numbers, as numpy.save writes them"),
    ):
        check_size("it", read_header(file), fstat(file.fileno()).st_size)
        array = np.lib.format.open_memmap(path, mode="r")
    names = _number_columns(path.name, array.shape)
    with ExitStack() as opened:
        yield NpyTable(path.name, names, path, array, reading, opened)


@dataclass(frozen=True, eq=False)
class NpyTable(OpenTable):
    """An array that is mapped, and read only when its rows are asked for.

    opened : closes the file of which rows are read
    """

    path: Path
    array: np.ndarray
    reading: Reading
    opened: ExitStack

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Convert some rows after others to float64."""
        for first, block in self._blocks(rows):
            picked = _pick_numbers(block, wanted)
            numbers = _to_floats(self.source, picked, wanted.numbers, first)
            others: dict[str, Values] = {
                name: _to_floats(self.source, block[:, int(name)], (name,), first)
                for name in wanted.others
            }
            may_drop = self.reading.drop_missing
            lines = range(first, first + len(numbers))
            yield drop_missing_rows(
                self.source, wanted, numbers, others, may_drop=may_drop, lines=lines
            )

    def _blocks(self, rows: int | None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, some rows); those are read: what is mapped counts as memory in use."""
        if rows is None:
            with explain_damage(self.source, "a whole .npy file"), self.path.open("rb") as npy:
                whole = np.lib.format.read_array(npy, allow_pickle=False)
            yield 0, whole  # not what is mapped: a file that shrinks would end the process
            return
        _check_real(self.source, self.array.dtype)
        if not self.array.flags.c_contiguous:
            raise TableError(
                f"{self.source}: is stored column by column and cannot be read by rows; save "
                "numpy.ascontiguousarray of it, or give max_memory=None"
            )
        count = len(self.array)
        buffer = np.empty((min(rows, count), self.array.shape[1]), dtype=self.array.dtype)
        file = self.opened.enter_context(closing(NpyRows([open_npy(self.path)])))
        for first in range(0, max(count, 1), rows):
            block = buffer[: count - first]
            file.read(first, block)
            yield first, block


# --- NPZ -------------------------------------------------------------------------------


@contextmanager
def open_npz_table(path: Path, reading: Reading) -> Iterator["NpzTable"]:
    """Open an archive of 'inputs', whose columns are named '0', '1', ..., and 'targets'."""
    source = path.name
    with path.open("rb") as file:
        with explain_damage(source, "an .npz file of numbers, as numpy.savez writes them"):
            archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise TableError(f"{source}: holds one array and no names; call it .npy")
        with archive:
            _check_members(source, archive)
            if INPUTS not in archive:
                found = ", ".join(sorted(archive)) or "none"
                raise TableError(f"{source}: has no array 'inputs'; found {found}")
            names = _number_columns(source, _shape_of(source, archive, INPUTS))
            if TARGETS in archive:
                names = (*names, TARGETS)
            yield NpzTable(source, names, archive, reading)


@dataclass(frozen=True, eq=False)
class NpzTable(OpenTable):
    """An archive; its arrays are read when they are asked for, and whole."""

    archive: NpzFile
    reading: Reading

    def chunks(self, wanted: Wanted, rows: int | None = None) -> Iterator[Cells]:
        """Make one chunk of the whole archive; TableError where only `rows` fit into memory."""
        if rows is not None:
            raise TableError(
                f"{self.source}: an archive is in memory whole; save inputs and targets as the "
                "columns of one .npy file, or give max_memory=None"
            )
        array = _load(self.source, self.archive, INPUTS)
        others: dict[str, Values] = {
            name: _to_floats(self.source, array[:, int(name)], (name,))
            for name in wanted.categories
        }
        if wanted.target is not None:
            others[wanted.target] = self._targets(len(array))
        numbers = _to_floats(self.source, _pick_numbers(array, wanted), wanted.numbers)
        may_drop = self.reading.drop_missing
        lines = range(len(array))
        yield drop_missing_rows(
            self.source, wanted, numbers, others, may_drop=may_drop, lines=lines
        )

    def _targets(self, rows: int) -> Values:
        source, array = self.source, _load(self.source, self.archive, TARGETS)
        if array.ndim not in (1, 2) or 0 in array.shape[1:]:
            raise TableError(
                f"{source}: 'targets' must have the shape (rows,) or (rows, neurons); "
                f"got {array.shape}"
            )
        if array.shape[0] != rows:
            raise TableError(
                f"{source}: 'inputs' hold {rows} rows but 'targets' {array.shape[0]}; "
                "give one for each"
            )
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.dtype.kind == "U" and array.ndim == 1:
            with _explain_array(source, TARGETS):  # what is no text cannot be encoded
                found, codes = np.unique(array, return_inverse=True)
                words = tuple(str(word).strip() for word in found)
                "".join(words).encode()
            return find_gaps(Words(codes, words, self.reading.decimal))
        return _to_floats(source, array, (TARGETS,) * (array.size // max(1, len(array))))


def _shape_of(source: str, archive: NpzFile, name: str) -> tuple[int, ...]:
    """Read an array's shape in its header: the array may be too large to be read."""
    assert archive.zip is not None, "the archive is open"
    names = archive.zip.namelist()
    member = f"{name}.npy" if f"{name}.npy" in names else name  # bare, by another tool
    with _explain_array(source, name), archive.zip.open(member) as file:
        header = read_header(file)
        check_size("it", header, archive.zip.getinfo(member).file_size)
    return header.shape


def _check_members(source: str, archive: NpzFile) -> None:
    """Raise for what numpy.savez does not write, before it is unpacked."""
    assert archive.zip is not None, "the archive is open"
    for member in archive.zip.infolist():
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise TableError(f"{source}: {member.filename!r} is compressed in a way that numpy "
                             "does not; save it by numpy.savez")  # fmt: skip
        if member.file_size > 2**16 + MOST_DEFLATED * member.compress_size:
            raise TableError(f"{source}: {member.filename!r} says to be {member.file_size:,} bytes "
                             f"in {member.compress_size:,}: it is damaged")  # fmt: skip


def _load(source: str, archive: NpzFile, name: str) -> np.ndarray:
    _shape_of(source, archive, name)  # no more is asked for than the archive has
    with _explain_array(source, name):
        return np.asarray(archive[name])


def _explain_array(source: str, name: str) -> AbstractContextManager[None]:
    return explain_damage(source, f"an .npz file whose {name!r} are numbers")


# --- both ------------------------------------------------------------------------------


def _number_columns(source: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) != 2:
        raise TableError(f"{source}: must be a table, of the shape (rows, columns); got {shape}")
    names = tuple(map(str, range(shape[1])))
    check_names(source, names)
    return names


def _pick_numbers(array: np.ndarray, wanted: Wanted) -> np.ndarray:
    """Take the columns of numbers; all of them in their order are not copied."""
    at = [int(name) for name in wanted.numbers]
    return array if at == list(range(array.shape[1])) else array[:, at]


def _to_floats(source: str, array: np.ndarray, names: Sequence[str], first: int = 0) -> np.ndarray:
    """Copy to float64 in C order, exactly; TableError for what float64 does not hold.

    names : of the columns
    first : the number of the first row, counted in the file
    """
    _check_real(source, array.dtype)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        large = (array > LARGEST_INTEGER) | (array < -LARGEST_INTEGER)
        if large.any():
            row, *column = np.argwhere(large)[0].tolist()
            name = names[column[0] if column else 0]
            where = f"{source}, row {first + row}, column {name!r}"
            raise large_integer_error(where, str(array[row, *column]))
    return np.array(array, dtype="float64", order="C", subok=False)


def _check_real(source: str, dtype: np.dtype) -> None:
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TableError(f"{source}: must hold real numbers; got dtype {dtype}")
