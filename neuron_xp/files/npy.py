"""NPY files as rows on disk, read and written block by block: never whole in memory."""

import errno
import io
import math
import os
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import IO, NamedTuple

import numpy as np

from neuron_xp.errors import one_line, show_text
from neuron_xp.files.durable import check_regular
from neuron_xp.files.temporary import full_disk_error


@dataclass(frozen=True)
class NpyFile:
    """Header of one file: where its rows are, and of which type.

    offset : bytes before the first row
    shape : (rows,) or (rows, columns)
    stamp : size and time of the last change, by which a later change is noticed
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    stamp: tuple[int, int]


class NpyRows:
    """Rows of several files as one array on disk, in the order of the files.

    shape, dtype : of the whole; the shape is (rows,) or (rows, columns)

    Only one thread may read at a time. Can be pickled: files are opened when they are read.
    """

    def __init__(self, files: Iterable[NpyFile]) -> None:
        self.files = tuple(files)
        first = self.files[0]
        for other in self.files[1:]:
            if (other.dtype, other.shape[1:]) != (first.dtype, first.shape[1:]):
                raise ValueError(
                    f"{other.path.name} holds {other.dtype} of the shape {other.shape} and "
                    f"{first.path.name} {first.dtype} of {first.shape}; parts must be alike"
                )
        self.dtype = first.dtype
        self._ends = list(accumulate(file.shape[0] for file in self.files))
        self.shape = (self._ends[-1], *first.shape[1:])
        self._open: tuple[int, io.FileIO] | None = None

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill `out`, (n, columns) or (n,) of `dtype`, with the rows from `start` on.

        Raises OSError for a file that has changed since it was opened first.
        """
        done = 0
        while done < len(out):
            number = bisect_right(self._ends, start + done)
            stop = min(len(out), self._ends[number] - start)
            self._read(number, start + done, out[done:stop])
            done = stop

    def _read(self, number: int, start: int, out: np.ndarray) -> None:
        file = self.files[number]
        stream = self._open_stream(number)
        row_bytes = out.nbytes // len(out)
        first = start - (self._ends[number] - file.shape[0])
        stream.seek(file.offset + first * row_bytes)
        left = memoryview(out.data).cast("B")
        while left:
            count = stream.readinto(left)
            if not count:
                raise OSError(f"{file.path} has become shorter while it was read")
            left = left[count:]

    def _open_stream(self, number: int) -> io.FileIO:
        if self._open is None or self._open[0] != number:
            self.close()
            self._open = number, self.files[number].path.open("rb", buffering=0)
            self._check_unchanged(number)
        return self._open[1]

    def _check_unchanged(self, number: int) -> None:
        assert self._open is not None
        file, now = self.files[number], os.fstat(self._open[1].fileno())
        if (now.st_size, now.st_mtime_ns) != file.stamp:
            raise OSError(f"{file.path} has changed since training began; start again")

    def close(self) -> None:
        """Close the file that is open; the next read opens it again, and checks it for changes."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __reduce__(self) -> tuple[type, tuple[tuple[NpyFile, ...]]]:
        return NpyRows, (self.files,)


class Header(NamedTuple):
    """Header of an array: `by_columns` for Fortran's order, and the bytes before the values."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype
    offset: int


HEADER_ERRORS = (
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    SyntaxError,
    TokenError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""Whatever NumPy raises of a header, which it parses as Python."""


def read_header(file: IO[bytes]) -> Header:
    """Read the header with which an array in NPY's format begins; raise any of HEADER_ERRORS."""
    formats = np.lib.format
    major, _ = formats.read_magic(file)
    readers = {1: formats.read_array_header_1_0, 2: formats.read_array_header_2_0}
    if major not in readers:
        raise ValueError(f"its version is {major}")
    shape, by_columns, dtype = readers[major](file)
    if any(count < 0 for count in shape):
        raise ValueError(f"its shape is {show_text(shape, 60)}")
    return Header(shape, by_columns, dtype, file.tell())


def check_size(source: str, header: Header, size: int) -> None:
    """Raise ValueError for a header that says more than the `size` bytes of its file can hold."""
    shape, dtype = header.shape, header.dtype
    needed = header.offset + math.prod(shape) * dtype.itemsize
    if needed > size or any(count > size for count in shape):  # of rows that are empty, too
        raise ValueError(
            f"{source} is shorter than its header says: {show_text(shape, 60)}, "
            f"{show_text(dtype, 60)}: that is {needed:,} bytes, and here are {size:,}"
        )


def open_npy(path: Path) -> NpyFile:
    """Read the header of an NPY file.

    Raises OSError, TypeError for other than real numbers, and ValueError for a file that cannot
    be read by rows.
    """
    check_regular(path)
    with path.open("rb") as file:
        try:
            header = read_header(file)
        except HEADER_ERRORS as error:
            raise ValueError(f"{path.name} is not an .npy file ({one_line(error)})") from error
        status = os.fstat(file.fileno())
    shape, dtype = header.shape, header.dtype
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(f"{path.name} must hold real numbers; got dtype {show_text(dtype, 60)}")
    if len(shape) not in (1, 2):
        raise ValueError(
            f"{path.name} must have the shape (rows, columns); got {show_text(shape, 60)}"
        )
    if header.by_columns and len(shape) == 2 and min(shape) > 1:
        raise ValueError(
            f"{path.name} is stored column by column and cannot be read by rows; "
            "save numpy.ascontiguousarray of it"
        )
    check_size(path.name, header, status.st_size)
    stamp = status.st_size, status.st_mtime_ns
    return NpyFile(path=path, shape=shape, dtype=dtype, offset=header.offset, stamp=stamp)


def open_npy_rows(path: Path) -> NpyRows:
    """Open an NPY file, or a folder of them in lexicographic order, as rows on disk.

    Raises what `open_npy` does, and ValueError for files that are not alike.
    """
    if path.is_dir():
        found = sorted(path.iterdir(), key=lambda part: part.name)
        parts = [part for part in found if part.suffix == ".npy" and part.is_file()
                 and not part.name.startswith(".")]  # fmt: skip
        if not parts:
            raise FileNotFoundError(f"the folder {str(path)!r} holds no .npy file")
        return NpyRows(map(open_npy, parts))
    return NpyRows([open_npy(path)])


class RowFile:
    """An NPY file of float64 that grows; its header is right when it is closed.

    shape : (rows so far, columns)
    """

    def __init__(self, path: Path, columns: int) -> None:
        self.path = path
        self.shape = (0, columns)
        self._file = path.open("xb", buffering=0)
        self._length = self._write(_make_header(self.shape))

    def append(self, rows: np.ndarray) -> None:
        """Add rows, (n, columns); raise OSError that names the folder if the disk is full."""
        self._write(np.ascontiguousarray(rows, dtype="float64").data)
        self.shape = (self.shape[0] + len(rows), self.shape[1])

    def _write(self, data: bytes | memoryview) -> int:
        rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
        length = len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno == errno.ENOSPC:
                written = f"{self._file.tell():,} bytes of {self.path.name}"
                problem = f"is full after {written} of the working copy of the table"
                raise full_disk_error(self.path.parent, problem) from error
            raise
        return length

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                header = _make_header(self.shape)
                assert len(header) == self._length, "NumPy leaves room for a growing first axis"
                self._file.seek(0)
                self._write(header)
        finally:
            self._file.close()


def _make_header(shape: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    description = {"descr": np.dtype("float64").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()
