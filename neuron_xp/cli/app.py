"""The command line: the only file that prints."""

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar
from rich.table import Table

import neuron_xp
from neuron_xp import checks
from neuron_xp.article import ARTICLE_QUESTION
from neuron_xp.backends import libraries as backends
from neuron_xp.backends.status import statuses
from neuron_xp.cli import bench as bench_command
from neuron_xp.cli.on_tables import COMMANDS, Outcome
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.neuron.reproducible import CONTRACT_VERSION
from neuron_xp.training.loop import Progress
from neuron_xp.workflows import bench, matrix
from neuron_xp.workflows.cases import CASES, published

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; every error is one line on stderr."""
    _signals.clear()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        outcome = commands.main(arguments, prog_name="neuron-xp", standalone_mode=False)
        if isinstance(outcome, Outcome):
            for note in outcome.notes:
                print(f"neuron-xp: {note}", file=sys.stderr)
            print(outcome.text, file=sys.stderr if outcome.data else sys.stdout)
            sys.stdout.buffer.write(outcome.data)
            outcome = outcome.status
        sys.stdout.flush()
        return int(outcome or 0)
    except _StoppedError as stopped:
        return _failed(str(stopped), stopped.status)
    except click.ClickException as error:
        return _failed(error.format_message(), 2)
    except neuron_xp.TrainingDivergedError as error:
        return _failed(str(error), 1)
    except BrokenPipeError:  # the reader left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        return _failed(str(error), 2)


class _StoppedError(SystemExit):
    """A signal came: Ctrl-C, or a polite kill."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "stopped; a run with --checkpoint goes on by the same command with --resume"
        )
        self.status = 128 + number


_signals = list[int]()


def _stop(number: int, frame: object) -> None:
    _signals.append(number)
    raise _StoppedError(number)


def _stop_if_asked(progress: Progress | None = None) -> None:
    """Again, as Python drops what is raised while an object is finalized."""
    if _signals:
        raise _StoppedError(_signals[0])


@contextmanager
def _progress_bar(iterations: int) -> Iterator[Callable[[Progress], None]]:
    """A bar with loss, rate and time left, if there is a terminal to see it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _stop_if_asked
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[loss]}"))  # fmt: skip
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=iterations, loss="")

        def tell(progress: Progress) -> None:
            _stop_if_asked()
            speed = f"{bar.tasks[0].speed or 0:.0f}/s"
            said = f"loss {progress.loss:.4g}, {speed}"
            bar.update(task, completed=progress.iteration, loss=said)

        yield tell


def _failed(message: str, status: int) -> int:
    print(f"neuron-xp: {message}", file=sys.stderr)
    return status


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(neuron_xp.__version__)
@click.pass_context
def commands(context: click.Context) -> None:
    """A neuron that learns, with the same bits on every array library."""
    context.obj = _progress_bar
    if context.invoked_subcommand is None:
        print(context.get_help())


for command in COMMANDS:
    commands.add_command(command)


@commands.command()
@click.option("--backend", default="numpy", show_default=True, help="The array library.")
@click.option("--device", help="As the library spells it.  [default: the library's own]")
@click.option("--arithmetic", default=ARITHMETICS[0], show_default=True, help="Or native.")
def demo(backend: str, device: str | None, arithmetic: str) -> None:
    """The article's program: a neuron learns from four examples."""
    checks.choice("arithmetic", arithmetic, ARITHMETICS)
    place = backends.open_backend(backend, device)
    start = neuron_xp.train(backend=place, arithmetic=arithmetic, iterations=0)
    print(f"Random starting synaptic weights:\n{_host(start, start.weights[0])}\n")
    started = time.perf_counter()
    network = neuron_xp.train(backend=place, arithmetic=arithmetic)
    seconds = time.perf_counter() - started
    print(f"New synaptic weights after training:\n{_host(network, network.weights[0])}\n")
    answer = _host(network, network.think(ARTICLE_QUESTION))
    print(f"Considering new situation {list(ARTICLE_QUESTION)} -> ?:\n{answer}\n")
    print(f"{place}, {arithmetic} arithmetic: 10,000 iterations in {seconds:.2f} seconds")
    fingerprint = network.fingerprint()
    known = ", as published" if fingerprint == published()["article"] else ""
    print(f"fingerprint {fingerprint}{known}")


