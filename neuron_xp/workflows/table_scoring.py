"""Networks on tables: predict and evaluate.

`delimiter`, `decimal` and `header` say how this table is written, where that is not as the one that
was trained on; see `train_on_table`.

`max_memory`, in bytes or as text ("500MB"), bounds what the data take: a table is then read in
chunks. None reads it whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np

from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.table_use import HeldOut, TableUse
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import read_chunks
from neuron_xp.tables.files import find_parts, limit_rows
from neuron_xp.training.data.training_set import Given, TrainingSet, Where, open_training_set
from neuron_xp.training.fit import compute_loss
from neuron_xp.workflows.table_data import TableRows, explain_to_model, open_table_data


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a network on a table.

    rows : how many were looked at
    accuracy : the share of rows whose class is right; None when targets are no classes
    loss : the mean loss that training would record
    confusion : (classes, classes), rows the true ones; empty when targets are no classes
    notes : what the user may want to know of the table, a sentence each
    """

    rows: int
    accuracy: float | None
    loss: float
    confusion: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Predictions:
    """The outputs of a network for rows of a table, in its order.

    outputs : (rows, neurons) probabilities
    classes : the class of each row; empty when targets are no classes
    columns : what the columns of the table mean
    notes : what the user may want to know of the table, a sentence each
    """

    outputs: np.ndarray
    classes: list[str]
    columns: Columns
    notes: tuple[str, ...]


def predict(
    network: NeuralNetwork,
    path: str | PathLike[str],
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    max_memory: int | str | None = None,
) -> Predictions:
    r"""Return probabilities and classes of each row of a table, in its order.

    Columns are matched by name; the target need not be there. Raises TableError (a ValueError)
    for a table that has not the network's columns, and OSError.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import neuron_xp
    >>> table = pathlib.Path(tempfile.mkdtemp(), "fruit.csv")
    >>> rows = "grams,kind", "150,apple", "160,apple", "8,cherry", "9,cherry"
    >>> _ = table.write_text("\n".join(rows))
    >>> network = neuron_xp.train_on_table(table, target="kind").network
    >>> neuron_xp.predict(network, table).classes
    ['apple', 'apple', 'cherry', 'cherry']
    """
    columns = table_use_of(network).columns
    chunks = list(
        predict_in_chunks(
            network, path,
            delimiter=delimiter, decimal=decimal, header=header, max_memory=max_memory,
        )
    )  # fmt: skip
    return Predictions(
        outputs=np.concatenate([chunk.outputs for chunk in chunks]),
        classes=[name for chunk in chunks for name in chunk.classes],
        columns=columns,
        notes=tuple(note for chunk in chunks for note in chunk.notes),
    )


def predict_in_chunks(
    network: NeuralNetwork,
    path: str | PathLike[str],
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    max_memory: int | str | None = None,
) -> Iterator[Predictions]:
    """Yield what `predict` returns, by as many rows as fit into `max_memory`."""
    use = table_use_of(network).read_with(delimiter=delimiter, decimal=decimal, header=header)
    reading = replace(use.reading, drop_missing=False)  # each row has its answer
    columns, rows = use.columns, None
    memory = Where(max_memory=max_memory).memory_bytes()
    if memory is not None:
        rows = limit_rows(memory, len(columns.input_names))
    notes: tuple[str, ...] = ()
    with explain_to_model():
        for table in read_chunks(find_parts(path), reading, columns, targets=False, rows=rows):
            notes += table.notes
            if len(table.inputs):
                outputs = _think(network, table.inputs)
                classes = [] if columns.classes is None else [
                    columns.classes[number] for number in _chosen_classes(outputs)
                ]  # fmt: skip
                yield Predictions(outputs, classes, columns, notes)
                notes = ()


