"""What the commands do with tables and model files: plain functions that print nothing.

`max_memory`, in bytes, bounds what the data take: a table is then read in chunks, and trained on
from a working copy on the disk. It changes no bit. None reads the table whole. With `on_cluster`
the workers of the active Dask client read the table and train.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.convert import examples
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings, checked
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import Table, read_chunks
from neuron_xp.tables.files import find_parts, limit_rows
from neuron_xp.threads import available_threads
from neuron_xp.training.fit import loss_of
from neuron_xp.training.in_memory import InMemory, TrainingSet, fingerprint_of
from neuron_xp.training.in_parts import SHUFFLE_ROWS
from neuron_xp.training.loop import Progress
from neuron_xp.training.npy_stream import streamed
from neuron_xp.training.train import train
from neuron_xp.workflows.table_data import Part, opened


@dataclass(frozen=True)
class Score:
    """How a network does on a table.

    confusion : (classes, classes), rows the true ones; empty when targets are no classes
    """

    rows: int
    accuracy: float | None
    loss: float
    confusion: np.ndarray


@dataclass(frozen=True, eq=False)
class Trained:
    """What training on a table gave.

    rows : how many it was trained on
    dropped : how many were left out for a missing cell
    notes : what the user may want to know
    """

    network: NeuralNetwork
    columns: Columns
    rows: int
    dropped: int
    notes: tuple[str, ...]
    held_out: Score | None


class Predictions(NamedTuple):
    """Of some rows of a table.

    outputs : (rows, neurons) probabilities
    classes : that of each row, or none where targets are no classes
    """

    outputs: np.ndarray
    classes: list[str]
    table: Table


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Before any work: is there something already, or no folder to write in?"""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write in")
    if not os.access(path.absolute().parent, os.W_OK):
        raise PermissionError(f"the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")


def train_on_table(
    path: Path | str,
    use: TableUse,
    settings: dict[str, Any],
    *,
    backend: Backend | str,
    device: str | None = None,
    saving: dict[str, Any] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    max_memory: int | None = None,
    on_cluster: bool = False,
) -> Trained:
    """Train on a table, but for the share that is held out, and see how it does on that."""
    _check(settings, saving or {}, in_memory=max_memory is None and not on_cluster)
    if not on_cluster:  # there a worker may have one that is not here
        backend, device = open_backend(backend, device), None
    with opened(path, use, known=False, max_memory=max_memory, on_cluster=on_cluster) as data:
        notes = data.notes
        if settings.get("standardize"):
            source = PurePath(path).name
            notes += tuple(
                f"{source}: column {name!r} is the same in each row, and tells nothing"
                for name in data.constant
            )
        given = {**settings, **(saving or {}), "on_progress": on_progress}
        network = _train(data.training, given, backend, device, max_memory)
        network = replace(network, table=replace(use, columns=data.columns))
        found = None
        if data.held_out is not None:
            found = score(network, data.held_out, data.columns, max_memory)
        return Trained(network, data.columns, data.training.rows, data.dropped, notes, found)


def _check(settings: dict[str, Any], saving: dict[str, Any], *, in_memory: bool) -> None:
    """Before the table is read, which may take long, as `train` will check it again."""
    known = checked(**{name: settings.get(name, default)
                       for name, default in asdict(Settings()).items()})  # fmt: skip
    if known.shuffle == "rows" and not in_memory:
        raise ValueError(SHUFFLE_ROWS)
    if saving:
        Saving.checked(
            saving.get("checkpoint"), saving.get("checkpoint_every"), saving.get("resume", False)
        )


def _train(
    part: Part, given: dict[str, Any], backend: Backend | str, device: Any, max_memory: int | None
) -> NeuralNetwork:
    network = train(
        part.inputs, part.targets, backend=backend, device=device, max_memory=max_memory, **given
    )
    if network.data_fingerprint is not None:
        return network
    return replace(network, data_fingerprint=_data_fingerprint(part.inputs, part.targets))


def _data_fingerprint(inputs: Any, targets: Any) -> str:
    place = open_backend("numpy")
    with place.context():
        return fingerprint_of(examples(inputs, targets, None, place, dtype="float64"), place)


