"""The commands on tables and model files. They return what is to be printed, and a status."""

import csv
import io
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from neuron_xp.cli.options import (
    CLUSTER,
    DATA,
    FILE,
    MEMORY,
    OUT,
    PLACE,
    READING,
    SAVING,
    SETTINGS,
    options,
)
from neuron_xp.durable import written_durably
from neuron_xp.errors import NO_DASK
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import Table
from neuron_xp.workflows import on_tables as tasks


class Outcome(NamedTuple):
    """What a command has to say on stdout, and on stderr; its exit status; or bytes for stdout.

    With bytes, the text goes to stderr.
    """

    text: str
    status: int = 0
    notes: tuple[str, ...] = ()
    data: bytes = b""


@contextmanager
def _cluster(max_memory: int | None, given: dict[str, Any]) -> Iterator[bool]:
    """Whether it is a cluster that trains; takes its own options out of those given."""
    scheduler, workers = given.pop("scheduler"), given.pop("workers")
    dashboard = given.pop("dashboard")
    if scheduler is None and workers is None:
        if dashboard:
            raise click.UsageError("--dashboard shows what --workers do; give that, too")
        yield False
        return
    if scheduler is not None and workers is not None:
        raise click.UsageError("--scheduler joins a cluster and --workers starts one; give one")
    if max_memory is not None:
        raise click.UsageError("--max-memory bounds this process, and a cluster's workers have "
                               "limits of their own; leave it out")  # fmt: skip
    try:
        from neuron_xp.cluster.scheduler import cluster
    except ImportError as error:
        raise ImportError(NO_DASK) from error
    with cluster(scheduler, workers, dashboard=dashboard):
        yield True


@contextmanager
def table_file(path: Path | str) -> Iterator[Path | str]:
    """The table's file; for '-' one with the CSV from stdin."""
    if str(path) != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


@click.command()
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, required=True, help="The model file; - is stdout.")
@click.option("--force", is_flag=True, help="Replace the model file if it is there.")
@click.option(
    "--holdout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
    help="Share of the rows kept out of training, to see how it does.",
)  # fmt: skip
@options(READING, SETTINGS, SAVING, MEMORY, CLUSTER, PLACE)
@click.pass_obj
def train(
    progress: Any, /, data: Path | str, output: Path, force: bool, holdout: float,
    max_memory: int | None, **given: Any,
) -> Outcome:  # fmt: skip
    """Learn a column of a table from the others: CSV, TSV, NPY, NPZ or Parquet.

    DATA is a file, or a folder or a quoted pattern ('part-*.csv'), whose files are the parts
    of one table, in the order of their names. With --max-memory it may be larger than memory:
    a working copy is then made in TMPDIR. With --workers or --scheduler each file is read by
    a worker of a cluster, and may be an address that fsspec knows.
    """
    to_stdout = str(output) == "-"
    if not to_stdout:
        tasks.refuse_to_overwrite(output, force=force)
    where = {name: given.pop(name) for name in ("backend", "device")}
    saving = {name: given.pop(name) for name in ("checkpoint", "checkpoint_every", "resume")}
    use = TableUse(_reading(given), Columns((), "", None, ()), holdout, given["seed"])
    started = time.perf_counter()
    with (
        _cluster(max_memory, given) as on_cluster,
        table_file(data) as file,
        progress(given["iterations"]) as on_progress,
    ):
        trained = tasks.train_on_table(
            file, use, given, **where, saving=saving, on_progress=on_progress,
            max_memory=max_memory, on_cluster=on_cluster,
        )  # fmt: skip
    report = _report(trained, time.perf_counter() - started, output)
    if to_stdout:
        return Outcome(report, notes=trained.notes, data=trained.network.to_bytes())
    trained.network.save(output)
    return Outcome(report, notes=trained.notes)


def _reading(given: dict[str, Any]) -> Reading:
    """Takes its own options out of those given."""
    target, features = given.pop("target"), given.pop("features")
    return Reading(
        target=int(target) if target.isdecimal() else target,
        features=tuple(features.split(",")) if features else None,
        categories=given.pop("categories"),
        delimiter=given.pop("delimiter"),
        decimal=given.pop("decimal"),
        drop_missing=given.pop("drop_missing"),
    )


def _report(trained: tasks.Trained, seconds: float, output: Path) -> str:
    network, columns = trained.network, trained.columns
    iterations, loss = network.history[-1]
    rows = f"{trained.rows}"
    if trained.dropped:
        rows += f", and {trained.dropped} with missing cells left out"
    lines = [
        ("rows", rows),
        ("features", str(len(columns.input_names))),
        ("classes", ", ".join(columns.classes) if columns.classes else "numbers in [0, 1]"),
        ("iterations", str(iterations)),
        ("loss", f"{loss:.6g}"),
    ]
    if trained.held_out is not None:
        lines += _scores(trained.held_out, "held out")
    lines += [
        ("seconds", f"{seconds:.2f}"),
        ("fingerprint", network.fingerprint()),
        ("model", str(output)),
    ]
    return _aligned(lines)


