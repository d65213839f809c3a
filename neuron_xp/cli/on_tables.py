"""The commands on tables: train, and example, which writes tables to try it with."""

import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from neuron_xp.cli.files import (
    DATA,
    OUT,
    PLOT,
    TableCommand,
    check_apart,
    check_output,
    load_plots,
    open_table_file,
)
from neuron_xp.cli.options import (
    CLUSTER,
    MEMORY,
    READING,
    SAVING,
    SETTINGS,
    THREADS,
    WEIGHTS,
    WHERE,
    ClusterOptions,
    Share,
    build_reading,
    build_saving,
    build_settings,
    build_where,
    given_as,
    open_cluster_of,
    options,
)
from neuron_xp.cli.output import Outcome, align_pairs, list_score
from neuron_xp.errors import did_you_mean
from neuron_xp.files.durable import write_durably, write_elsewhere
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.position import Ending
from neuron_xp.model.settings import Settings
from neuron_xp.tables.cells import Reading
from neuron_xp.training.data.training_set import Where
from neuron_xp.training.fit import explain_lost_cluster
from neuron_xp.workflows import table_training
from neuron_xp.workflows.table_training import TableSettings, TrainedOnTable


@click.command(cls=TableCommand)
@click.argument("data", type=DATA)
@click.option("-o", "--output", type=OUT, required=True, help="The model file; - is stdout.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@PLOT
@click.option(
    "--holdout", type=Share(), default=0.0, show_default=True,
    help="Share of the rows kept out of training, to see how it does.",
)  # fmt: skip
@options(READING, WEIGHTS, SETTINGS, SAVING, MEMORY, CLUSTER, WHERE, THREADS)
@given_as(
    reading=build_reading,
    settings=build_settings,
    saving=build_saving,
    where=build_where,
    cluster=ClusterOptions,
)
@click.pass_obj
def train(
    make_bar: Any, /, data: Path | str, output: Path, force: bool, plot: Path | None,
    holdout: float, weights: str | None, class_weights: Any, reading: Reading,
    settings: TableSettings, saving: Saving | None, where: Where, cluster: ClusterOptions,
) -> Outcome:  # fmt: skip
    """Learn a column of a table from the others: CSV, TSV, NPY, NPZ or Parquet.

    DATA is a file, or a folder or a quoted pattern ('part-*.csv'), whose files are the parts
    of one table, in the order of their names. With --max-memory it may be larger than memory:
    a working copy is then made in TMPDIR. With --workers or --scheduler each file is read by
    a worker of a cluster, and may be an address that fsspec knows.
    """
    to_stdout = str(output) == "-"
    checkpoint = None if saving is None else saving.path
    check_apart({"--checkpoint": checkpoint, "--output": output, "--plot": plot}, {"DATA": data})
    if not to_stdout:
        check_output(output, force=force)
    elif sys.stdout is None:
        raise ValueError("stdout is closed, and '-' writes to it; give a file")
    plots = load_plots(plot, force=force)
    started = time.perf_counter()
    with (
        explain_lost_cluster(saving),  # and one that does not start
        open_cluster_of(cluster, where) as on_cluster,
        open_table_file(data, on_cluster=on_cluster) as file,
        make_bar() as on_progress,
    ):
        trained = table_training.fit_table(
            file, reading, settings, where,
            holdout=holdout, weights=weights, class_weights=class_weights, on_cluster=on_cluster,
            saving=saving, on_progress=on_progress,
        )  # fmt: skip
    report = _report(trained, time.perf_counter() - started, output)
    if not to_stdout:
        _save(trained.network.to_bytes(), output)  # before the picture, which is less to lose
    if plots is not None:
        plots.save(plots.loss(trained.network, plots.open_axes()), plot)
    content = trained.network.to_bytes() if to_stdout else b""
    return Outcome(report, notes=trained.notes, data=content)


def _save(content: bytes, output: Path) -> None:
    """Write the model; raise OSError that says where else it was written, if it could not be."""
    try:
        write_durably(output, content)
    except OSError as error:
        found = write_elsewhere(output, content)
        where = "nor is there another place for the model"
        if found is not None:
            where = f"the model is {str(found)!r} instead"
        raise OSError(f"{error}; {where}") from error


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
        lines += list_score(trained.held_out, "held out")
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


# --- example tables --------------------------------------------------------------------

TABLES = {
    "breast_cancer": "569 rows, 30 features, target diagnosis: benign, malignant",
    "wine": "178 rows, 13 features, target cultivar: class_0, class_1, class_2",
}


def find_tables() -> Any:
    """Return the folder of the tables: in the wheel, or in a clone of the repository."""
    installed = files("neuron_xp") / "example_data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "examples" / "data"


@click.command()
@click.argument("name", required=False)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def example(name: str | None, force: bool) -> Outcome:
    """Write an example table, NAME.csv, into this folder; without NAME: list them."""
    if name is None:
        return Outcome("\n".join(f"{name:13}  {what}" for name, what in TABLES.items()))
    if name not in TABLES:
        raise ValueError(f"unknown table {name!r}{did_you_mean(name, TABLES)}")
    path = Path(f"{name}.csv")
    check_output(path, force=force)
    write_durably(path, (find_tables() / path.name).read_bytes())
    return Outcome(f"{path}: {TABLES[name]}")


COMMANDS = (example, train)
