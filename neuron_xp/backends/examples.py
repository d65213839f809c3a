"""Inputs, targets and sample weights as one `Examples`, each with one row an example."""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.convert import (
    Requirement,
    as_plain_array,
    convert_and_look,
    count_dimensions,
)
from neuron_xp.backends.libraries import find_backend, is_array
from neuron_xp.backends.probe.look import Look
from neuron_xp.neuron.extremes import Extremes
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array


def _advise_on_classes(value: float) -> str:
    """Say how classes are given, where a target looks like the number of one."""
    if not value.is_integer() or not 2 <= value < 1000:
        return ""
    return (
        "; if they are numbers of classes, give a column of 0 and 1 for each class, "
        "numpy.eye(COUNT)[targets], with rule='softmax_cross_entropy', or use "
        "neuron_xp.NeuronClassifier"
    )


IN_0_1 = Requirement(0.0, 1.0, "must lie in [0, 1]", _advise_on_classes)
NOT_NEGATIVE = Requirement(0.0, math.inf, "must not be negative")
TOO_HEAVY = "the sample weights sum to more than float64 holds; scale them"
NO_WEIGHT = "sample_weight is 0 for every example; give one that is above 0"


class Seen(NamedTuple):
    """Examples, and the extremes of their inputs and of their sample weights, if there are any."""

    examples: Examples
    inputs: Extremes
    sample_weight: Extremes | None


def convert_rows(
    inputs: Any,
    targets: Any,
    sample_weight: Any,
    backend: Backend,
    *,
    dtype: str,
    first_row: int = 0,
    look: Look | None = None,
) -> Seen:
    """Return examples, as arrays of `dtype` on the backend.

    Targets of one dimension are a column; so are the weights.
    first_row, look : see `convert.convert_and_look`
    """
    convert = partial(
        convert_and_look, backend=backend, dtype=dtype, first_row=first_row, look=look
    )
    x, of_x = convert("inputs", inputs, dimensions=2)

    def convert_column(name: str, value: Any, requirement: Requirement) -> tuple[Array, Extremes]:
        dimensions = 1 if count_dimensions(value) == 1 else 2
        array, found = convert(name, value, dimensions=dimensions, requirement=requirement)
        check_row_count(name, array.shape[0], x.shape[0])
        return backend.xp.reshape(array, (x.shape[0], -1)), found

    y, _ = convert_column("targets", targets, IN_0_1)
    if sample_weight is None:
        return Seen(Examples(x, y), of_x, None)
    weight, of_weight = convert_column("sample_weight", sample_weight, NOT_NEGATIVE)
    if weight.shape[1] != 1:
        raise ValueError(f"sample_weight must have one column; got {tuple(weight.shape)}")
    return Seen(Examples(x, y, weight), of_x, of_weight)


def check_row_count(name: str, found: int, rows: int) -> None:
    """Raise ValueError unless as many rows were found as the inputs have."""
    if found != rows:
        raise ValueError(f"inputs hold {rows} examples but {name} hold {found}; give one for each")


def take_rows(examples: Examples, rows: Any, backend: Backend) -> Examples:
    """Return the examples of those numbers, a NumPy array, in that order."""
    chosen = backend.from_host(rows)
    return examples.select(lambda x: backend.xp.take(x, chosen, axis=0))


def cut_ranges(ranges: np.ndarray, start: int, end: int) -> np.ndarray:
    """Return those ranges of rows that lie between start and end, counted from there."""
    cut: np.ndarray = np.clip(ranges, start, end) - start
    return cut[cut[:, 0] < cut[:, 1]]


def take_ranges(examples: Examples, ranges: np.ndarray, backend: Backend) -> Examples:
    """Return the examples of those ranges of rows, (first, end), in that order."""
    if len(ranges) == 1:
        start, stop = ranges[0].tolist()
        return examples.select(lambda x: x[start:stop, :])
    return take_rows(examples, np.concatenate([np.arange(*r) for r in ranges.tolist()]), backend)


def copy_to_host(examples: Examples, backend: Backend) -> Examples:
    """Return the examples as NumPy arrays of float64, to be read only, without their scaling."""
    plain = examples._replace(scaling=None)
    return plain.select(lambda x: backend.to_host(x).astype("float64", copy=False))


def find_common_backend(values: dict[str, Any]) -> Backend | None:
    """Return the one backend of the arrays among the values; None for lists, which go anywhere."""
    arrays = {
        name: find_backend(as_plain_array(name, value))
        for name, value in values.items()
        if is_array(value)
    }
    if not arrays:
        return None
    (one, first), *others = arrays.items()
    for other, second in others:
        if second is not first and str(second) != str(first):
            raise ValueError(
                f"{one} are in {first} but {other} are in {second}; give both in one place"
            )
    return first


def pad_rows(x: Array, backend: Backend, *, most: int) -> Array:
    """Add rows of 0 for a compiler, up to a power of two or to `most`: so it sees few shapes."""
    missing = min(2 ** (x.shape[0] - 1).bit_length(), most) - x.shape[0]
    if not (backend.compiled and missing):
        return x
    return backend.xp.concat([x, backend.from_host(np.zeros((missing, x.shape[1]), x.dtype))])
