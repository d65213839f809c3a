"""Training on Dask's arrays and dataframes, by a cluster or in this process.

The parts are loaded by tasks and stay where they were loaded; an iteration is one small task
for each, which takes the weights and gives exact sums. What a lost worker had is loaded again
by Dask, with the same bits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import dask
import numpy as np
from dask import array as da

from neuron_xp.backends import convert as arrays
from neuron_xp.backends.backend import Backend, is_lazy
from neuron_xp.backends.libraries import backend_of, host_backend, open_backend
from neuron_xp.cluster.scheduler import Scheduler, scheduler
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.training.batches import taken
from neuron_xp.training.in_parts import InParts, in_parts

PARTS_A_THREAD = 2
MOST_PARTS_A_THREAD = 16
LARGEST_PART = 2**30
"""Bytes of inputs: a worker may need it twice while it is cut out of other chunks."""


class Part(NamedTuple):
    """Some of the examples, checked; `first` is the number of their first row."""

    first: int
    examples: Examples

    def __reduce__(self) -> tuple[Any, ...]:
        """From worker to worker by way of the host: some libraries' own pickles round float64."""
        backend = backend_of(self.examples.inputs)
        if backend is host_backend():
            return Part, tuple(self)
        with backend.context():
            return _moved, (self.first, self.examples.select(backend.to_host), backend)


def _moved(first: int, examples: Examples, backend: Backend) -> Part:
    with backend.context():
        return Part(first, examples.select(backend.from_host))


def load(
    inputs: Any,
    targets: Any,
    sample_weight: Any,
    *,
    first: int,
    where: tuple[str, Any] | None,
    dtype: str,
) -> Part:
    """A task: chunks of the arrays, checked, where and as they are computed."""
    place = backend_of(arrays.plain("inputs", inputs)) if where is None else open_backend(*where)
    with place.context():
        examples = arrays.examples_part(
            inputs, targets, sample_weight, place, dtype=dtype, first=first
        )
    if place is host_backend():  # what is computed many times lies in order
        examples = examples.select(np.ascontiguousarray)
    return Part(first, examples)


def value(part: Part, ranges: np.ndarray | None, *, function: Callable[..., Any]) -> Any:
    """A task: the function of a part, or of some whole leaves of it."""
    first, examples = part
    if ranges is None:
        return function(first, examples)
    if len(ranges) == 1:
        (start, stop), *_ = ranges.tolist()
        return function(first + start, examples.select(lambda x: x[start:stop, :]))
    rows = np.concatenate([np.arange(*ends) for ends in ranges.tolist()])
    backend = backend_of(examples.inputs)
    with backend.context():
        some = taken(examples, rows, backend)
    return function(first + int(rows[0]), some)


@dataclass(frozen=True, eq=False)
class Parts:
    """What the tasks keep; see `Source`.

    ends : of each part, the number of the row after its last
    """

    scheduler: Scheduler
    kept: list[Any]
    ends: tuple[int, ...]

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """See `Source`."""
        tasks, start = [], 0
        for part, end in zip(self.kept, self.ends, strict=True):
            local = None if ranges is None else _within(ranges, start, end)
            if local is None or len(local):
                tasks.append((part, local))
            start = end
        return self.scheduler.fold(partial(value, function=function), tasks, merge)


def _within(ranges: np.ndarray, start: int, end: int) -> np.ndarray:
    """Those ranges of rows that lie between start and end, counted from there."""
    cut: np.ndarray = np.clip(ranges, start, end) - start
    return cut[cut[:, 0] < cut[:, 1]]