def _host(network: neuron_xp.NeuralNetwork, array: Any) -> Any:
    with network.backend.context():
        return network.backend.to_host(array)


@commands.command("backends")
def list_backends() -> None:
    """The array libraries: version, device, usable or why not."""
    _table(
        ("backend", "version", "device", "usable", "reason"),
        [(s.name, s.version, s.device, "yes" if s.usable else "no", s.reason) for s in statuses()],
    )


JSON = click.option(
    "--json", "file", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every result to this file.",
)  # fmt: skip


@commands.command("matrix")
@JSON
def run_matrix(file: Path | None) -> int:
    """Train on every usable backend and compare the bits.

    Status 0: all reproducible fingerprints are the published ones; 1: some differ.
    """
    _refuse_missing_folder(file)
    usable = matrix.usable_backends()
    results = _watched(matrix.run_matrix(usable), len(usable) * len(ARITHMETICS) * len(CASES))
    _table(
        ("backend", "version", "device", "engine", "arithmetic", "same bits", "ulp", "seconds"),
        [_summary(list(group)) for _, group in groupby(results, key=_place)],
    )
    expected = published()
    wrong = [
        r for r in results
        if r.arithmetic == "reproducible" and r.fingerprint != expected[r.case]
    ]  # fmt: skip
    for r in wrong:
        print(f"DIFFERENT: {r.case} on {r.backend} {r.device}: {r.fingerprint}")
    print("same bits: cases with the published fingerprint; those that take long are left out")
    print("ulp: the largest distance of a weight from numpy's reproducible one")
    if file is not None:
        _write_json(file, _record(results))
    return 1 if wrong else 0


@commands.command("bench")
@bench_command.add_options
@JSON
def run_bench(file: Path | None, **given: Any) -> int:
    """Measure an iteration on every usable backend, beside plain NumPy's.

    Status 0: all reproducible rows end on the same bits; 1: some differ.
    """
    _refuse_missing_folder(file)
    workload, contenders = bench_command.plan(**given)
    measured = _watched(bench.run(workload, contenders), 1 + len(contenders))
    _table(bench_command.HEADER, [bench_command.format_cells(found) for found in measured])
    print(*bench_command.LEGEND, sep="\n")
    if wrong := bench.bits_differ(measured):
        print(bench_command.DIFFERENT)
    if file is not None:
        _write_json(file, {**_record(measured), "task": asdict(workload)})
    return 1 if wrong else 0


def _refuse_missing_folder(file: Path | None) -> None:
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(file.parent)!r}", param_hint="--json")


def _watched(results: Iterable[T], count: int) -> list[T]:
    """All of them, with a bar if there is a terminal to see it."""
    console = Console(stderr=True)
    with ProgressBar(console=console, transient=True, disable=not console.is_terminal) as progress:
        return list(progress.track(results, count, description="training"))


def _write_json(file: Path, record: dict[str, Any]) -> None:
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _place(result: matrix.Result) -> tuple[str, str, str, str]:
    return result.backend, result.device, result.engine, result.arithmetic


def _summary(results: list[matrix.Result]) -> tuple[str, ...]:
    first, expected = results[0], published()
    same = sum(r.fingerprint == expected[r.case] for r in results)
    return (
        first.backend, first.version, first.device, first.engine, first.arithmetic,
        f"{same} of {len(results)}" if first.arithmetic == "reproducible" else "-",
        str(max(r.ulp for r in results)), f"{sum(r.seconds for r in results):.2f}",
    )  # fmt: skip


def _record(results: Sequence[matrix.Result | bench.Measurement]) -> dict[str, Any]:
    return {
        "neuron_xp": neuron_xp.__version__,
        "contract_version": CONTRACT_VERSION,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "results": [asdict(r) for r in results],
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, aligned plain text in a pipe."""
    console = Console()
    if console.is_terminal:
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def console() -> None:
    """The `neuron-xp` command."""
    sys.exit(main())
