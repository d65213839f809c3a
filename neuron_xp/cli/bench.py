"""What `neuron-xp bench` is told, and how a row of its table reads."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.status import list_statuses
from neuron_xp.cli.output import (
    JSON,
    Outcome,
    check_folder,
    format_table,
    list_with_bar,
    write_json,
)
from neuron_xp.workflows import bench
from neuron_xp.workflows.bench import Contender, Row, Task, contenders

F = TypeVar("F", bound=Callable[..., Any])

HEADER = (
    "backend", "version", "device", "engine", "arithmetic",
    "ms/iteration", "x plain", "GB/s", "first call", "bits",
)  # fmt: skip
LEGEND = (
    "x plain: times the plain NumPy program's ms/iteration; below 1 is faster",
    "GB/s: of the inputs, as if an iteration read them once",
    "first call: seconds of the first, short training, with compilation",
    "bits: the fingerprint, which all reproducible rows share",
)
DIFFERENT = "DIFFERENT: reproducible rows do not end on the same bits"

OPTIONS = [
    click.option("--rows", type=int, default=10_000, show_default=True, help="Of random inputs."),
    click.option("--features", type=int, default=20, show_default=True, help="Of random inputs."),
    click.option("--hidden", default="", help="Sizes of hidden layers: 16,8.  [default: none]"),
    click.option("--backend", "names", multiple=True,
                 help="An array library; may be repeated.  [default: all usable here]"),
    click.option("--threads", type=int, help="Of NumPy's work.  [default: as many as processors]"),
    click.option("--seconds", type=float, default=1.0, show_default=True,
                 help="To measure each row for, about."),
]  # fmt: skip


def options(function: F) -> F:
    """The command with its options."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def planned(*, hidden: str, names: Sequence[str], **numbers: Any) -> tuple[Task, list[Contender]]:
    """What is trained, and by whom."""
    task = Task.checked(hidden=_sizes(hidden), **numbers)
    if names:
        return task, contenders(map(open_backend, dict.fromkeys(names)))
    return task, contenders(open_backend(s.name, s.device) for s in list_statuses() if s.usable)


def _sizes(hidden: str) -> list[int]:
    try:
        return [int(word) for word in hidden.split(",")] if hidden else []
    except ValueError:
        raise ValueError(f"hidden must be sizes of layers, such as 16,8; got {hidden!r}") from None


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, below HEADER."""
    return (
        row.backend,
        row.version,
        row.device,
        row.engine,
        row.arithmetic,
        f"{row.seconds * 1e3:.3g}",
        f"{row.ratio:.3g}",
        f"{row.gigabytes_per_second:.3g}",
        f"{row.first_call:.2f}",
        row.fingerprint[:12] if row.fingerprint else "-",
    )


@click.command("bench")
@options
@JSON
def run_bench(file: Path | None, **given: Any) -> Outcome:
    """Measure an iteration on every usable backend, beside plain NumPy's.

    Status 0: all reproducible rows end on the same bits; 1: some differ.
    """
    check_folder(file)
    task, entrants = planned(**given)
    rows = list_with_bar(bench.run(task, entrants), 1 + len(entrants))
    write_json(file, rows, task=asdict(task))
    wrong = bench.different(rows)
    lines = [format_table(HEADER, [cells(row) for row in rows]), *LEGEND]
    return Outcome("\n".join([*lines, DIFFERENT] if wrong else lines), status=1 if wrong else 0)
