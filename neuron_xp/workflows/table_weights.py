"""Weights of a table's rows: by a column of it, by their classes, or both."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neuron_xp import checks
from neuron_xp.errors import did_you_mean
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


def weigh_rows(data: TableData, use: TableUse) -> tuple[TableData, np.ndarray | None]:
    """Return the table without its column of weights, and the weights of the rows to train on."""
    weight = None
    if use.weights is not None:
        data, weight = _take_column(data, use.weights)
    if use.class_weights is None:
        return data, weight
    of_class = _weigh_classes(data, use.class_weights)
    return data, of_class if weight is None else np.asarray(of_class * weight)


def _take_column(data: TableData, name: str) -> tuple[TableData, np.ndarray]:
    names = data.columns.input_names
    if name not in names:
        if name == data.columns.target:
            raise TableError(f"{name!r} is the target and cannot be the weights, too")
        if name in data.columns.features:
            raise TableError(f"column {name!r} holds categories; weights are numbers")
        raise TableError(f"no column {name!r} for the weights{did_you_mean(name, names)}")
    at = names.index(name)

    def without(rows: TableRows) -> TableRows:
        return replace(rows, inputs=np.delete(rows.inputs, at, axis=1))

    features = tuple(feature for feature in data.columns.features if feature != name)
    if not features:
        raise TableError(f"no feature is left beside the weights {name!r}")
    columns: Columns = replace(data.columns, features=features)
    held_out = None if data.held_out is None else without(data.held_out)
    training = without(data.training)
    left = replace(data, columns=columns, training=training, held_out=held_out)
    return left, np.ascontiguousarray(data.training.inputs[:, at])


def _weigh_classes(
    data: TableData, class_weights: str | tuple[tuple[str, float], ...]
) -> np.ndarray:
    """Return the weight of each row's class; balanced: rows / (classes * rows of the class)."""
    classes = data.columns.classes
    if classes is None:
        raise ValueError("class_weights are for classes, and this target holds numbers")
    targets = data.training.targets
    labels = targets[:, 0].astype(int) if len(classes) == 2 else targets.argmax(axis=1)
    if class_weights == BALANCED:
        counts = np.bincount(labels, minlength=len(classes))
        weights = [len(labels) / (len(classes) * count) if count else 0.0 for count in counts]
    else:
        given = dict(class_weights)  # type: ignore[arg-type]
        for name in given:
            if name not in classes:
                raise ValueError(
                    f"no class {name!r} for class_weights{did_you_mean(name, classes)}"
                )
        weights = [given.get(name, 1.0) for name in classes]
    weighed: np.ndarray = np.asarray(weights)[labels]
    return weighed
