"""The commands on model files: predict, evaluate, verify, show."""

import csv
import io
import json
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

import neuron_xp
from neuron_xp.backends.backend import name_device
from neuron_xp.backends.engine import name_engine
from neuron_xp.cli.files import (
    DATA,
    MODEL,
    OUT,
    PLOT,
    TableCommand,
    check_apart,
    check_csv_name,
    check_output,
    load_network,
    load_plots,
    open_table_file,
)
from neuron_xp.cli.options import (
    CLUSTER,
    MEMORY,
    TEXT_LIKE_TRAINING,
    WHERE,
    ClusterOptions,
    TextOptions,
    build_where,
    given_as,
    open_cluster_of,
    options,
)
from neuron_xp.cli.output import FORCE, JSON, Outcome, align_pairs, check_json, list_score
from neuron_xp.errors import show_text
from neuron_xp.files.durable import open_durably, write_durably
from neuron_xp.model.model_file import choose_format
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.table_use import HeldOut
from neuron_xp.neuron.reproducible.elementary import CONTRACT_VERSION
from neuron_xp.training.data.training_set import Where
from neuron_xp.workflows import table_scoring, verification
from neuron_xp.workflows.table_scoring import Predictions, Score
from neuron_xp.workflows.verification import Verification


@click.command(cls=TableCommand)
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, help="A CSV file.  [default: stdout]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@options(TEXT_LIKE_TRAINING, MEMORY, WHERE)
@given_as(text=TextOptions, where=build_where)
def predict(
    model: Path | str, data: Path | str, output: Path | None, force: bool, text: TextOptions,
    where: Where,
) -> Outcome:  # fmt: skip
    """Probabilities and classes for the rows of a table, in its order, as CSV.

    Names are written as the table has them: a spreadsheet may run those that begin with = + - @.
    """
    output = None if str(output) == "-" else output
    check_apart({"--output": output}, {"MODEL": model, "DATA": data})
    if output is not None:
        check_csv_name(output)
        check_output(output, force=force)
    elif where.max_memory is not None:
        raise ValueError("--max-memory holds no answers for stdout; give a file: -o answers.csv")
    network = load_network(model, data, backend=where.backend, device=where.device)
    with open_table_file(data) as file:
        chunks = table_scoring.predict_in_chunks(
            network, file, **text._asdict(), max_memory=where.max_memory
        )
        if output is None:
            answers = io.StringIO()
            _, notes = _write_answers(chunks, answers.write)
            return Outcome(answers.getvalue().rstrip("\n"), notes=notes)
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


@click.command(cls=TableCommand)
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("--force", is_flag=True, help="Replace the picture if it is there.")
@PLOT
@options(TEXT_LIKE_TRAINING, MEMORY, WHERE)
@given_as(text=TextOptions, where=build_where)
def evaluate(
    model: Path | str, data: Path | str, force: bool, plot: Path | None, text: TextOptions,
    where: Where,
) -> Outcome:  # fmt: skip
    """How a model does on a table: accuracy, loss, and which classes it confuses.

    Each row counts once, whatever weights the model was trained with.
    """
    check_apart({"--plot": plot}, {"MODEL": model, "DATA": data})
    plots = load_plots(plot, force=force)
    network = load_network(model, data, backend=where.backend, device=where.device)
    with open_table_file(data) as file:
        score = table_scoring.evaluate(network, file, **text._asdict(), max_memory=where.max_memory)
    lines = align_pairs(list_score(score, "table"))
    if score.accuracy is not None:
        known = None if network.table is None else network.table.columns.classes
        classes = known or ("0", "1")
        lines += "\n\n" + _confusion(score, classes)
        if plots is not None:
            plots.save(plots.confusion(score.confusion, classes, plots.open_axes()), plot)
    elif plots is not None:
        raise ValueError("--plot draws which classes are confused, and these targets are none")
    return Outcome(lines, notes=score.notes)