def evaluate(
    network: NeuralNetwork,
    path: str | PathLike[str],
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    max_memory: int | str | None = None,
) -> Score:
    r"""Return how the network does on every row of a table that has its target.

    Raises TableError (a ValueError) for a table that has not the network's columns, and OSError.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import neuron_xp
    >>> table = pathlib.Path(tempfile.mkdtemp(), "fruit.csv")
    >>> rows = "grams,kind", "150,apple", "160,apple", "8,cherry", "9,cherry"
    >>> _ = table.write_text("\n".join(rows))
    >>> network = neuron_xp.train_on_table(table, target="kind").network
    >>> neuron_xp.evaluate(network, table).accuracy
    1.0
    """
    use = table_use_of(network).read_with(delimiter=delimiter, decimal=decimal, header=header)
    use = replace(use, holdout=0.0)
    memory = Where(max_memory=max_memory).memory_bytes()
    with (
        explain_to_model(),
        open_table_data(path, use, known=True, max_memory=memory) as data,
    ):
        found = score(network, data.training, use.columns, memory)
        return replace(found, notes=data.notes)


def score(
    network: NeuralNetwork, rows: TableRows, columns: Columns, max_memory: int | None = None
) -> Score:
    """Return accuracy, mean loss and confusion on some rows of a table."""
    neurons = network.weights[-1].shape[1]
    size = max(2, neurons)
    confusion, are_classes = np.zeros((size, size), dtype=int), True
    for inputs, targets in rows.blocks(max_memory):
        if targets.shape[1] != neurons:
            raise ValueError(
                f"the table has {targets.shape[1]} columns of targets, and the network has "
                f"{neurons} outputs; give the table's columns as it had them in training"
            )
        are_classes = columns.classes is not None or bool(np.isin(targets, (0, 1)).all())
        if not are_classes:
            break
        chosen = _chosen_classes(targets), _chosen_classes(_think(network, inputs))
        np.add.at(confusion, chosen, 1)
    data = open_rows(network, rows, max_memory)
    with data.backend.context():
        loss = compute_loss(network, data)
    if not are_classes:
        return Score(rows.count, None, loss, np.zeros((0, 0), dtype=int))
    return Score(rows.count, int(confusion.trace()) / rows.count, loss, confusion)


def describe_held_out(
    network: NeuralNetwork, rows: TableRows, columns: Columns, max_memory: int | None = None
) -> tuple[HeldOut, Score]:
    """Return what a model keeps of rows that were held out, and the score on them."""
    found = score(network, rows, columns, max_memory)
    kept = HeldOut(
        rows=rows.count,
        fingerprint=fingerprint_rows(network, rows, max_memory),
        loss=found.loss.hex(),
        accuracy=found.accuracy,
    )
    return kept, found


def fingerprint_rows(network: NeuralNetwork, rows: TableRows, max_memory: int | None = None) -> str:
    """Digest inputs and targets of some rows of a table."""
    data = open_rows(network, rows, max_memory)
    with data.backend.context():
        return data.fingerprint()


def add_unordered(
    training: TrainingSet,
    network: NeuralNetwork,
    held_out: TableRows | None,
    max_memory: int | None = None,
) -> str:
    """Digest all rows of a table, those held out, too, in any order."""
    with training.backend.context():
        total = int(training.fingerprint_unordered(), 16)
    if held_out is not None:
        data = open_rows(network, held_out, max_memory)
        with data.backend.context():
            total += int(data.fingerprint_unordered(), 16)
    return f"{total % 2**64:016x}"


def open_rows(network: NeuralNetwork, rows: TableRows, max_memory: int | None) -> TrainingSet:
    """Open rows as a training does; which of them make a batch is nothing to all of them."""
    settings = replace(network.settings, shuffle=None, batch_size=None)
    where = Where(backend=network.backend, max_memory=max_memory)
    return open_training_set(Given(rows.inputs, rows.targets), settings, where)


def _think(network: NeuralNetwork, inputs: np.ndarray) -> np.ndarray:
    with network.backend.context():
        outputs: np.ndarray = network.backend.to_host(network.think(inputs))
    return outputs


def _chosen_classes(outputs: np.ndarray) -> np.ndarray:
    """Return the number of each row's class: one output says 0 or 1, of more the largest wins."""
    if outputs.shape[1] == 1:
        return np.asarray(outputs[:, 0] > 0.5, dtype=int)
    return np.asarray(outputs.argmax(axis=1))


def table_use_of(network: NeuralNetwork) -> TableUse:
    """Return how the network came from a table; ValueError if it did not."""
    if network.table is None:
        raise ValueError("the model was not trained on a table: it does not know its columns")
    return network.table
