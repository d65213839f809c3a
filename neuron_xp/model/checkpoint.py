"""Checkpoints: model files with a training position, written as the training goes."""

import os
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neuron_xp.checks import check_whole_number, check_yes_or_no
from neuron_xp.durable import name_previous, write_durably
from neuron_xp.errors import ModelFileError
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
        """Raise OSError if the folder is not there, or a checkpoint would be lost."""
        if not self.path.absolute().parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.path.parent)!r} to save in")
        if not self.resume and (self.path.exists() or name_previous(self.path).exists()):
            raise FileExistsError(
                f"checkpoint {str(self.path)!r} is there already; give resume=True to go on "
                f"from it, or remove it and {name_previous(self.path).name!r}"
            )

    def is_due(self, iteration: int) -> bool:
        """Tell whether it is time to write."""
        if self.every is not None:
            return iteration % self.every == 0
        return time.monotonic() - self.last >= self.seconds

    def write(self, model: Model) -> None:
        """Write the checkpoint, if it is a new one; the one before is kept beside it."""
        if model.position != self.written:
            write_durably(self.path, model_file.to_bytes(model), keep_previous=True)
            self.last, self.written = time.monotonic(), model.position

    def read(self, settings: Settings, data_fingerprint: str) -> Model | None:
        """Return the checkpoint to go on from, if that is wanted and there is one."""
        model = read_checkpoint(self.path) if self.resume else None
        if model is not None:
            check_checkpoint(self.path, model, settings, data_fingerprint)
        return model


def read_checkpoint(path: Path) -> Model | None:
    """Return the newest checkpoint that is whole; None if there is none at all.

    A damaged newest one falls back to the one before, with a warning.
    """
    problems = []
    for candidate in (path, name_previous(path)):
        try:
            model = model_file.from_bytes(candidate.read_bytes(), str(candidate))
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
