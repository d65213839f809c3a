"""Data of an estimator: what scikit-learn accepts, as arrays of one library."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from neuron_xp.backends.libraries import find_backend, is_array, open_host_backend
from neuron_xp.frames import is_frame, read_frame
from neuron_xp.neuron.types import Array

BALANCED = "balanced"


@dataclass(frozen=True, eq=False)
class Classified:
    """Examples of classes.

    inputs : array (examples, features), of the library and device of X
    labels : (examples,) the number of each example's class
    classes : the classes in order, an array of the library and device of y; NumPy's for text
    weight : (examples,) above 0, or None
    """

    inputs: Array
    labels: np.ndarray
    classes: Array
    weight: np.ndarray | None

    @property
    def count_of_classes(self) -> int:
        """The number of classes."""
        return int(self.classes.shape[0])

    def take(self, rows: np.ndarray) -> "Classified":
        """Return the examples of those numbers."""
        backend = find_backend(self.inputs)
        with backend.context():
            inputs = backend.xp.take(self.inputs, backend.from_host(rows), axis=0)
        weight = None if self.weight is None else self.weight[rows]
        return Classified(inputs, self.labels[rows], self.classes, weight)

    def make_targets(self, columns: int) -> Array:
        """Return the targets: 0 and 1 for the second class of two, or a column for each class."""
        targets = (self.labels == 1)[:, None] if columns == 1 else np.eye(columns)[self.labels]
        return bring(np.asarray(targets, dtype="float64"), self.inputs)


def bring(array: np.ndarray, home: Array) -> Array:
    """Return a NumPy array as one of the library and device of `home`."""
    backend = find_backend(home)
    with backend.context():
        return backend.from_host(array)


def to_host(array: Array) -> np.ndarray:
    """Return an array of any library as one of NumPy."""
    backend = find_backend(array)
    with backend.context():
        return backend.to_host(array)


def check_same_library(X: Any, home: Array, where: str) -> None:
    """Raise ValueError for an X of another library or device than fit's: scikit-learn's rule.

    It holds where scikit-learn dispatches on the library of X; else all are NumPy's.
    home : an array of the library and device of the X that was fitted
    where : the method that is called, such as "NeuronClassifier.predict()"
    """
    if not get_config()["array_api_dispatch"]:
        return
    here = find_backend(X) if is_array(X) else open_host_backend()
    fitted = find_backend(home)
    if str(here) != str(fitted):
        raise ValueError(
            f"Inputs passed to {where} must use the same namespace and the same device as those "
            f"passed to fit(); got {here} and {fitted}; move X, or the estimator by "
            "sklearn.utils._array_api.move_estimator_to"
        )


def read_inputs(estimator: Any, X: Any, **options: Any) -> Array:
    """Return X as scikit-learn validates it; numbers of data frames exactly, or refused.

    options : those of `sklearn.utils.validation.validate_data`
    """
    if is_frame(X):
        validate_data(estimator, X, skip_check_array=True, **options)  # its names
        X = read_frame("X", X).values
        if len(X):
            return np.asarray(X)
    return validate_data(estimator, X, **options)


def read_classified(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
) -> Classified:
    """Return what `fit` is given to learn from, without the examples of weight 0."""
    if y is None:
        validate_data(estimator, X, y)  # which raises
    inputs = read_inputs(estimator, X)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    check_consistent_length(inputs, y)
    classes, labels = np.unique(to_host(y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must hold at least two classes; got only one class, {classes.tolist()[0]!r}"
        )
    weight = _find_weight(labels, classes, sample_weight, class_weight)
    found = Classified(inputs, labels, bring(classes, y), weight)
    if weight is None or (weight > 0).all():
        return found
    return found.take(np.flatnonzero(weight > 0))


def _find_weight(
    labels: np.ndarray, classes: np.ndarray, sample_weight: Any, class_weight: Any
) -> np.ndarray | None:
    """Return each example's weight times that of its class, or None where neither is given."""
    weight: np.ndarray | None = None
    if sample_weight is not None:
        if is_frame(sample_weight):
            sample_weight = read_frame("sample_weight", sample_weight).values
        elif is_array(sample_weight):
            sample_weight = to_host(sample_weight)
        weight = _check_sample_weight(
            sample_weight, labels[:, None], dtype=np.float64, ensure_non_negative=True
        )
        if not (np.asarray(weight) > 0).any():
            raise ValueError("sample_weight is 0 for every example; give one that is above 0")
    if class_weight is None:
        return weight
    of_example = _weigh_classes(class_weight, classes, labels, weight)[labels]
    return of_example if weight is None else np.asarray(of_example * weight)


def _weigh_classes(
    class_weight: Any, classes: np.ndarray, labels: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Return the weight of each class; balanced: the weights' sum / (classes * its class's sum).

    The sums are exact, which scikit-learn's own are not.
    """
    if isinstance(class_weight, Mapping):
        return np.asarray(compute_class_weight(class_weight, classes=classes, y=classes))
    if class_weight != BALANCED:
        raise ValueError(
            f"class_weight must be a dict such as {{0: 1.0, 1: 2.5}}, 'balanced' or None; "
            f"got {class_weight!r}"
        )
    weight = np.ones(len(labels)) if weight is None else weight
    sums = [math.fsum(weight[labels == number]) for number in range(len(classes))]
    return np.asarray([math.fsum(sums) / (len(classes) * s) if s else 0.0 for s in sums])
