"""The runner: each part of a stage is a process with a limit, and however it ends is a result.

The standard library alone, so that nothing that a part may break is needed here.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ci.cuda_stages import lines

DONE, LEFT, NOT_RUN = "done", "left out", "not run, as what it needs does not open"
LEFT_OUT = 77
"""The status of a part that has nothing to do here; the last line that it prints says why."""
SECONDS_TO_END = 3
TAIL = 15


@dataclass(frozen=True)
class Part:
    """A command, and the seconds that it may take.

    opens : whether the rest of the stage is not worth trying when it fails
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    opens: bool = False


@dataclass(frozen=True)
class Stage:
    """Parts that are run one after the other; about: what they show."""

    name: str
    about: str
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """The sum of the parts' limits."""
        return sum(part.seconds for part in self.parts)


@dataclass
class Runner:
    """A runner of stages, which appends to a file how each part has ended.

    What parts leave of their seconds is for those after them, which take twice theirs at most.
    folder : where each part's output is kept
    root : where the parts' commands are run
    unopened : how the commands that open something have failed, which are tried once only
    """

    folder: Path
    root: Path
    say: Callable[[str], object] = print
    unopened: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file of lines."""
        return self.folder / "results.jsonl"

    def run(self, stages: Sequence[Stage], after_each: Callable[[], object]) -> int:
        """Run the stages; return 0 if something was done, and nothing failed."""
        endings, started, planned = list[str](), time.monotonic(), 0.0
        for stage in stages:
            lines.append(self.file, stage=stage.name, kind="begin", about=stage.about,
                         date=time.strftime("%Y-%m-%d %H:%M", time.gmtime()))  # fmt: skip
            before: str | None = None  # how a part has failed without which the others are nothing
            for part in stage.parts:
                planned += part.seconds
                left = planned - (time.monotonic() - started)
                if before is not None:
                    was_left = before.startswith(LEFT)
                    ended = f"{LEFT}, too" if was_left else NOT_RUN
                    self._note(stage, part, ended)
                else:
                    ended = self._run(stage, part, max(1.0, min(left, 2 * part.seconds)))
                    before = ended if part.opens and ended != DONE else None
                endings.append(ended)
                after_each()
        failed = [ended for ended in endings if ended != DONE and not ended.startswith(LEFT)]
        return 0 if DONE in endings and not failed else 1

    def _run(self, stage: Stage, part: Part, limit: float) -> str:
        """Run a part, and note how it ended, which is returned."""
        if part.command in self.unopened:
            ended = self.unopened[part.command]
            self._note(stage, part, ended)
            return ended
        self.say(f"{stage.name}, {part.name}: at most {limit:.0f} s")
        log = self.folder / f"{stage.name}-{part.name}.log".replace(" ", "-")
        environment = {
            **os.environ, **part.environment, lines.FILE: str(self.file),
            "PYTHONUNBUFFERED": "1",  # what it prints stands before the error that ends it
            lines.STAGE: stage.name, lines.PART: part.name,
        }  # fmt: skip
        started = time.monotonic()
        try:
            ended = run_within(limit, part.command, log, environment, self.root)
        except OSError as error:
            ended = f"could not be started: {error}"
        except BaseException as error:
            ended = f"stopped from outside: {type(error).__name__}"
            self._note(stage, part, ended, time.monotonic() - started)
            raise
        tail = read_tail(log)
        last = tail[-1] if tail else "it printed nothing"
        if ended == f"ended with status {LEFT_OUT}":
            ended = f"{LEFT}: {last}"
        elif part.opens and ended != DONE:
            ended = f"{ended}: {last}"
        if part.opens and ended != DONE:
            self.unopened[part.command] = ended
        self._note(stage, part, ended, time.monotonic() - started, tail if ended != DONE else ())
        return ended

    def _note(
        self, stage: Stage, part: Part, ended: str, seconds: float = 0.0, tail: Sequence[str] = ()
    ) -> None:
        self.say(f"{stage.name}, {part.name}: {ended}, {seconds:.1f} s")
        lines.append(self.file, stage=stage.name, part=part.name, kind="end", ended=ended,
                     seconds=round(seconds, 2), tail="\n".join(tail))  # fmt: skip


def run_within(
    limit: float, command: Sequence[str], log: Path, environment: Mapping[str, str], root: Path
) -> str:
    """Run a command, with all that it starts, for so many seconds; return how it ended."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"stopped after {limit:.0f} seconds"
        finally:
            _end(process)
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"ended with status {status}" if status else DONE


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it has started: a GPU's memory is theirs until then."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a driver may hold what was killed
        process.wait(SECONDS_TO_END)


def read_tail(log: Path) -> list[str]:
    """Read the last lines of what was printed, shortened."""
    try:
        text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip()[:400] for line in text.splitlines() if line.strip()][-TAIL:]
