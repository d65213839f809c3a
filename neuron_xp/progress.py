"""A progress bar for a training: on a terminal, in a notebook, in a script."""

import sys
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # rich takes a while to import, and most trainings are over sooner
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


class ProgressBar:
    """A callback for `on_progress` that shows how far a training is; see `progress_bar`.

    `train` closes it. Where another callback calls it, it closes itself with the training's last
    news; of a training that fails then, no later than it is dropped or Python ends: a terminal
    has its cursor again. As a context manager it is closed at once.

    transient : whether nothing of it stays when the training has ended
    """

    def __init__(self, *, transient: bool = False) -> None:
        self.transient = transient
        self._bar: Progress | None = None
        self._stop: weakref.finalize[..., Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=True)

    def __call__(self, progress: Any) -> None:
        """Show the news of a training: a `neuron_xp.Progress`."""
        if self.transient and self._bar is None and progress.ending is not None:
            return  # nothing of it would stay
        if self._console.is_jupyter:  # where rich's own bar needs widgets
            sys.stdout.write(f"\r{_tell(progress)}" + "\n" * (progress.ending is not None))
            sys.stdout.flush()
        elif self._console.is_terminal:
            self._draw(progress)

    def _draw(self, progress: Any) -> None:
        if self._bar is None:
            self._bar = _make_bar(progress.iterations, self._console, transient=self.transient)
            self._bar.start()
            self._stop = weakref.finalize(self, self._bar.stop)
        (task,) = self._bar.tasks
        loss = f"loss {progress.loss:.4g}"
        if progress.ending is None:
            loss += f", {task.speed or 0:.0f}/s"
        self._bar.update(task.id, completed=progress.iteration, loss=loss, refresh=True)
        if progress.ending is not None:
            self.close()

    def close(self) -> None:
        """Take the bar away, or leave its last state; a training does so however it ends."""
        if self._stop is not None:
            self._stop()
            self._bar = self._stop = None


def progress_bar() -> ProgressBar:
    """Return a bar for `on_progress`, with loss, rate and time left.

    It is drawn on stderr where that is a terminal, by rich; in a notebook it is a line that is
    written over; elsewhere nothing is shown.

    >>> import neuron_xp
    >>> network = neuron_xp.train(on_progress=neuron_xp.progress_bar())
    """
    return ProgressBar()


def _tell(progress: Any) -> str:
    """Return the news as a line that covers the one before."""
    ending = "" if progress.ending is None else f"; ended: {progress.ending}"
    return f"{progress}{ending}".ljust(79)


def _make_bar(iterations: int | None, console: "Console", *, transient: bool) -> "Progress":
    """Return a bar of so many iterations; None promises nothing, and counts them."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    amount: tuple[ProgressColumn, ...] = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if iterations is None:
        amount = (SpinnerColumn(), TextColumn("{task.completed} iterations"))
    bar = Progress(*amount, TextColumn("{task.fields[loss]}"), console=console, transient=transient)
    bar.add_task("", total=iterations, loss="")
    return bar
