"""The options of `neuron-xp bench`, and the lines of its table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.status import list_statuses
from neuron_xp.cli.output import (
    FORCE,
    JSON,
    Outcome,
    check_json,
    format_table,
    list_with_bar,
    write_json,
)
from neuron_xp.workflows import bench
from neuron_xp.workflows.bench import (
    Contender,
    Measurement,
    Workload,
    check_workload,
    list_contenders,
)

F = TypeVar("F", bound=Callable[..., object])

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


def add_options(function: F) -> F:
    """Give the command its options."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def plan(
    *,
    hidden: str,
    names: Sequence[str],
    rows: int,
    features: int,
    threads: int | None,
    seconds: float,
) -> tuple[Workload, list[Contender]]:
    """Check what is trained, and list who trains it."""
    workload = check_workload(
        rows=rows,
        features=features,
        hidden=_layer_sizes(hidden),
        threads=threads,
        seconds=seconds,
    )
    if names:
        return workload, list_contenders(map(open_backend, dict.fromkeys(names)))
    usable = (status for status in list_statuses() if status.usable)
    return workload, list_contenders(open_backend(s.name, s.device) for s in usable)


def _layer_sizes(hidden: str) -> list[int]:
    try:
        return [int(word) for word in hidden.split(",")] if hidden else []
    except ValueError:
        raise ValueError(f"hidden must be sizes of layers, such as 16,8; got {hidden!r}") from None


def format_cells(found: Measurement) -> tuple[str, ...]:
    """Format a line of the table, below HEADER."""
    return (
        found.backend,
        found.version,
        found.device,
        found.engine,
        found.arithmetic,
        f"{found.seconds * 1e3:.3g}",
        f"{found.ratio:.3g}",
        f"{found.gigabytes_per_second:.3g}",
        f"{found.first_call:.2f}",
        "-" if found.fingerprint is None else found.fingerprint[:12],
    )


@click.command("bench")
@add_options
@JSON
@FORCE
def run_bench(file: Path | None, force: bool, **given: Any) -> Outcome:
    """Measure an iteration on every usable backend, beside plain NumPy's.

    Status 0: all reproducible rows end on the same bits; 1: some differ.
    """
    check_json(file, force=force)
    workload, contenders = plan(**given)
    measured = list_with_bar(bench.run(workload, contenders), 1 + len(contenders))
    write_json(file, measured, task=asdict(workload))
    wrong = bench.bits_differ(measured)
    lines = [format_table(HEADER, [format_cells(found) for found in measured]), *LEGEND]
    return Outcome("\n".join([*lines, DIFFERENT] if wrong else lines), status=1 if wrong else 0)


COMMANDS = (run_bench,)