def _scores(score: tasks.Score, what: str) -> list[tuple[str, str]]:
    lines = [(what, f"{score.rows} rows, loss {score.loss:.6g}")]
    if score.accuracy is not None:
        lines.append(("accuracy", f"{score.accuracy:.4f}"))
    return lines


def _aligned(lines: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in lines)


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, help="A CSV file.  [default: stdout]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@options(MEMORY, PLACE)
def predict(
    model: Path, data: Path, output: Path | None, force: bool, max_memory: int | None,
    backend: str, device: str | None,
) -> Outcome:  # fmt: skip
    """Probabilities and classes for the rows of a table, in its order, as CSV."""
    output = None if str(output) == "-" else output
    if output is not None:
        tasks.refuse_to_overwrite(output, force=force)
    elif max_memory is not None:
        raise ValueError("--max-memory holds no answers for stdout; give a file: -o answers.csv")
    network = NeuralNetwork.load(model, backend=backend, device=device)
    with table_file(data) as file:
        found = tasks.predict(network, file, max_memory=max_memory)
        if output is None:
            text = io.StringIO()
            _, notes = _write_answers(found, text.write)
            return Outcome(text.getvalue().rstrip("\n"), notes=notes)
        with written_durably(output) as write:
            rows, notes = _write_answers(found, lambda line: write(line.encode()))
        return Outcome(f"{rows} rows in {output}", notes=notes)


def _write_answers(
    found: Iterator[tasks.Predictions], write: Callable[[str], object]
) -> tuple[int, tuple[str, ...]]:
    """Write them as CSV: how many rows there are, and notes on the table."""
    rows, notes = 0, tuple[str, ...]()
    for outputs, classes, table in found:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if rows == 0:
            writer.writerow(_header(table, bool(classes)))
        for i, row in enumerate(outputs):
            writer.writerow([*map(repr, row.tolist()), *classes[i : i + 1]])
        write(text.getvalue())
        rows, notes = rows + len(outputs), notes + table.notes
    return rows, notes


def _header(table: Table, has_classes: bool) -> list[str]:
    columns = table.columns
    if not has_classes or columns.classes is None:
        return [columns.target]
    shown = columns.classes[1:] if len(columns.classes) == 2 else columns.classes
    return [*(f"probability of {name}" for name in shown), columns.target]


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(MEMORY, PLACE)
def evaluate(
    model: Path, data: Path, max_memory: int | None, backend: str, device: str | None
) -> Outcome:
    """How a model does on a table: accuracy, loss, and which classes it confuses."""
    network = NeuralNetwork.load(model, backend=backend, device=device)
    with table_file(data) as file:
        score, notes = tasks.evaluate(network, file, max_memory=max_memory)
    text = _aligned(_scores(score, "table"))
    classes = network.table and network.table.columns.classes
    if score.accuracy is not None:
        text += "\n\n" + _confusion(score, classes or ("0", "1"))
    return Outcome(text, notes=notes)


def _confusion(score: tasks.Score, classes: tuple[str, ...]) -> str:
    width = max(len(name) for name in (*classes, "true \\ said"))
    rows = [("true \\ said", *classes)]
    rows += [(name, *map(str, row)) for name, row in zip(classes, score.confusion, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in rows)


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(MEMORY, CLUSTER, PLACE)
def verify(
    model: Path, data: Path | str, max_memory: int | None, backend: str, device: str | None,
    **given: Any,
) -> Outcome:  # fmt: skip
    """Train again from what the model holds: are the bits the same? Status 0: yes, 1: no."""
    known = NeuralNetwork.load(model)
    with _cluster(max_memory, given) as on_cluster, table_file(data) as file:
        again, same_data = tasks.verify(
            known, file, backend, device, max_memory=max_memory, on_cluster=on_cluster
        )
    same = known.fingerprint() == again.fingerprint()
    lines = [
        ("data", "the same" if same_data else "OTHER than those it was trained on"),
        ("in the file", known.fingerprint()),
        ("trained here", again.fingerprint()),
        ("verdict", "the same bits" if same else "DIFFERENT"),
    ]
    return Outcome(_aligned(lines), 0 if same and same_data else 1)


@click.command()
@click.argument("model", type=FILE)
def show(model: Path) -> Outcome:
    """What is in a model file."""
    network = NeuralNetwork.load(model)
    sizes = [len(network.weights[0]), *(layer.shape[1] for layer in network.weights)]
    lines = [("layers", "-".join(map(str, sizes)))]
    lines += [(name, str(value)) for name, value in asdict(network.settings).items()]
    if network.table is not None:
        columns = network.table.columns
        lines += [("target", columns.target), ("classes", ", ".join(columns.classes or ()) or "-"),
                  ("inputs", ", ".join(columns.input_names)),
                  ("held out", f"{network.table.holdout:.0%}")]  # fmt: skip
    lines += [("data", network.data_fingerprint or "unknown"), ("model", network.fingerprint())]
    return Outcome(_aligned(lines))


COMMANDS = (train, predict, evaluate, verify, show)