def _confusion(score: Score, classes: Iterable[str]) -> str:
    classes = tuple(map(show_text, classes))
    width = max(len(name) for name in (*classes, "true \\ said"))
    rows = [("true \\ said", *classes)]
    rows += [(name, *map(str, row)) for name, row in zip(classes, score.confusion, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in rows)


SAME_DATA = {
    True: "the same",
    False: "OTHER than those it was trained on",
    None: "unknown: the model does not know them",
}


@click.command(cls=TableCommand)
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("--date", is_flag=True, help="Keep the date and time in the file of --json, too.")
@JSON
@FORCE
@options(TEXT_LIKE_TRAINING, MEMORY, CLUSTER, WHERE)
@given_as(text=TextOptions, where=build_where, cluster=ClusterOptions)
@click.pass_obj
def verify(
    make_bar: Any, /, model: Path | str, data: Path | str, date: bool, file: Path | None,
    force: bool, text: TextOptions, where: Where, cluster: ClusterOptions,
) -> Outcome:  # fmt: skip
    """Train again from what the model holds: are the bits the same? Status 0: yes, 1: no.

    The data are compared first, and rows that were held out, and the score on them. Records of
    two machines, by --json, are compared by diff.
    """
    check_apart({"--json": file}, {"MODEL": model, "DATA": data})
    check_json(file, force=force)
    network = load_network(model, data)
    with (
        open_cluster_of(cluster, where) as on_cluster,
        open_table_file(data, on_cluster=on_cluster) as table,
        make_bar() as on_progress,
    ):
        found = verification.verify(
            network, table, **text._asdict(), backend=where.backend, device=where.device,
            max_memory=where.max_memory, on_cluster=on_cluster, on_progress=on_progress,
        )  # fmt: skip
    _write_verdict(file, network, found, date=date)
    pairs = [
        ("data", SAME_DATA[found.same_data]),
        ("in the file", network.fingerprint()),
    ]
    if found.network is not None:
        pairs.append(("trained here", found.network.fingerprint()))
    if found.same_score is not None:
        pairs.append(("held out", "the same score" if found.same_score else "ANOTHER score"))
    pairs += [("difference", difference) for difference in found.differences]
    pairs.append(("verdict", "the same bits" if found.is_same else "DIFFERENT"))
    return Outcome(align_pairs(pairs), 0 if found.is_same else 1)


def _write_verdict(
    file: Path | None, network: NeuralNetwork, found: Verification, *, date: bool
) -> None:
    """Write the record, if a file is given: sorted, a value a line, nothing that changes by run."""
    if file is None:
        return
    record = _describe_verdict(network, found)
    if date:
        record["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    write_durably(file, f"{text}\n".encode())


def _describe_verdict(network: NeuralNetwork, found: Verification) -> dict[str, Any]:
    """Return the record: versions, what trained here, what was found."""
    again = found.network
    where: dict[str, Any] = {}
    if again is not None:
        where = {
            "backend": again.backend.name,
            "version": again.backend.version,
            "device": name_device(again.backend.device),
            "engine": name_engine(again.backend, again.settings.arithmetic),
        }
    held_out = None if network.table is None else network.table.held_out
    return {
        "neuron_xp": neuron_xp.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "contract_version": CONTRACT_VERSION,
        "format_version": choose_format(network.to_model()),
        "trained_here": where,
        "fingerprints": {
            "model": network.fingerprint(),
            "trained_here": None if again is None else again.fingerprint(),
            "data": network.data_fingerprint,
            "held_out": None if held_out is None else held_out.fingerprint,
        },
        "held_out": None if held_out is None else {
            "rows": held_out.rows,
            "loss": held_out.loss,
            "accuracy": held_out.accuracy,
            "same_score": found.same_score,
        },
        "same_data": found.same_data,
        "same_bits": found.same_bits,
        "differences": list(found.differences),
        "verdict": "the same" if found.is_same else "different",
    }  # fmt: skip


def _tell_held_out(held_out: HeldOut) -> str:
    """Say in a line how a network did on the rows that were held out."""
    text = f"{held_out.rows} rows held out, loss {float.fromhex(held_out.loss):.6g}"
    return text if held_out.accuracy is None else f"{text}, accuracy {held_out.accuracy:.4f}"


@click.command()
@click.argument("model", type=MODEL)
def show(model: Path | str) -> Outcome:
    """What is in a model file."""
    network = load_network(model)
    lines = [("layers", "-".join(map(str, network.layer_sizes)))]
    lines += [
        (name, "-" if value is None else str(value))
        for name, value in asdict(network.settings).items()
    ]
    model_format = choose_format(network.to_model())
    lines += [("contract", str(CONTRACT_VERSION)), ("format", str(model_format))]
    if network.feature_names is not None:
        lines.append(("inputs", ", ".join(network.feature_names)))
    if network.table is not None:
        columns, held_out = network.table.columns, network.table.held_out
        lines += [("target", columns.target), ("classes", ", ".join(columns.classes or ()) or "-"),
                  ("inputs", ", ".join(columns.input_names)),
                  ("held out", f"{network.table.holdout:.0%}")]  # fmt: skip
        if network.table.rows is not None:
            lines.append(("rows", f"{network.table.rows}"))
        if held_out is not None:
            lines.append(("score", _tell_held_out(held_out)))
    lines += [("data", network.data_fingerprint or "unknown"), ("model", network.fingerprint())]
    return Outcome(align_pairs(lines))


COMMANDS = (predict, evaluate, verify, show)
