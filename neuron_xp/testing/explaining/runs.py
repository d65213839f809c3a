"""Runs: a training, or a function of anybody's, in stages that can be done again and watched."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from neuron_xp.backends.backend import Backend, Engine, compile_engine, map_arrays
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.guarantees import has_float64, make_reproducible
from neuron_xp.model.settings import WEIGHTED, Settings
from neuron_xp.neuron.arithmetic import native_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible.elementary import TINY_INPUT
from neuron_xp.neuron.step import Method
from neuron_xp.testing.explaining.recording import Call, Recorder
from neuron_xp.testing.explaining.watching import map_nested, unwatch, watch
from neuron_xp.training.data.in_memory import InMemory
from neuron_xp.training.data.training_set import Given, Where, open_training_set
from neuron_xp.training.fit import start_parameters
from neuron_xp.training.loops.descent import find_learning_rate
from neuron_xp.training.preparation import find_scaling


class Run(Protocol):
    """Something that is computed in stages on a backend: each goes on from what one before gave.

    backend : as it is named to the user
    stages : how many there are
    """

    @property
    def backend(self) -> Backend: ...  # noqa: D102
    @property
    def stages(self) -> int: ...  # noqa: D102
    def do(self, stage: int, before: Any, recorder: Recorder | None = None) -> Any:
        """Return what a stage makes of what the one before gave, as arrays on the host."""

    def name_stage(self, stage: int) -> str:
        """Name a stage, for a sentence: "iteration 1"."""

    def name_layer(self, call: Call | None) -> str:
        """Say of which layer a function of the arithmetic was called; "" where that says nothing"""


@dataclass(frozen=True, eq=False)
class FunctionRun:
    """A function of anybody's, on arrays of a backend: one stage.

    function(xp, *arrays) : returns an array, or a tuple of them
    """

    backend: Backend
    function: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    stages: int = 1

    def do(self, stage: int, before: Any, recorder: Recorder | None = None) -> Any:
        """See `Run`."""
        backend = _watch_or_not(self.backend, recorder)
        with backend.context():
            found = self.function(backend.xp, *map(backend.from_host, self.arrays))
            return map_nested(lambda x: np.array(backend.to_host(unwatch(x))), found)

    def name_stage(self, stage: int) -> str:
        """See `Run`."""
        return "the function"

    def name_layer(self, call: Call | None) -> str:
        """See `Run`."""
        return ""


@dataclass(frozen=True, eq=False)
class UncheckedData(InMemory):
    """Examples in memory, on a backend that nobody has checked, one operation at a time.

    rows_at_once : examples that the array operations take at a time
    recorder : to be told of the functions of the arithmetic
    """

    rows_at_once: int = 0
    recorder: Recorder | None = None

    @cached_property
    def engine(self) -> Engine:
        """The code that runs the iterations: array operations."""
        settings = self.settings
        if settings.arithmetic == "native":
            arithmetic = native_arithmetic(self.backend.xp)
        else:
            none_is_tiny = bool(settings.standardize) or self.extremes.smallest >= TINY_INPUT
            with self.backend.context():
                arithmetic = make_reproducible(self.backend, no_tiny_inputs=bool(none_is_tiny))
        if self.recorder is not None:
            arithmetic = self.recorder.name_calls(arithmetic)
        return compile_engine(
            self.backend, Method(arithmetic, RULES[settings.rule], self.rows_at_once)
        )

    def count_rows_at_once(self) -> int:
        """Return how many examples `train` takes at a time."""
        return self._block_rows()


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A training by gradient descent: stage 0 prepares it, and each other is an iteration.

    examples : on the host
    """

    backend: Backend
    examples: UncheckedData

    @property
    def stages(self) -> int:
        """The preparation and the iterations."""
        return 1 + self.examples.settings.iterations

    def do(self, stage: int, before: Any, recorder: Recorder | None = None) -> Any:
        """See `Run`. A stage gives (parameters, scaling or None, learning rate)."""
        backend = _watch_or_not(self.backend, recorder)
        with backend.context(), np.errstate(all="ignore"):
            data = self._put_on(backend, recorder)
            if stage == 0:
                return self._prepare(data)
            return _advance(data, before, stage - 1, 1)

    def finish_compiled(self) -> Any:
        """Return what the training ends on where the library's compiler sees whole iterations."""
        prepared, backend = self.do(0, None), self.backend.without_kernels()
        with backend.context(), np.errstate(all="ignore"):
            data = self._put_on(backend, None)
            return _advance(data, prepared, 0, data.settings.iterations)

    def _put_on(self, backend: Backend, recorder: Recorder | None) -> UncheckedData:
        examples = map_arrays(backend.from_host, self.examples.examples)
        return replace(self.examples, backend=backend, examples=examples, recorder=recorder)

    def _prepare(self, data: InMemory) -> Any:
        settings, scaling = data.settings, None
        parameters = start_parameters(data, settings, None, None)
        if settings.standardize:
            scaling = find_scaling(data, weighted=settings.standardize == WEIGHTED)
            data = data.with_scaling(scaling)
        return _bring(parameters, data.backend), scaling, find_learning_rate(data, settings)

    def name_stage(self, stage: int) -> str:
        """See `Run`."""
        return f"iteration {stage}" if stage else "the preparation, before the first iteration"

    def name_layer(self, call: Call | None) -> str:
        """See `Run`."""
        layers = len(self.examples.layer_sizes) - 1
        if call is None or layers == 1:
            return ""
        number = call.number
        if call.function in ("exp", "sum_over_examples", "column_sums"):
            return f" of layer {number % layers + 1}"
        if call.function != "weighted_sum":
            return ""
        number %= 2 * layers - 1
        if number < layers:
            return f" of layer {number + 1}"
        return f" back from layer {2 * layers - number}"


