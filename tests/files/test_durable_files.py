"""Saving: what is on the disk after a power cut, or an error, at any moment."""

import errno
import itertools
import os
import stat
from types import SimpleNamespace

import pytest

from neuron_xp.files import durable as durable_files
from neuron_xp.files.durable import write_durably

OLD, NEW = b"the old content", b"and the new, which is longer"


class Disk:
    """The file operations of a save on a disk that forgets what was not synced.

    Every write and every change of a folder is pending until it is synced; `contents` are
    all that a power cut may leave of the target: each pending write applied, dropped or
    garbled, each pending change of the folder applied or dropped, in order.
    """

    name, O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_NOFOLLOW = "posix", 1, 64, 128, 0, 131072

    def __init__(self, fail_at=None, code=errno.EIO, chunk=10):
        self.files = {"target": [OLD, []]}  # synced bytes, and pending writes
        self.changes = []  # of the folder
        self.operations, self.fail_at, self.code, self.chunk = 0, fail_at, code, chunk
        self.seen = []

    def _operation(self):
        self.seen.append(self.contents())
        self.operations += 1
        if self.operations == self.fail_at:
            raise OSError(self.code, os.strerror(self.code))

    def lstat(self, path):
        return self.fstat(path)

    def fstat(self, descriptor):
        return SimpleNamespace(st_mode=stat.S_IFREG | 0o644, st_ino=1, st_uid=1, st_gid=1)

    def listdir(self, folder):
        return []

    def fsencode(self, name):
        return os.fsencode(name)

    def link(self, source, target):
        self._operation()
        self.changes.append(lambda files: files.__setitem__("spare", files["target"]))

    def open(self, path, flags, mode=0):
        self._operation()
        if flags & self.O_CREAT:
            assert flags & self.O_EXCL
            assert flags & self.O_NOFOLLOW
            assert path.parent.name == "folder"
            self.files["new"] = [b"", []]
            return "new"
        return "folder"

    def write(self, descriptor, data):
        self._operation()
        written = bytes(data[: self.chunk])
        self.files[descriptor][1].append(written)
        return len(written)

    def fsync(self, descriptor):
        self._operation()
        if descriptor == "folder":
            for change in self.changes:
                change(self.files)
            self.changes.clear()
        else:
            synced, pending = self.files[descriptor]
            self.files[descriptor] = [synced + b"".join(pending), []]

    def close(self, descriptor):
        self._operation()

    def replace(self, source, target):
        self._operation()
        assert source.parent == target.parent
        if target.name.endswith(".previous"):
            self.changes.append(lambda files: files.__setitem__("previous", files.pop("spare")))
        else:
            self.changes.append(lambda files: files.__setitem__("target", files["new"]))

    def fspath(self, path):
        return os.fspath(path)

    def unlink(self, path):
        pass

    def contents(self):
        found = set()
        for applied in range(len(self.changes) + 1):
            files = dict(self.files)
            for change in self.changes[:applied]:
                change(files)
            synced, pending = files["target"]
            choices = [(w, b"", b"\xff" * len(w)) for w in pending]
            found |= {synced + b"".join(kept) for kept in itertools.product(*choices)}
        return found


def save_on(disk, monkeypatch, tmp_path, **options):
    monkeypatch.setattr(durable_files, "os", disk)
    monkeypatch.setattr(durable_files, "_lock", lambda descriptor: True)
    folder = tmp_path / "folder"
    write_durably(folder / "model", NEW, **options)


@pytest.mark.parametrize("keep_previous", [False, True])
def test_a_power_cut_leaves_the_old_or_the_new(monkeypatch, tmp_path, keep_previous):
    disk = Disk()
    save_on(disk, monkeypatch, tmp_path, keep_previous=keep_previous)
    assert disk.operations > 8
    assert disk.seen[0] == {OLD}
    for contents in disk.seen:
        assert contents <= {OLD, NEW}
    assert disk.contents() == {NEW}


@pytest.mark.parametrize("step", ["fsync of the file", "fsync of the folder"])
def test_the_stand_in_sees_a_save_that_forgets_a_step(monkeypatch, tmp_path, step):
    class Careless(Disk):
        def fsync(self, descriptor):
            if (descriptor == "folder") != (step == "fsync of the folder"):
                super().fsync(descriptor)

    disk = Careless()
    save_on(disk, monkeypatch, tmp_path)
    assert not disk.contents() <= {NEW}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("keep_previous", [False, True])
@pytest.mark.parametrize("operation", range(1, 9))
def test_an_error_at_any_step_leaves_the_old_and_names_the_file(
    monkeypatch, tmp_path, operation, code, keep_previous
):
    disk = Disk(fail_at=operation, code=code)
    with pytest.raises(OSError, match=os.strerror(code)) as raised:
        save_on(disk, monkeypatch, tmp_path, keep_previous=keep_previous)
    assert raised.value.errno == code
    if not disk.changes:  # it has not taken the name
        assert "model" in str(raised.value)
        assert disk.contents() == {OLD}
    assert disk.contents() <= {OLD, NEW}


def test_the_real_disk(tmp_path):
    path = tmp_path / "model"
    write_durably(path, OLD)
    path.chmod(0o600)
    write_durably(path, NEW)
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_regular_files_are_replaced(tmp_path, kind):
    path, other = tmp_path / "model", tmp_path / "other"
    other.write_bytes(OLD)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(FileExistsError, match="is not a regular file, and only those are repl"):
        write_durably(path, NEW)
    assert other.read_bytes() == OLD


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no/model"):
        write_durably(tmp_path / "no" / "model", NEW)
