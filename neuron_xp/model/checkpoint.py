"""Checkpoints: model files with a training position, written as the training goes."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neuron_xp.checks import check_whole_number, check_yes_or_no
from neuron_xp.errors import ModelFileError
from neuron_xp.files.durable import (
    CAN_LOCK,
    check_writable,
    lock_name,
    name_previous,
    name_stem,
    read_regular,
    write_durably,
    write_elsewhere,
)
from neuron_xp.model import model_file
from neuron_xp.model.model_file import Model
from neuron_xp.model.position import Position
from neuron_xp.model.settings import Settings


@dataclass
class Saving:
    """Plan of a training's checkpoints: in which file, how often, and whether to go on from one.

    path : of the file; the checkpoint before is kept beside it
    every : iterations between two checkpoints; None: about `seconds`, which decides when a
        file is written and never what is computed
    resume : whether to go on from the checkpoint, if there is one
    last, written : when the last was written, and the position that it holds
    """

    path: Path
    every: int | None = None
    resume: bool = False
    seconds: float = 10.0
    last: float = field(default_factory=time.monotonic)
    written: Position | None = None

    @classmethod
    def from_keywords(cls, path: object, every: object, resume: object) -> "Saving | None":
        """Return the plan that the keywords of `train` ask for; None without a path."""
        resumes = check_yes_or_no("resume", resume)
        count = None if every is None else check_whole_number("checkpoint_every", every, least=1)
        if path is None:
            if resumes or count is not None:
                name = "resume" if resumes else "checkpoint_every"
                raise ValueError(f"{name} needs to know the file: give checkpoint=PATH")
            return None
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path; got {path!r}")
        saving = cls(path=Path(os.fspath(path)), every=count, resume=resumes)
        saving.check_path()
        return saving

    def check_path(self) -> None:
        """Raise OSError if it cannot be written, another process does, or it would be lost."""
        if not self.path.absolute().parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.path.parent)!r} to save in")
        check_writable(self.path, keep_previous=True)
        with self.hold():
            pass

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes from the checkpoint, until the block or this process ends.

        Raises OSError: the line names the process that holds it, or the checkpoint would be lost.
        """
        with _hold_name(self.path):
            if not self.resume and (self.path.exists() or name_previous(self.path).exists()):
                raise FileExistsError(
                    f"checkpoint {str(self.path)!r} is there already; give resume=True to go on "
                    f"from it, or remove it and {name_previous(self.path).name!r}"
                )
            yield

    def is_due(self, iteration: int) -> bool:
        """Tell whether it is time to write."""
        if self.every is not None:
            return iteration % self.every == 0
        return time.monotonic() - self.last >= self.seconds

    def write(self, model: Model) -> None:
        """Write the checkpoint, if it is a new one; the one before is kept beside it.

        Raises OSError, which says where else it was written, if it could be.
        """
        if model.position == self.written:
            return
        content = model_file.to_bytes(model)
        try:
            write_durably(self.path, content, keep_previous=True)
        except OSError as error:
            found = write_elsewhere(self.path, content)
            where = "nor is there another place for it"
            if found is not None:
                where = f"it is {str(found)!r} instead; to go on from that give resume=True"
            raise OSError(f"the checkpoint cannot be written ({error}); {where}") from error
        self.last, self.written = time.monotonic(), model.position

    def read(self, settings: Settings, data_fingerprint: str) -> Model | None:
        """Return the checkpoint to go on from, if that is wanted and there is one."""
        model = read_checkpoint(self.path) if self.resume else None
        if model is not None:
            check_checkpoint(self.path, model, settings, data_fingerprint)
        return model


@contextmanager
def _hold_name(path: Path) -> Iterator[None]:
    """Hold a lock of that name, on a file beside it that is removed at the end."""
    if not CAN_LOCK:
        yield
        return
    lock = path.with_name(f".{name_stem(path)}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if lock_name(descriptor, lock):
            break
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
        os.close(descriptor)
        if lock.exists():  # else it was removed meanwhile
            raise BlockingIOError(
                f"checkpoint {str(path)!r} is in use by process {holder or 'unknown'}; wait until "
                "that has ended, or give another checkpoint"
            )
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def read_checkpoint(path: Path) -> Model | None:
    """Return the newest checkpoint that is whole; None if there is none at all.

    A damaged newest one falls back to the one before, with a warning.
    """
    problems = []
    for candidate in (path, name_previous(path)):
        try:
            model = model_file.from_bytes(read_regular(candidate), str(candidate))
        except FileNotFoundError:
            continue
        except ModelFileError as error:
            problems.append(error)
            continue
        if problems:
            warnings.warn(f"{problems[0]}; going on from {candidate}", stacklevel=2)
        return model
    if problems:
        raise problems[0]
    return None


def check_checkpoint(path: Path, model: Model, settings: Settings, data_fingerprint: str) -> None:
    """Raise for a checkpoint of other settings or data: only `iterations` may be larger."""
    if model.position is None:
        raise ModelFileError(f"{path} is a finished model and no checkpoint")
    before, now = asdict(model.settings), asdict(settings)
    for name in before:
        if name != "iterations" and before[name] != now[name]:
            raise ValueError(
                f"{path} was made with {name}={before[name]!r}, and now it is {now[name]!r}; "
                "give the same, or another checkpoint"
            )
    if settings.iterations < model.settings.iterations:
        raise ValueError(
            f"{path} was made with iterations={model.settings.iterations}, and now it is "
            f"{settings.iterations}; give the same or more"
        )
    if model.data_fingerprint != data_fingerprint:
        raise ValueError(f"{path} was made from other data; give the same, or another checkpoint")
