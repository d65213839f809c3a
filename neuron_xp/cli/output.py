"""Output of the commands: outcomes, tables, progress."""

import json
import logging
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import click

import neuron_xp
from neuron_xp.errors import show_text
from neuron_xp.files.durable import write_durably
from neuron_xp.progress import ProgressBar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from neuron_xp.workflows.table_scoring import Score

T = TypeVar("T")

Tell: TypeAlias = "Callable[[neuron_xp.Progress], object]"
"""A callback of a training."""


class Outcome(NamedTuple):
    """The result of a command.

    text : for stdout; for stderr where there are data
    status : the exit status
    notes : lines for stderr
    data : bytes for stdout
    """

    text: str
    status: int = 0
    notes: tuple[str, ...] = ()
    data: bytes = b""


JSON = click.option(
    "--json", "file", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every result to this file.",
)  # fmt: skip


FORCE = click.option("--force", is_flag=True, help="Replace the file of --json if it is there.")


def align_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """Format (name, value) pairs, a line each, the values below each other."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {show_text(value)}" for name, value in pairs)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table: with lines on a terminal, as aligned plain text in a pipe."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if console.is_terminal:
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        with console.capture() as captured:
            console.print(table)
        return captured.get().rstrip("\n")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def list_score(score: "Score", what: str) -> list[tuple[str, str]]:
    """List a score as (name, value) pairs."""
    lines = [(what, f"{score.rows} rows, loss {score.loss:.6g}")]
    if score.accuracy is not None:
        lines.append(("accuracy", f"{score.accuracy:.4f}"))
    return lines


@contextmanager
def show_progress(stop_if_asked: Callable[[], None]) -> Iterator[Tell]:
    """Give a callback for `train` that stops it if asked to, and shows a bar on a terminal."""
    with ProgressBar(transient=True) as bar:

        def tell(progress: neuron_xp.Progress) -> None:
            stop_if_asked()
            bar(progress)

        yield tell


class LogLines(logging.Handler):
    """Says in lines what the library logs; on a terminal a spinner turns while it is under way.

    say : prints a line
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__()
        self.say = say
        self._spinner: Status | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record; one with `under_way` begins something, or ends it without a word."""
        with suppress(OSError):  # that nobody reads stderr is no fault of what is logged
            self._show(record, getattr(record, "under_way", None))

    def _show(self, record: logging.LogRecord, under_way: bool | None) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None
        if under_way is False:
            return
        console = _find_free_terminal() if under_way else None
        if console is None:
            self.say(record.getMessage())
        else:
            self._spinner = console.status(f"neuron-xp: {record.getMessage()}")
            self._spinner.start()


def _find_free_terminal() -> "Console | None":
    """Return stderr if it is a terminal that can be drawn on, and has no bar.

    Lines that are printed while there is a bar rich puts above it.
    """
    from rich.console import Console
    from rich.file_proxy import FileProxy

    console = Console(stderr=True)
    can_draw = console.is_terminal and not console.is_dumb_terminal
    return console if can_draw and not isinstance(sys.stderr, FileProxy) else None


def list_with_bar(
    results: Iterable[T], count: int, keep: Callable[[list[T]], object] = lambda found: None
) -> list[T]:
    """List the results as they come, with a bar if there is a terminal to see it.

    keep : called with those that there are, after each
    """
    from rich.console import Console
    from rich.progress import Progress as Bar

    console, found = Console(stderr=True), list[T]()
    with Bar(console=console, transient=True, disable=not console.is_terminal) as progress:
        for result in progress.track(results, count, description="training"):
            found.append(result)
            keep(found)
    return found


def check_json(file: Path | None, *, force: bool) -> None:
    """Raise before any work if the file of --json is there, or cannot be written."""
    if file is None:
        return
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(file.parent)!r}", param_hint="--json")
    from neuron_xp.cli.files import check_output  # which knows tables and models

    check_output(file, force=force)


def write_json(file: Path | None, results: Sequence[Any], **more: Any) -> None:
    """Write dataclasses and what they were measured with, if a file is given."""
    if file is None:
        return
    from neuron_xp.neuron.reproducible.elementary import CONTRACT_VERSION

    record = {
        "neuron_xp": neuron_xp.__version__,
        "contract_version": CONTRACT_VERSION,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "results": [asdict(result) for result in results],
        **more,
    }
    write_durably(file, f"{json.dumps(record, indent=1)}\n".encode())
