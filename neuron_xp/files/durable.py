"""Files that are replaced whole: at any moment the old content or the new, also after a crash.

Whoever writes holds a lock on what it writes, which the system takes from the dead: so what a
killed process has left is known, and is removed by the next that writes the same name.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and what the killed leave stays
    fcntl = None  # type: ignore[assignment]

CAN_LOCK = fcntl is not None
LONGEST_STEM = 120
"""Bytes of a name that a temporary one repeats: some file systems allow 143 in all."""
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL}
"""What systems answer that give a file no second name."""
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link: name what it points to",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def write_durably(
    path: str | os.PathLike[str], data: bytes, *, keep_previous: bool = False
) -> None:
    """Make `path` a regular file with this content.

    The content goes to a new file in the same folder, which takes the name, the mode and, where
    that is allowed, the owner only when all of it is on the disk; what had the name then is gone,
    or kept as `name_previous(path)`. Once there, the name is never missing, but for a moment
    where a file can have no second name. Raises OSError, with the file's name, and leaves what
    was there.
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
    with _name_in_errors(target):
        temporary, descriptor = _create(target)
    take_name = partial(_take_name, temporary, target, keep_previous)
    try:
        try:
            yield partial(_write, target, descriptor)
            with _name_in_errors(target):
                os.fsync(descriptor)
                if fcntl is not None:
                    take_name()  # while it is locked
        finally:
            with _name_in_errors(target):
                os.close(descriptor)
        if fcntl is None:
            with _name_in_errors(target):
                take_name()  # Windows renames only what is closed
    except BaseException:
        _remove(_name_spare(temporary))
        _remove(temporary)
        raise
    _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str], *, keep_previous: bool = False) -> None:
    """Raise OSError if `write_durably` would; a temporary file is made, and removed, to know."""
    target = Path(path)
    with _name_in_errors(target):
        temporary, descriptor = _create(target)
        os.close(descriptor)
        os.unlink(temporary)
    if keep_previous:
        _find_status(name_previous(target))


def write_elsewhere(path: str | os.PathLike[str], data: bytes) -> Path | None:
    """Write what `path` did not take beside it, in the current folder or in TMPDIR.

    Return the name of the new file; None if nothing could be written anywhere.
    """
    target = Path(path)
    name = f"{target.stem[:40]}-{secrets.token_hex(4)}{target.suffix[:40]}"
    for folder in (target.parent, Path(), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            write_durably(folder / name, data)
            return folder / name
    return None


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file; raise OSError for what has no end, or would be waited for."""
    check_regular(path)
    return Path(path).read_bytes()


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise OSError unless `path` is a file, or a link to one."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(
            f"{os.fspath(path)!r} is {_name_kind(mode)}; give a file (the commands read a pipe "
            "by the name -)"
        )


def name_previous(path: str | os.PathLike[str]) -> Path:
    """Return the name under which the content before the last is kept."""
    return Path(f"{os.fspath(path)}.previous")


def _name_kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), "of an unknown kind")


def _find_status(target: Path) -> os.stat_result | None:
    """Return mode and owner of the file; FileExistsError for a folder, a link or a device."""
    try:
        status = os.lstat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise FileExistsError(
            f"{target} is not a regular file, and only those are replaced; it is "
            f"{_name_kind(status.st_mode)}"
        )
    return status


def name_stem(target: Path) -> str:
    """Return the name, or what stands for a long one in names that are made of it."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= LONGEST_STEM else sha256(name).hexdigest()[:32]


def _name_spare(temporary: Path) -> Path:
    """Return the second name that the old content has for a moment."""
    return temporary.with_suffix(".old")


def _create(target: Path) -> tuple[Path, int]:
    """Create the locked temporary file of a target, with its mode and owner, and open it."""
    before = _find_status(target)
    _remove_leftovers(target)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    # no link is followed, and Windows translates no line ends
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
    while True:
        temporary = target.with_name(f".{name_stem(target)}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, flags, mode)
        if lock_name(descriptor, temporary):
            break
        os.close(descriptor)
        _remove(temporary)
    if before is not None and hasattr(os, "fchmod"):
        _keep_owner(descriptor, before)
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, mode)
    return temporary, descriptor


def _keep_owner(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner and group of another, as far as this user may."""
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        for user in (before.st_uid, -1):
            with contextlib.suppress(OSError):
                os.fchown(descriptor, user, before.st_gid)
                return


def _take_name(temporary: Path, target: Path, keep_previous: bool) -> None:
    if keep_previous:
        spare, previous = _name_spare(temporary), name_previous(target)
        try:
            os.link(target, spare)
            os.replace(spare, previous)
            _remove(spare)  # it is still there if both were names of one file
        except FileNotFoundError:
            pass  # there is nothing to keep
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            os.replace(target, previous)
    os.replace(temporary, target)


def _write(target: Path, descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    with _name_in_errors(target):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _name_in_errors(target: Path) -> Iterator[None]:
    """Raise errors of the system with the name that was asked for, and not the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
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


# --- locks -----------------------------------------------------------------------------


def _lock(descriptor: int) -> bool | None:
    """Lock what is open: True, False if another has, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def lock_name(descriptor: int, path: Path) -> bool:
    """Lock what is open until it is closed; False if another has locked or removed it."""
    locked = _lock(descriptor)
    if locked is not True:
        return locked is None
    try:
        return os.lstat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def hold_abandoned(path: Path) -> Iterator[bool]:
    """Tell whether a file or folder is locked by nobody, and lock it while the block runs."""
    if fcntl is None:
        yield False
        return
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError:  # another was faster, or it is not ours
        yield False
        return
    try:
        yield _lock(descriptor) is True
    finally:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of that name that no living process holds."""
    name = re.compile(rf"\.{re.escape(name_stem(target))}\.[0-9a-f]{{16}}\.tmp")
    with contextlib.suppress(OSError):
        for found in filter(name.fullmatch, os.listdir(target.parent)):
            temporary = target.with_name(found)
            with hold_abandoned(temporary) as abandoned:
                if abandoned:
                    _remove(_name_spare(temporary))
                    _remove(temporary)