def distributed(
    given: dict[str, Any], settings: Settings, *, where: tuple[str, Any] | None
) -> InParts:
    """The training set of Dask arrays or dataframes, or of arrays to be spread.

    given : inputs, targets and sample_weight or None
    where : name and device of the backend that computes; None for that of the chunks

    Raises ValueError or TypeError for what cannot be learned from, and `ClusterLostError`.
    """
    tasks = scheduler()
    x = _array("inputs", given["inputs"], tasks)
    rows = _rows(x, tasks.threads)
    tables = [x]
    for name in ("targets", "sample_weight"):
        if given[name] is not None:
            tables.append(_column(name, given[name], x.shape[0], tasks))
    _check_batches(settings, x.shape[0])
    single = settings.arithmetic == "native" and x.dtype == "float32"
    dtype = "float32" if single else "float64"
    chunks = [_delayed(table, rows) for table in tables]
    ends = tuple(int(end) for end in np.cumsum(rows))
    loaded = [
        dask.delayed(partial(load, first=end - size, where=where, dtype=dtype), pure=False)(
            *(*row, None)[:3]
        )
        for end, size, *row in zip(ends, rows, *chunks, strict=True)
    ]
    source = Parts(tasks, tasks.keep(loaded), ends)
    shapes = tuple((int(table.shape[0]), int(table.shape[1])) for table in tables)
    return in_parts(source, settings, shapes, home=host_backend(), dtype=dtype)


def _array(name: str, value: Any, tasks: Scheduler) -> Any:
    """As a Dask array whose chunks have known sizes."""
    if hasattr(type(value), "to_dask_array"):
        value = value.to_dask_array()
    if not is_lazy(value):
        plain = arrays.plain(name, value)
        place = backend_of(plain)
        with place.context():
            value = da.from_array(place.to_host(plain), name=False)
    if not isinstance(value, da.Array):
        raise TypeError(f"{name} must be a Dask array or dataframe; got {type(value).__name__}")
    if value.ndim not in (1, 2) or (name == "inputs" and value.ndim != 2):
        raise ValueError(f"{name} must have the shape {arrays.MEANING[name, 2]}; got {value.shape}")
    return _measured(value, tasks) if any(map(math.isnan, value.chunks[0])) else value


def _measured(array: Any, tasks: Scheduler) -> Any:
    """The same array, the sizes of its chunks known."""
    first_column = array.to_delayed(optimize_graph=False).reshape(array.numblocks[0], -1)[:, 0]
    sizes = tasks.bring([dask.delayed(len, pure=False)(chunk) for chunk in first_column])
    known = array.copy()  # the user's own is not changed
    known._chunks = (tuple(sizes), *array.chunks[1:])
    return known


def _column(name: str, value: Any, rows: int, tasks: Scheduler) -> Any:
    array = _array(name, value, tasks)
    arrays.refuse_other_length(name, array.shape[0], rows)
    return array[:, None] if array.ndim == 1 else array


def _rows(inputs: Any, threads: int) -> tuple[int, ...]:
    """The rows of each part: the chunks' own, if whole leaves, and neither few nor many."""
    own, (count, features) = inputs.chunks[0], inputs.shape
    if count == 0 or features == 0:
        raise ValueError(f"inputs are empty: shape {inputs.shape}")
    least = max(threads, -(-count * features * 8 // LARGEST_PART))
    most = max(least, MOST_PARTS_A_THREAD * threads)
    if least <= len(own) <= most and not any(size % LEAF for size in own[:-1]) and all(own):
        return tuple(map(int, own))
    parts = max(PARTS_A_THREAD * threads, least, min(len(own), most))
    size = -(-count // (parts * LEAF)) * LEAF
    whole, rest = divmod(int(count), size)
    return tuple([size] * whole + [rest] * (rest > 0))


def _delayed(table: Any, rows: tuple[int, ...]) -> list[Any]:
    """One delayed chunk for each part, moved between workers only."""
    whole = table.rechunk({0: rows, 1: table.shape[1]}, method="tasks")
    # not optimized alone: what tables have in common is to be computed once, for both
    return list(whole.to_delayed(optimize_graph=False).ravel())


def _check_batches(settings: Settings, rows: int) -> None:
    size = settings.batch_size or rows
    if size < rows and size % LEAF:
        raise ValueError(
            f"on Dask batch_size must be a multiple of {LEAF}, or all rows; got {size}"
        )
