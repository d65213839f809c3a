"""Folders for working copies of tables: in TMPDIR, gone with the process that made them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuron_xp.files.durable import CAN_LOCK, hold_abandoned, lock_name

FOLDERS = "neuron-xp-"
"""Begins the names of the folders of working copies."""


@contextmanager
def open_temporary_folder() -> Iterator[Path]:
    """Yield a new folder in TMPDIR, and remove it at the end; first those of killed processes."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{FOLDERS}*"):
        with hold_abandoned(left) as abandoned:
            if abandoned and left.is_dir() and left.stat().st_uid == os.geteuid():
                shutil.rmtree(left, ignore_errors=True)
    folder, descriptor = _create_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _create_folder() -> tuple[Path, int | None]:
    """Create a folder that is locked as long as this process lives and it is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDERS))
        if not CAN_LOCK:
            return folder, None
        descriptor = -1
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # taken for one that was left, before it was locked
            continue
        if lock_name(descriptor, folder):
            return folder, descriptor
        os.close(descriptor)


def check_disk_space(folder: Path, needed: int) -> None:
    """Raise OSError unless the folder's disk has room for `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise full_disk_error(
            folder, f"has {free:,} bytes left, and a working copy of the table takes {needed:,}"
        )


def full_disk_error(folder: Path, problem: str) -> OSError:
    """Return the error of a disk that has no room for a working copy, and the cure."""
    return OSError(f"the folder {str(folder)!r} {problem}; set TMPDIR to one on a larger disk")