def predict(
    network: NeuralNetwork, path: Path | str, *, max_memory: int | None = None
) -> Iterator[Predictions]:
    """Probabilities and classes of each row of a table, chunk by chunk."""
    use = _use(network)
    reading = replace(use.reading, drop_missing=False)  # each row has its answer
    rows = None if max_memory is None else limit_rows(max_memory, len(use.columns.input_names))
    notes = tuple[str, ...]()
    for part in read_chunks(find_parts(path), reading, use.columns, targets=False, rows=rows):
        notes += part.notes
        if len(part.inputs):
            table, notes = replace(part, notes=notes), ()
            outputs, classes = _outputs(network, table.inputs), use.columns.classes
            named = [classes[i] for i in _chosen(outputs)] if classes else []
            yield Predictions(outputs, named, table)


def evaluate(
    network: NeuralNetwork, path: Path | str, *, max_memory: int | None = None
) -> tuple[Score, tuple[str, ...]]:
    """How the network does on every row of a table, and notes on that."""
    use = replace(_use(network), holdout=0.0)
    with opened(path, use, known=True, max_memory=max_memory) as data:
        return score(network, data.training, use.columns, max_memory), data.notes


def verify(
    network: NeuralNetwork,
    path: Path | str,
    backend: Backend | str,
    device: str | None = None,
    *,
    max_memory: int | None = None,
    on_cluster: bool = False,
) -> tuple[NeuralNetwork, bool]:
    """Train again from what the model holds: the network, and whether the data are the same."""
    use, settings = _use(network), asdict(network.settings)
    _check(settings, {}, in_memory=max_memory is None and not on_cluster)
    if not on_cluster:
        backend, device = open_backend(backend, device), None
    with opened(path, use, known=True, max_memory=max_memory, on_cluster=on_cluster) as data:
        again = _train(data.training, settings, backend, device, max_memory)
    return again, again.data_fingerprint == network.data_fingerprint


def score(
    network: NeuralNetwork, part: Part, columns: Columns, max_memory: int | None = None
) -> Score:
    """Accuracy, mean squared or logarithmic loss, and confusion on some rows."""
    size = max(2, network.weights[-1].shape[1])
    confusion, are_classes = np.zeros((size, size), dtype=int), True
    for inputs, answers in part.blocks(max_memory):
        are_classes = columns.classes is not None or bool(np.isin(answers, (0, 1)).all())
        if not are_classes:
            break
        np.add.at(confusion, (_chosen(answers), _chosen(_outputs(network, inputs))), 1)
    loss = _loss(network, part, max_memory)
    if not are_classes:
        return Score(part.rows, None, loss, np.zeros((0, 0), dtype=int))
    return Score(part.rows, int(confusion.trace()) / part.rows, loss, confusion)


def _loss(network: NeuralNetwork, part: Part, max_memory: int | None) -> float:
    """The mean loss that training would record, for these weights and rows."""
    place, threads = network.backend, available_threads()
    # which rows make a batch is nothing to a loss over all of them
    settings = replace(network.settings, shuffle=None, batch_size=None)
    data: TrainingSet
    with place.context():
        if isinstance(part.inputs, Path) and isinstance(part.targets, Path) and max_memory:
            data = streamed(part.inputs, part.targets, None, settings, place=place,
                            threads=threads, max_memory=max_memory)  # fmt: skip
        else:
            rows = examples(part.inputs, part.targets, None, place, dtype="float64")
            data = InMemory(rows, settings, place, "float64", threads)
        return loss_of(network, data)


def _outputs(network: NeuralNetwork, inputs: np.ndarray) -> np.ndarray:
    with network.backend.context():
        outputs: np.ndarray = network.backend.to_host(network.think(inputs))
    return outputs


def _chosen(outputs: np.ndarray) -> np.ndarray:
    """The number of each row's class: one output says 0 or 1, of more the largest wins."""
    if outputs.shape[1] == 1:
        return np.asarray(outputs[:, 0] > 0.5, dtype=int)
    return np.asarray(outputs.argmax(axis=1))


def _use(network: NeuralNetwork) -> TableUse:
    if network.table is None:
        raise ValueError("the model was not trained on a table: it does not know its columns")
    return network.table
