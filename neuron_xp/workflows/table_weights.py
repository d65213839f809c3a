"""Weights of a table's rows: by a column of it, by their classes, or both."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuron_xp import checks
from neuron_xp.errors import did_you_mean
from neuron_xp.files.npy import RowFile
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.columns import Columns
from neuron_xp.workflows.table_data import TableData, TableRows

BALANCED = "balanced"


def check_class_weights(value: Any) -> str | tuple[tuple[str, float], ...] | None:
    """Return class weights as a model keeps them: "balanced", or (class, weight) pairs."""
    if value is None or value == BALANCED:
        return value  # type: ignore[no-any-return]
    if not isinstance(value, Mapping):
        raise TypeError(
            f"class_weights must be 'balanced', or a number for each class, such as "
            f"{{'benign': 1, 'malignant': 2.5}}; got {value!r}"
        )
    pairs = sorted((str(name), weight) for name, weight in value.items())
    return tuple(
        (name, checks.check_number(f"the weight of class {name!r}", weight, zero=True))
        for name, weight in pairs
    )


def read_weights_too(reading: Reading, weights: str | None) -> Reading:
    """Return how to read a table with its column of weights, as if it were a feature."""
    if weights is None or reading.features is None:
        return reading
    return replace(reading, features=(*reading.features, weights))


def add_weights_column(use: TableUse) -> TableUse:
    """Return the use of a table that is known, with its column of weights as the last feature."""
    if use.weights is None:
        return use
    features = (*use.columns.features, use.weights)
    return replace(use, columns=replace(use.columns, features=features))


def weigh_rows(
    data: TableData, use: TableUse, max_memory: int | None = None
) -> tuple[TableData, Any]:
    """Return the table without its column of weights, and the weights of the rows to train on.

    They are an array (rows, 1) of the kind of the inputs, a file beside theirs, or None.
    """
    at = None
    if use.weights is not None:
        at, columns = _find_column(data.columns, use.weights)
        data = replace(data, columns=columns)
    of_class = None
    if use.class_weights is not None:
        of_class = _weigh_classes(data, use.class_weights, max_memory)
    if at is None and of_class is None:
        return data, None
    held_out = data.held_out
    if held_out is not None and at is not None:
        held_out, _ = _split_column(held_out, at, None, max_memory)
    training, weight = _split_column(data.training, at, of_class, max_memory)
    return replace(data, training=training, held_out=held_out), weight


def _find_column(columns: Columns, name: str) -> tuple[int, Columns]:
    """Return the number of the column of weights among the inputs, and the other columns."""
    names = columns.input_names
    if name == columns.target:
        raise TableError(f"{name!r} is the target and cannot be the weights, too")
    if name in columns.features and name not in names:
        raise TableError(f"column {name!r} holds categories; weights are numbers")
    if name not in names:
        raise TableError(f"no column {name!r} for the weights{did_you_mean(name, names)}")
    features = tuple(feature for feature in columns.features if feature != name)
    if not features:
        raise TableError(f"no feature is left beside the weights {name!r}")
    return names.index(name), replace(columns, features=features)


def _weigh_classes(
    data: TableData, class_weights: str | tuple[tuple[str, float], ...], max_memory: int | None
) -> np.ndarray:
    """Return the weight of each class; balanced: rows / (classes * rows of the class)."""
    classes = data.columns.classes
    if classes is None:
        raise ValueError("class_weights are for classes, and this target holds numbers")
    if class_weights == BALANCED:
        counts = np.zeros(len(classes), dtype=int)
        for _, targets in data.training.blocks(max_memory):
            counts += np.bincount(np.asarray(_find_labels(targets)), minlength=len(classes))
        rows = data.training.count
        return np.asarray([rows / (len(classes) * count) if count else 0.0 for count in counts])
    given = dict(class_weights)  # type: ignore[arg-type]
    for name in given:
        if name not in classes:
            hint = did_you_mean(name, classes)
            raise ValueError(f"no class {name!r} for class_weights{hint}")
    if not any(given.get(name, 1.0) for name in classes):
        raise ValueError("class_weights are 0 for every class; give a class one that is above 0")
    return np.asarray([given.get(name, 1.0) for name in classes])


def _find_labels(targets: Any) -> Any:
    """Return the number of each row's class: an array of the kind of the targets."""
    return targets[:, 0].astype(int) if targets.shape[1] == 1 else targets.argmax(axis=1)


def _split_column(
    rows: TableRows, at: int | None, of_class: np.ndarray | None, max_memory: int | None
) -> tuple[TableRows, Any]:
    """Return rows without the column `at`, and its numbers times the weights of their classes."""
    if not isinstance(rows.inputs, Path):
        inputs, weight = _split_arrays(rows.inputs, rows.targets, at, of_class)
        return replace(rows, inputs=inputs), weight
    inputs, weights = (rows.inputs.with_suffix(f".{name}.npy") for name in ("features", "weights"))
    with ExitStack() as stack:
        features = None
        kept = stack.enter_context(RowFile(weights, 1))
        for block, targets in rows.blocks(max_memory):
            left, weight = _split_arrays(block, targets, at, of_class)
            kept.append(weight)
            if at is not None:
                features = features or stack.enter_context(RowFile(inputs, left.shape[1]))
                features.append(left)
    return (rows if at is None else replace(rows, inputs=inputs)), weights


def _refuse_negative(weights: Any) -> Any:
    """Return weights, NumPy's or Dask's, if none is negative."""
    if hasattr(weights, "map_blocks"):
        return weights.map_blocks(_refuse_negative, dtype="float64")
    if (weights < 0).any():
        raise TableError(
            f"the column of weights holds {float(weights.min())}; weights are 0 or more"
        )
    return weights


def _split_arrays(
    inputs: Any, targets: Any, at: int | None, of_class: np.ndarray | None
) -> tuple[Any, Any]:
    """Do the same of arrays, NumPy's or Dask's."""
    weight = None
    if at is not None:
        weight = _refuse_negative(inputs[:, at])
        inputs = inputs[:, [number for number in range(inputs.shape[1]) if number != at]]
    if of_class is not None:
        labels = _find_labels(targets)
        is_lazy = hasattr(labels, "map_blocks")
        found = labels.map_blocks(of_class.take, dtype="float64") if is_lazy else of_class[labels]
        weight = found if weight is None else found * weight
    assert weight is not None, "one of the two is asked for"
    return inputs, weight[:, None]
