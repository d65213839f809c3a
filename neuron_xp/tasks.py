"""What the commands do with tables and model files: plain functions that print nothing."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neuron_xp.arrays import examples
from neuron_xp.backend import Backend, HostArray
from neuron_xp.backends import host, open_backend
from neuron_xp.fit import loss_of
from neuron_xp.loop import Progress
from neuron_xp.network import NeuralNetwork
from neuron_xp.table_use import TableUse, split
from neuron_xp.tables import Table, read_table, read_training_table
from neuron_xp.training import train
from neuron_xp.training_sets import InMemory, fingerprint_of
from neuron_xp.workers import available_threads


@dataclass(frozen=True)
class Score:
    """How a network does on a table.

    confusion : (classes, classes), rows the true ones; empty when targets are no classes
    """

    rows: int
    accuracy: float | None
    loss: float
    confusion: HostArray


@dataclass(frozen=True, eq=False)
class Trained:
    """What training on a table gave."""

    network: NeuralNetwork
    table: Table
    rows: int
    held_out: Score | None


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Before any work: is there something already, or no folder to write in?"""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write in")
    if not os.access(path.absolute().parent, os.W_OK):
        raise PermissionError(f"the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")


def train_on_table(
    path: Path,
    use: TableUse,
    settings: dict[str, Any],
    *,
    backend: Backend,
    saving: dict[str, Any] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Trained:
    """Train on a table, but for the share that is held out, and see how it does on that."""
    table = read_training_table(path, use.reading)
    use = replace(use, columns=table.columns)
    if settings.get("standardize"):
        table = replace(table, notes=table.notes + _constant_columns(table, path.name))
    rows, held_out = split(table, use)
    if len(rows) == 0:
        raise ValueError(f"holdout={use.holdout} leaves no row of {len(table.inputs)} to train on")
    network = _train(table, rows, settings, backend, saving or {}, on_progress)
    network = replace(network, table=use)
    found = score(network, table, held_out) if len(held_out) else None
    return Trained(network, table, len(rows), found)


def _constant_columns(table: Table, source: str) -> tuple[str, ...]:
    low, high = table.inputs.min(axis=0), table.inputs.max(axis=0)
    names = host.asarray(table.columns.input_names)[low == high].tolist()
    return tuple(f"{source}: column {name!r} is the same in each row, and tells nothing"
                 for name in names)  # fmt: skip


def _train(
    table: Table,
    rows: HostArray,
    settings: dict[str, Any],
    backend: Backend,
    saving: dict[str, Any],
    on_progress: Callable[[Progress], object] | None,
) -> NeuralNetwork:
    assert table.targets is not None, "a training table has them"
    inputs, targets = table.inputs[rows], table.targets[rows]
    network = train(inputs, targets, backend=backend, on_progress=on_progress, **settings, **saving)
    return replace(network, data_fingerprint=_data_fingerprint(inputs, targets))


def _data_fingerprint(inputs: HostArray, targets: HostArray) -> str:
    place = open_backend("numpy")
    with place.context():
        checked = examples(inputs, targets, None, place, dtype="float64")
        return fingerprint_of(checked, place)


def predict(network: NeuralNetwork, path: Path) -> tuple[HostArray, list[str], Table]:
    """(probabilities (rows, neurons), class of each row if there are classes, table)."""
    use = _use(network)
    reading = replace(use.reading, drop_missing=False)  # each row has its answer
    table = read_table(path, reading, use.columns, targets=False)
    outputs = _outputs(network, table.inputs)
    classes = use.columns.classes
    return outputs, [classes[i] for i in _chosen(outputs)] if classes else [], table


def evaluate(network: NeuralNetwork, path: Path) -> tuple[Score, Table]:
    """How the network does on every row of a table."""
    use = _use(network)
    table = read_table(path, use.reading, use.columns, targets=True)
    return score(network, table, host.arange(len(table.inputs))), table


def verify(network: NeuralNetwork, path: Path, backend: Backend) -> tuple[NeuralNetwork, bool]:
    """Train again from what the model holds: the network, and whether the data are the same."""
    use = _use(network)
    table = read_table(path, use.reading, use.columns, targets=True)
    rows, _ = split(table, use)
    again = _train(table, rows, asdict(network.settings), backend, {}, None)
    return again, again.data_fingerprint == network.data_fingerprint


def score(network: NeuralNetwork, table: Table, rows: HostArray) -> Score:
    """Accuracy, mean squared or logarithmic loss, and confusion on some rows of a table."""
    targets = table.targets
    assert targets is not None, "they were asked for"
    outputs, answers = _outputs(network, table.inputs[rows]), targets[rows]
    loss = _loss(network, table.inputs[rows], answers)
    classes = table.columns.classes
    if classes is None and not host.isin(answers, (0, 1)).all():
        return Score(len(rows), None, loss, host.zeros((0, 0), dtype=int))
    truth, chosen = _chosen(answers), _chosen(outputs)
    confusion = host.zeros((max(2, outputs.shape[1]),) * 2, dtype=int)
    host.add.at(confusion, (truth, chosen), 1)
    return Score(len(rows), float((truth == chosen).mean()), loss, confusion)


def _loss(network: NeuralNetwork, inputs: HostArray, targets: HostArray) -> float:
    """The mean loss that training would record, for these weights and rows."""
    place = network.backend
    with place.context():
        checked = examples(inputs, targets, None, place, dtype="float64")
        threads = available_threads()
        return loss_of(network, InMemory(checked, network.settings, place, "float64", threads))


def _outputs(network: NeuralNetwork, inputs: HostArray) -> HostArray:
    with network.backend.context():
        return network.backend.to_host(network.think(inputs))


def _chosen(outputs: HostArray) -> HostArray:
    """The number of each row's class: one output says 0 or 1, of more the largest wins."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0.5).astype(int)
    return outputs.argmax(axis=1)


def _use(network: NeuralNetwork) -> TableUse:
    if network.table is None:
        raise ValueError("the model was not trained on a table: it does not know its columns")
    return network.table
