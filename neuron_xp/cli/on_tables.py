"""The commands on tables and model files: train, predict, evaluate, verify, show."""

import csv
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from neuron_xp.cli.options import (
    CLUSTER,
    DATA,
    FILE,
    MEMORY,
    OUT,
    READING,
    SAVING,
    SETTINGS,
    THREADS,
    WHERE,
    ClusterOptions,
    build_reading,
    build_saving,
    build_settings,
    build_where,
    given_as,
    open_cluster_of,
    options,
)
from neuron_xp.cli.output import Outcome, align_pairs
from neuron_xp.durable import open_durably
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import Ending, NeuralNetwork
from neuron_xp.model.settings import Settings
from neuron_xp.tables.cells import Reading
from neuron_xp.training.data.training_set import Where
from neuron_xp.workflows import table_scoring, table_training
from neuron_xp.workflows.table_scoring import Predictions, Score
from neuron_xp.workflows.table_settings import TableSettings
from neuron_xp.workflows.table_training import TrainedOnTable


@contextmanager
def open_table_file(path: Path | str) -> Iterator[Path | str]:
    """Yield the table's file; for '-' one with the CSV from stdin."""
    if str(path) != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


def check_output(path: Path, *, force: bool) -> None:
    """Raise OSError before any work: for a file that is there, or no folder to write in."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write in")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")


@click.command()
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, required=True, help="The model file; - is stdout.")
@click.option("--force", is_flag=True, help="Replace the model file if it is there.")
@click.option(
    "--holdout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
    help="Share of the rows kept out of training, to see how it does.",
)  # fmt: skip
@options(READING, SETTINGS, SAVING, MEMORY, CLUSTER, WHERE, THREADS)
@given_as(
    reading=build_reading,
    settings=build_settings,
    saving=build_saving,
    where=build_where,
    cluster=ClusterOptions,
)
@click.pass_obj
def train(
    make_bar: Any, /, data: Path | str, output: Path, force: bool, holdout: float,
    reading: Reading, settings: TableSettings, saving: Saving | None, where: Where,
    cluster: ClusterOptions,
) -> Outcome:  # fmt: skip
    """Learn a column of a table from the others: CSV, TSV, NPY, NPZ or Parquet.

    DATA is a file, or a folder or a quoted pattern ('part-*.csv'), whose files are the parts
    of one table, in the order of their names. With --max-memory it may be larger than memory:
    a working copy is then made in TMPDIR. With --workers or --scheduler each file is read by
    a worker of a cluster, and may be an address that fsspec knows.
    """
    to_stdout = str(output) == "-"
    if not to_stdout:
        check_output(output, force=force)
    started = time.perf_counter()
    count = None if settings.base.optimizer == "lbfgs" else settings.base.iterations
    with (
        open_cluster_of(cluster, where) as on_cluster,
        open_table_file(data) as file,
        make_bar(count) as on_progress,
    ):
        trained = table_training.fit_table(
            file, reading, settings, where,
            holdout=holdout, on_cluster=on_cluster, saving=saving, on_progress=on_progress,
        )  # fmt: skip
    report = _report(trained, time.perf_counter() - started, output)
    if to_stdout:
        return Outcome(report, notes=trained.notes, data=trained.network.to_bytes())
    trained.network.save(output)
    return Outcome(report, notes=trained.notes)


def _report(trained: TrainedOnTable, seconds: float, output: Path) -> str:
    network, columns = trained.network, trained.columns
    ending = network.ending
    assert ending is not None, "it has just been trained"
    rows = f"{trained.rows}"
    if trained.dropped:
        rows += f", and {trained.dropped} with missing cells left out"
    lines = [
        ("rows", rows),
        ("features", str(len(columns.input_names))),
        ("classes", ", ".join(columns.classes) if columns.classes else "numbers in [0, 1]"),
        ("stopped", _tell_ending(ending, network.settings)),
        ("iterations", str(ending.iterations)),
    ]
    if ending.evaluations:
        lines.append(("evaluations", str(ending.evaluations)))
    lines.append(("loss", f"{network.history[-1][1]:.6g}"))
    if trained.held_out is not None:
        lines += _scores(trained.held_out, "held out")
    lines += [
        ("seconds", f"{seconds:.2f}"),
        ("fingerprint", network.fingerprint()),
        ("model", str(output)),
    ]
    return align_pairs(lines)


def _tell_ending(ending: Ending, settings: Settings) -> str:
    if ending.reason == "converged":
        return f"converged: no slope above {settings.gradient_tolerance}"
    if ending.reason == "settled":
        return f"the loss fell by no more than {settings.tolerance} of itself"
    if ending.reason == "no lower loss":
        return "no step lowers the loss"
    return f"all {ending.iterations} iterations done"


def _scores(score: Score, what: str) -> list[tuple[str, str]]:
    lines = [(what, f"{score.rows} rows, loss {score.loss:.6g}")]
    if score.accuracy is not None:
        lines.append(("accuracy", f"{score.accuracy:.4f}"))
    return lines


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, help="A CSV file.  [default: stdout]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@options(MEMORY, WHERE)
@given_as(where=build_where)
def predict(model: Path, data: Path, output: Path | None, force: bool, where: Where) -> Outcome:
    """Probabilities and classes for the rows of a table, in its order, as CSV."""
    output = None if str(output) == "-" else output
    if output is not None:
        check_output(output, force=force)
    elif where.max_memory is not None:
        raise ValueError("--max-memory holds no answers for stdout; give a file: -o answers.csv")
    network = NeuralNetwork.load(model, backend=where.backend, device=where.device)
    with open_table_file(data) as file:
        chunks = table_scoring.predict_in_chunks(network, file, max_memory=where.max_memory)
        if output is None:
            text = io.StringIO()
            _, notes = _write_answers(chunks, text.write)
            return Outcome(text.getvalue().rstrip("\n"), notes=notes)
        with open_durably(output) as write:
            rows, notes = _write_answers(chunks, lambda line: write(line.encode()))
        return Outcome(f"{rows} rows in {output}", notes=notes)


def _write_answers(
    chunks: Iterator[Predictions], write: Callable[[str], object]
) -> tuple[int, tuple[str, ...]]:
    """Write them as CSV; return how many rows there are, and notes on the table."""
    rows, notes = 0, tuple[str, ...]()
    for chunk in chunks:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if rows == 0:
            writer.writerow(_header(chunk))
        for i, row in enumerate(chunk.outputs):
            writer.writerow([*map(repr, row.tolist()), *chunk.classes[i : i + 1]])
        write(text.getvalue())
        rows, notes = rows + len(chunk.outputs), notes + chunk.notes
    return rows, notes


def _header(chunk: Predictions) -> list[str]:
    target, classes = chunk.columns.target, chunk.columns.classes
    if classes is None:
        return [target]
    shown = classes[1:] if len(classes) == 2 else classes
    return [*(f"probability of {name}" for name in shown), target]


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(MEMORY, WHERE)
@given_as(where=build_where)
def evaluate(model: Path, data: Path, where: Where) -> Outcome:
    """How a model does on a table: accuracy, loss, and which classes it confuses."""
    network = NeuralNetwork.load(model, backend=where.backend, device=where.device)
    with open_table_file(data) as file:
        score = table_scoring.evaluate(network, file, max_memory=where.max_memory)
    text = align_pairs(_scores(score, "table"))
    if score.accuracy is not None:
        classes = None if network.table is None else network.table.columns.classes
        text += "\n\n" + _confusion(score, classes or ("0", "1"))
    return Outcome(text, notes=score.notes)


def _confusion(score: Score, classes: tuple[str, ...]) -> str:
    width = max(len(name) for name in (*classes, "true \\ said"))
    rows = [("true \\ said", *classes)]
    rows += [(name, *map(str, row)) for name, row in zip(classes, score.confusion, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in rows)


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(MEMORY, CLUSTER, WHERE)
@given_as(where=build_where, cluster=ClusterOptions)
def verify(model: Path, data: Path | str, where: Where, cluster: ClusterOptions) -> Outcome:
    """Train again from what the model holds: are the bits the same? Status 0: yes, 1: no."""
    network = NeuralNetwork.load(model)
    with open_cluster_of(cluster, where) as on_cluster, open_table_file(data) as file:
        found = table_training.verify(
            network, file, backend=where.backend, device=where.device,
            max_memory=where.max_memory, on_cluster=on_cluster,
        )  # fmt: skip
    pairs = [
        ("data", "the same" if found.same_data else "OTHER than those it was trained on"),
        ("in the file", network.fingerprint()),
        ("trained here", found.network.fingerprint()),
        ("verdict", "the same bits" if found.same_bits else "DIFFERENT"),
    ]
    return Outcome(align_pairs(pairs), 0 if found.same_bits and found.same_data else 1)


@click.command()
@click.argument("model", type=FILE)
def show(model: Path) -> Outcome:
    """What is in a model file."""
    network = NeuralNetwork.load(model)
    sizes = [len(network.weights[0]), *(layer.shape[1] for layer in network.weights)]
    lines = [("layers", "-".join(map(str, sizes)))]
    lines += [
        (name, "-" if value is None else str(value))
        for name, value in asdict(network.settings).items()
    ]
    if network.table is not None:
        columns = network.table.columns
        lines += [("target", columns.target), ("classes", ", ".join(columns.classes or ()) or "-"),
                  ("inputs", ", ".join(columns.input_names)),
                  ("held out", f"{network.table.holdout:.0%}")]  # fmt: skip
    lines += [("data", network.data_fingerprint or "unknown"), ("model", network.fingerprint())]
    return Outcome(align_pairs(lines))


COMMANDS = (train, predict, evaluate, verify, show)
