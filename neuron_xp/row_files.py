"""NPY files of float64 rows that are written chunk by chunk, on a disk that may be too small."""

import errno
import io
import shutil
from pathlib import Path
from types import TracebackType

from neuron_xp.backends.backend import HostArray
from neuron_xp.backends.libraries import host


class RowFile:
    """An NPY file that grows; its header tells how many rows there are when it is closed.

    shape : (rows so far, columns)
    """

    def __init__(self, path: Path, columns: int) -> None:
        self.path = path
        self.shape = (0, columns)
        self._file = path.open("xb", buffering=0)
        self._length = self._write(_header(self.shape))

    def append(self, rows: HostArray) -> None:
        """Add rows, (n, columns); OSError with the folder if the disk is full."""
        self._write(host.ascontiguousarray(rows, dtype="float64").data)
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
                raise _full(self.path.parent, problem) from error
            raise
        return length

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                header = _header(self.shape)
                assert len(header) == self._length, "NumPy leaves room for a growing first axis"
                self._file.seek(0)
                self._write(header)
        finally:
            self._file.close()


def _header(shape: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    description = {"descr": host.dtype("float64").str, "fortran_order": False, "shape": shape}
    host.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


def refuse_small_disk(folder: Path, needed: int) -> None:
    """OSError if there is no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _full(
            folder, f"has {free:,} bytes left, and a working copy of the table takes {needed:,}"
        )


def _full(folder: Path, problem: str) -> OSError:
    return OSError(f"the folder {str(folder)!r} {problem}; set TMPDIR to one on a larger disk")
