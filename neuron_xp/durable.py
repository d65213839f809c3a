"""Files that are replaced whole: at any moment the old content or the new, also after a crash."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path


def write_durably(
    path: str | os.PathLike[str], data: bytes, *, keep_previous: bool = False
) -> None:
    """Make `path` a regular file with this content.

    The content goes to a new file in the same folder, which takes the name only when all of
    it is on the disk; what had the name then is gone, or kept as `name_previous(path)`. Between
    the two there may be a moment with no file of the name, but never with none of both.
    Raises OSError, with the file's name, and leaves what was there.
    """
    with open_durably(path, keep_previous=keep_previous) as write:
        write(data)


@contextlib.contextmanager
def open_durably(
    path: str | os.PathLike[str], *, keep_previous: bool = False
) -> Iterator[Callable[[bytes], None]]:
    """Open `path` for content that comes by parts: yield a function that writes the next part.

    Otherwise as `write_durably`. The file takes its name when the block ends; nothing is left
    of it if an error ends it.
    """
    target = Path(path)
    _check_regular(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with _name_in_errors(target):
            descriptor = _create(temporary)
        try:
            yield partial(_write, target, descriptor)
            with _name_in_errors(target):
                os.fsync(descriptor)
        finally:
            with _name_in_errors(target):
                os.close(descriptor)
        with _name_in_errors(target):
            if keep_previous:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(target, name_previous(target))
            os.replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(target.parent)


def name_previous(path: str | os.PathLike[str]) -> Path:
    """Return the name under which the content before the last is kept."""
    return Path(f"{os.fspath(path)}.previous")


def _check_regular(target: Path) -> None:
    """Raise FileExistsError for a folder, a link or a device of that name."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise FileExistsError(f"{target} is not a regular file, and only those are replaced")


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    # no link is followed, and Windows translates no line ends
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666)


def _write(target: Path, descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    with _name_in_errors(target):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _name_in_errors(target: Path) -> Iterator[None]:
    """Raise errors with the name that was asked for, and not the temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _remove(path: Path) -> None:
    # it may never have been there, or the disk be in no state to be tidied
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
