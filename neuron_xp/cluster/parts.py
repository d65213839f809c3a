"""Dask arrays and dataframes as parts of a training set, kept where they were loaded.

A part is loaded by a task and stays there; an iteration is one small task for each part, which
takes the weights and gives exact sums. What a lost worker had is loaded again by Dask, with the
same bits.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import dask
import numpy as np
from dask import array as da

from neuron_xp.backends.backend import Backend, is_lazy
from neuron_xp.backends.convert import MEANING, as_plain_array
from neuron_xp.backends.examples import check_row_count, convert_rows, cut_ranges, take_ranges
from neuron_xp.backends.libraries import find_backend, open_backend, open_host_backend
from neuron_xp.cluster.scheduler import Scheduler
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples

PARTS_A_THREAD = 2
MOST_PARTS_A_THREAD = 16
LARGEST_PART = 2**30
"""Bytes of inputs: a worker may need it twice while it is cut out of other chunks."""


class LoadedPart(NamedTuple):
    """Part of the examples, checked; `first` is the number of its first row in all of the data."""

    first: int
    examples: Examples

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from worker to worker through the host: some libraries' pickles round float64."""
        backend = find_backend(self.examples.inputs)
        if backend is open_host_backend():
            return LoadedPart, tuple(self)
        with backend.context():
            return _copy_part_from_host, (
                self.first,
                self.examples.select(backend.to_host),
                backend,
            )


def _copy_part_from_host(first: int, examples: Examples, backend: Backend) -> LoadedPart:
    with backend.context():
        return LoadedPart(first, examples.select(backend.from_host))


@dataclass(frozen=True, eq=False)
class LoadedParts:
    """Parts that tasks have loaded, and the scheduler keeps; see `training.data.in_parts.Source`.

    ends : of each part, the number of the row after its last
    """

    scheduler: Scheduler
    kept: list[Any]
    ends: tuple[int, ...]

    @property
    def at_once(self) -> int:
        """See `Source`."""
        return self.scheduler.threads_a_machine

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """See `Source`."""
        tasks, start = [], 0
        for part, end in zip(self.kept, self.ends, strict=True):
            inside = None if ranges is None else cut_ranges(ranges, start, end)
            if inside is None or len(inside):
                tasks.append((part, inside))
            start = end
        return self.scheduler.fold(partial(apply_to_part, function=function), tasks, merge)


def apply_to_part(
    part: LoadedPart, ranges: np.ndarray | None, *, function: Callable[..., Any]
) -> Any:
    """Return the function of a part, or of some leaves of it, groups of 64 examples (a task)."""
    first, examples = part
    if ranges is None:
        return function(first, examples)
    backend = find_backend(examples.inputs)
    with backend.context():
        chosen = take_ranges(examples, ranges, backend)
    return function(first + int(ranges[0, 0]), chosen)


# --- from what the user gives to Dask arrays --------------------------------------------


def as_dask_arrays(given: dict[str, Any], scheduler: Scheduler) -> list[Any]:
    """Return inputs, targets and, if given, sample weights as 2-D arrays with known chunks.

    Raises ValueError or TypeError for what has no such shape.
    """
    inputs = _as_dask_array("inputs", given["inputs"], scheduler)
    if 0 in inputs.shape:
        raise ValueError(f"inputs are empty: shape {inputs.shape}")
    arrays = [inputs]
    for name in ("targets", "sample_weight"):
        if given[name] is not None:
            array = _as_dask_array(name, given[name], scheduler)
            check_row_count(name, array.shape[0], inputs.shape[0])
            arrays.append(array[:, None] if array.ndim == 1 else array)
    return arrays


def _as_dask_array(name: str, value: Any, scheduler: Scheduler) -> Any:
    if hasattr(type(value), "to_dask_array"):
        value = value.to_dask_array()
    if not is_lazy(value):
        array = as_plain_array(name, value)
        backend = find_backend(array)
        with backend.context():
            value = da.from_array(backend.to_host(array), name=False)
    if not isinstance(value, da.Array):
        raise TypeError(f"{name} must be a Dask array or dataframe; got {type(value).__name__}")
    if value.ndim not in (1, 2) or (name == "inputs" and value.ndim != 2):
        raise ValueError(f"{name} must have the shape {MEANING[name, 2]}; got {value.shape}")
    has_unknown_sizes = any(map(math.isnan, value.chunks[0]))
    return _measure_chunks(value, scheduler) if has_unknown_sizes else value


def _measure_chunks(array: Any, scheduler: Scheduler) -> Any:
    """Return the same array, the sizes of its chunks known."""
    first_column = array.to_delayed(optimize_graph=False).reshape(array.numblocks[0], -1)[:, 0]
    sizes = scheduler.bring([dask.delayed(len, pure=False)(chunk) for chunk in first_column])
    known = array.copy()  # the user's own is not changed
    known._chunks = (tuple(sizes), *array.chunks[1:])
    return known


# --- from Dask arrays to parts ----------------------------------------------------------


def load_parts(
    arrays: Sequence[Any], scheduler: Scheduler, *, library: tuple[str, Any] | None, dtype: str
) -> LoadedParts:
    """Load the arrays part by part, each in a task, and keep what they give.

    library : name and device of the backend that computes; None for that of the chunks
    """
    sizes = _part_sizes(arrays[0], scheduler.threads)
    chunks = [_delayed_chunks(array, sizes) for array in arrays]
    ends = tuple(int(end) for end in np.cumsum(sizes))
    loaded = []
    for end, size, *tables in zip(ends, sizes, *chunks, strict=True):
        load = partial(load_part, first=end - size, library=library, dtype=dtype)
        loaded.append(dask.delayed(load, pure=False)(*tables))
    return LoadedParts(scheduler, scheduler.keep(loaded), ends)


def load_part(
    inputs: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    first: int,
    library: tuple[str, Any] | None,
    dtype: str,
) -> LoadedPart:
    """Return chunks of the arrays, checked, on the backend that computes (a task)."""
    if library is None:
        backend = find_backend(as_plain_array("inputs", inputs))
    else:
        backend = open_backend(*library)
    with backend.context():
        examples = convert_rows(
            inputs, targets, sample_weight, backend, dtype=dtype, first_row=first
        ).examples
    if backend is open_host_backend():  # what is computed many times lies in order
        examples = examples.select(np.ascontiguousarray)
    return LoadedPart(first, examples)


def _part_sizes(inputs: Any, threads: int) -> tuple[int, ...]:
    """Return the rows of each part: the chunks' own, if whole leaves, and neither few nor many."""
    own, (rows, features) = inputs.chunks[0], inputs.shape
    least = max(threads, math.ceil(rows * features * 8 / LARGEST_PART))
    most = max(least, MOST_PARTS_A_THREAD * threads)
    are_leaves = all(own) and not any(size % LEAF for size in own[:-1])
    if are_leaves and least <= len(own) <= most:
        return tuple(map(int, own))
    parts = max(PARTS_A_THREAD * threads, least, min(len(own), most))
    size = math.ceil(rows / (parts * LEAF)) * LEAF
    whole, rest = divmod(int(rows), size)
    sizes = [size] * whole
    return tuple(sizes if rest == 0 else [*sizes, rest])


def _delayed_chunks(array: Any, sizes: tuple[int, ...]) -> list[Any]:
    """Return one delayed chunk for each part, moved between workers only."""
    whole = array.rechunk({0: sizes, 1: array.shape[1]}, method="tasks")
    # not optimized alone: what arrays have in common is to be computed once, for all
    return list(whole.to_delayed(optimize_graph=False).ravel())