def _watch_or_not(backend: Backend, recorder: Recorder | None) -> Backend:
    return backend.eager() if recorder is None else watch(backend, recorder)


def _advance(data: InMemory, before: Any, start: int, count: int) -> Any:
    """Return what so many iterations make of what the preparation, or one of them, gave."""
    parameters, scaling, rate = before
    if scaling is not None:
        data = data.with_scaling(scaling)
    on_device = map_arrays(data.backend.from_host, parameters)
    after = data.advance(on_device, start, count, rate)
    return _bring(after, data.backend), scaling, rate


def _bring(parameters: Parameters, backend: Backend) -> Any:
    return map_arrays(lambda x: np.array(backend.to_host(x)), parameters)


def open_runs(
    backends: tuple[Backend, Backend], given: Given, settings: Settings
) -> tuple[TrainingRun, TrainingRun, str]:
    """Open the same training on two backends; return it, and what is to be said of it, or "".

    Raises ValueError or TypeError for what cannot be learned from, or is not in memory.
    """
    host = open_host_backend().eager()
    data = open_training_set(given, settings, Where(backend=host))
    if not isinstance(data, InMemory):
        raise TypeError("explain compares what is in memory; give lists or arrays")
    holds_double = settings.arithmetic == "reproducible" or all(map(has_float64, backends))
    dtype = data.dtype if holds_double else "float32"
    examples = map_arrays(lambda x: x.astype(dtype), data.examples)
    unchecked = UncheckedData(
        examples=examples, settings=settings, backend=host, dtype=dtype,
        threads=1, extremes=data.extremes,
    )  # fmt: skip
    counts = [replace(unchecked, backend=b).count_rows_at_once() for b in backends]
    least = min(counts)
    a, b = (TrainingRun(x, replace(unchecked, rows_at_once=least)) for x in backends)
    note = ""
    if settings.arithmetic == "native" and counts[0] != counts[1] and data.rows > least:
        note = (
            f"train takes {counts[0]:,} rows at a time on {backends[0]} and {counts[1]:,} on "
            f"{backends[1]}, which is another order of its sums; here both take {least:,}"
        )
    return a, b, note
