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
from typing import Any, NamedTuple, TypeVar

import click

from neuron_xp import tasks
from neuron_xp.backends import open_backend
from neuron_xp.durable_files import write_durably
from neuron_xp.network import NeuralNetwork
from neuron_xp.neuron.learning_rules import RULES
from neuron_xp.settings import AUTO
from neuron_xp.table_use import TableUse
from neuron_xp.tables import Columns, Reading, Table

F = TypeVar("F", bound=Callable[..., Any])


class Outcome(NamedTuple):
    """What a command has to say on stdout, and on stderr; its exit status; or bytes for stdout.

    With bytes, the text goes to stderr.
    """

    text: str
    status: int = 0
    notes: tuple[str, ...] = ()
    data: bytes = b""


class Rate(click.ParamType):  # type: ignore[type-arg]
    """A number, or the word auto."""

    name = "number|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for `train`."""
        return AUTO if value == AUTO else click.FLOAT.convert(value, param, ctx)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DATA = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)
OUT = click.Path(dir_okay=False, path_type=Path)

PLACE = [
    click.option("--backend", default="numpy", show_default=True, help="The array library."),
    click.option("--device", help="As the library spells it."),
]
READING = [
    click.option("--target", required=True, help="The column to learn: name, or number from 0."),
    click.option("--features", help="The columns to learn from: a,b,c.  [default: all others]"),
    click.option("--categories", multiple=True, help="A feature of words; may be repeated."),
    click.option("--delimiter", help="Between cells.  [default: comma; tab in .tsv]"),
    click.option("--decimal", default=".", show_default=True, help="Or a comma."),
    click.option("--drop-missing", is_flag=True, help="Leave rows with missing cells out."),
]
SETTINGS = [
    click.option("--hidden", type=int, multiple=True, help="A hidden layer; may be repeated."),
    click.option("--rule", type=click.Choice(list(RULES)), default="error_weighted_derivative",
                 show_default=True, help="What is descended."),
    click.option("--l2", type=float, default=0.0, show_default=True, help="Shrinks weights."),
    click.option("--learning-rate", type=Rate(), default=AUTO, show_default=True,
                 help="Of the adjustments."),
    click.option("--iterations", type=int, default=10_000, show_default=True, help="How many."),
    click.option("--seed", type=int, default=1, show_default=True, help="Of start and split."),
    click.option("--bias/--no-bias", default=True, show_default=True, help="For each neuron."),
    click.option("--standardize", is_flag=True, help="Scale columns to mean 0, deviation 1."),
    click.option("--batch-size", type=int, help="Rows an iteration.  [default: all]"),
    click.option("--shuffle", type=click.Choice(["rows", "leaves"]), help="Order of batches."),
    click.option("--tolerance", type=float, default=0.0, help="Stop when the loss settles."),
    click.option("--threads", type=int, help="Of NumPy's work.  [default: one a processor]"),
    click.option("--arithmetic", type=click.Choice(["reproducible", "native"]),
                 default="reproducible", show_default=True, help="Or the library's own."),
]  # fmt: skip
SAVING = [
    click.option("--checkpoint", type=OUT, help="Save here as it goes."),
    click.option("--checkpoint-every", type=int, help="Iterations.  [default: ten seconds]"),
    click.option("--resume", is_flag=True, help="Go on from the checkpoint."),
]


@contextmanager
def table_file(path: Path) -> Iterator[Path]:
    """The table's file; for '-' one with the CSV from stdin."""
    if str(path) != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


def options(*groups: list[Any]) -> Callable[[F], F]:
    """Several groups of options as one decorator."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


@click.command()
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, required=True, help="The model file; - is stdout.")
@click.option("--force", is_flag=True, help="Replace the model file if it is there.")
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the rows kept out of training, to see how it does.",
)
@options(READING, SETTINGS, SAVING, PLACE)
@click.pass_obj
def train(
    progress: Any, /, data: Path, output: Path, force: bool, holdout: float, **given: Any
) -> Outcome:  # fmt: skip
    """Learn a column of a table from the others: CSV, TSV, NPY, NPZ or Parquet."""
    to_stdout = str(output) == "-"
    if not to_stdout:
        tasks.refuse_to_overwrite(output, force=force)
    place = open_backend(given.pop("backend"), given.pop("device"))
    saving = {name: given.pop(name) for name in ("checkpoint", "checkpoint_every", "resume")}
    use = TableUse(_reading(given), Columns((), "", None, ()), holdout, given["seed"])
    started = time.perf_counter()
    with table_file(data) as file, progress(given["iterations"]) as on_progress:
        trained = tasks.train_on_table(
            file, use, given, backend=place, saving=saving, on_progress=on_progress
        )
    seconds = time.perf_counter() - started
    report, notes = _report(trained, seconds, output), trained.table.notes
    if to_stdout:
        return Outcome(report, notes=notes, data=trained.network.to_bytes())
    trained.network.save(output)
    return Outcome(report, notes=notes)


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
    network, columns = trained.network, trained.table.columns
    iterations, loss = network.history[-1]
    rows = f"{trained.rows}"
    if trained.table.dropped:
        rows += f", and {trained.table.dropped} with missing cells left out"
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
@options(PLACE)
def predict(
    model: Path, data: Path, output: Path | None, force: bool, backend: str, device: str | None
) -> Outcome:
    """Probabilities and classes for the rows of a table, in its order, as CSV."""
    output = None if str(output) == "-" else output
    if output is not None:
        tasks.refuse_to_overwrite(output, force=force)
    network = NeuralNetwork.load(model, backend=backend, device=device)
    with table_file(data) as file:
        outputs, classes, table = tasks.predict(network, file)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_header(table, bool(classes)))
    for i, row in enumerate(outputs.tolist()):
        writer.writerow([*map(repr, row), *classes[i : i + 1]])
    if output is None:
        return Outcome(text.getvalue().rstrip("\n"), notes=table.notes)
    write_durably(output, text.getvalue().encode())
    return Outcome(f"{len(outputs)} rows in {output}", notes=table.notes)


def _header(table: Table, has_classes: bool) -> list[str]:
    columns = table.columns
    if not has_classes or columns.classes is None:
        return [columns.target]
    shown = columns.classes[1:] if len(columns.classes) == 2 else columns.classes
    return [*(f"probability of {name}" for name in shown), columns.target]


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(PLACE)
def evaluate(model: Path, data: Path, backend: str, device: str | None) -> Outcome:
    """How a model does on a table: accuracy, loss, and which classes it confuses."""
    network = NeuralNetwork.load(model, backend=backend, device=device)
    with table_file(data) as file:
        score, table = tasks.evaluate(network, file)
    text = _aligned(_scores(score, "table"))
    classes = table.columns.classes or ("0", "1")
    if score.accuracy is not None:
        text += "\n\n" + _confusion(score, classes)
    return Outcome(text, notes=table.notes)


def _confusion(score: tasks.Score, classes: tuple[str, ...]) -> str:
    width = max(len(name) for name in (*classes, "true \\ said"))
    rows = [("true \\ said", *classes)]
    rows += [(name, *map(str, row)) for name, row in zip(classes, score.confusion, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in rows)


@click.command()
@click.argument("model", type=FILE)
@click.argument("data", type=DATA)
@options(PLACE)
def verify(model: Path, data: Path, backend: str, device: str | None) -> Outcome:
    """Train again from what the model holds: are the bits the same? Status 0: yes, 1: no."""
    known = NeuralNetwork.load(model)
    with table_file(data) as file:
        again, same_data = tasks.verify(known, file, open_backend(backend, device))
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
