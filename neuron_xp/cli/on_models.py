"""The commands on model files: predict, evaluate, verify, show."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from neuron_xp.cli.files import PLOT, check_output, load_plots, open_table_file
from neuron_xp.cli.options import (
    CLUSTER,
    DATA,
    FILE,
    MEMORY,
    OUT,
    WHERE,
    ClusterOptions,
    build_where,
    given_as,
    open_cluster_of,
    options,
)
from neuron_xp.cli.output import Outcome, align_pairs, list_score
from neuron_xp.durable import open_durably
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.training.data.training_set import Where
from neuron_xp.workflows import table_scoring, table_training
from neuron_xp.workflows.table_scoring import Predictions, Score


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
@click.option("--force", is_flag=True, help="Replace the picture if it is there.")
@PLOT
@options(MEMORY, WHERE)
@given_as(where=build_where)
def evaluate(model: Path, data: Path, force: bool, plot: Path | None, where: Where) -> Outcome:
    """How a model does on a table: accuracy, loss, and which classes it confuses."""
    plots = load_plots(plot, force=force)
    network = NeuralNetwork.load(model, backend=where.backend, device=where.device)
    with open_table_file(data) as file:
        score = table_scoring.evaluate(network, file, max_memory=where.max_memory)
    text = align_pairs(list_score(score, "table"))
    if score.accuracy is not None:
        known = None if network.table is None else network.table.columns.classes
        classes = known or ("0", "1")
        text += "\n\n" + _confusion(score, classes)
        if plots is not None:
            plots.save(plots.confusion(score.confusion, classes), plot)
    elif plots is not None:
        raise ValueError("--plot draws which classes are confused, and these targets are none")
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
    lines = [("layers", "-".join(map(str, network.layer_sizes)))]
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


COMMANDS = (predict, evaluate, verify, show)
