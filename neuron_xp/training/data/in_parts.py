"""Examples in parts: the same training as in memory, the parameters on the host.

A source (a stream from disk, a cluster) holds the parts. It is asked for a map and a merge, as
functions of modules with plain arguments, so that they can be sent to another process. The sums
of the parts are exact, so that it does not matter where they are cut, who computes them, or in
which order they arrive.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from neuron_xp.backends.backend import Backend, Summand, map_arrays
from neuron_xp.backends.engine import choose_block_rows, choose_summand
from neuron_xp.backends.examples import NO_WEIGHT, copy_to_host
from neuron_xp.backends.libraries import find_backend, open_host_backend
from neuron_xp.backends.probe.rounding import check_rounding
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.model.fingerprint import fingerprint_data, spell_groups
from neuron_xp.model.settings import Settings
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import Parameters, flatten
from neuron_xp.neuron.step import Examples, Scaling, merge_blocks
from neuron_xp.training.data.batches import cut_batch_ranges
from neuron_xp.training.data.summary import Summary, merge_summaries, summarize_part

SHUFFLE_ROWS = (
    "shuffle='rows' draws single examples from all of the data, which are not in memory here; "
    "give shuffle='leaves', which draws groups of 64 neighbours, or none"
)


class Source(Protocol):
    """Holds examples in parts.

    at_once : how many of them may be worked off side by side in the memory of one machine
    """

    @property
    def at_once(self) -> int: ...  # noqa: D102

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """Merge, in any order, what `function(first row, examples)` gives for each part.

        ranges : (first, end) of the rows to take, ascending, cut into whole leaves from the
            first one on; None for all. Each part has whole leaves of them, but the last.
        """


@dataclass(frozen=True)
class Recipe:
    """Settings for the computation of one part, as plain values that can be sent anywhere.

    layer_sizes : (inputs, neurons of each layer ...)
    at_once : how many parts may be worked off side by side in the memory of one machine
    """

    arithmetic: str
    rule: str
    layer_sizes: tuple[int, ...]
    at_once: int = 1
    no_tiny_inputs: bool = False
    by_kernels: bool = True


def sum_part(
    first_row: int,
    examples: Examples,
    *,
    function: Summand,
    values: tuple[Any, ...],
    scaling: Scaling | None,
    recipe: Recipe,
) -> tuple[Any, ...]:
    """Apply `function` to a part on the part's own device, and bring the sums to the host."""
    backend = find_backend(examples.inputs)
    if not recipe.by_kernels:
        backend = _leave_kernels_out(backend)
    check_rounding(recipe.arithmetic)
    sums = choose_summand(
        backend,
        recipe.arithmetic,
        recipe.rule,
        function,
        no_tiny_inputs=recipe.no_tiny_inputs,
        block=choose_block_rows(pairwise(recipe.layer_sizes), backend, at_once=recipe.at_once),
        threads=1,  # parts are worked off side by side
    )
    with backend.context():
        scaling, *values_on_device = map_arrays(backend.from_host, (scaling, *values))
        found = sums(examples._replace(scaling=scaling), *values_on_device)
        return tuple(map_arrays(backend.to_host, found))


@cache
def _leave_kernels_out(backend: Backend) -> Backend:
    return backend.without_kernels()  # one, whose probe and functions are found again


def copy_part(_: int, examples: Examples) -> Examples:
    """Copy a part to the host."""
    backend = find_backend(examples.inputs)
    with backend.context():
        copied = examples.select(lambda x: x + 0.0)  # a stream uses its buffers again
        return copy_to_host(copied, backend)


def join_parts(a: Examples, b: Examples) -> Examples:
    """Join copies of two parts."""
    weight = a.sample_weight
    return Examples(
        inputs=np.concatenate([a.inputs, b.inputs]),
        targets=np.concatenate([a.targets, b.targets]),
        sample_weight=None if weight is None else np.concatenate([weight, b.sample_weight]),
    )


def merge_part_sums(a: tuple[Any, ...], b: tuple[Any, ...], *, arithmetic: str) -> tuple[Any, ...]:
    """Add the sums over the examples of two parts."""
    return merge_blocks(a, b, arithmetic=_host_arithmetic(arithmetic))


def _host_arithmetic(name: str) -> Arithmetic:
    return choose_arithmetic(open_host_backend(), name, no_tiny_inputs=False)


@dataclass(frozen=True, eq=False)
class InParts:
    """Examples in parts; see `TrainingSet`.

    shapes : of inputs, targets and, if there are any, sample weights
    """

    source: Source
    settings: Settings
    shapes: tuple[tuple[int, int], ...]
    summary: Summary
    recipe: Recipe
    network_backend: Backend
    dtype: str = "float64"
    scaling: Scaling | None = None
    in_parts: bool = True

    @property
    def backend(self) -> Backend:
        """NumPy's backend: the parameters are on the host."""
        return open_host_backend()

    @property
    def rows(self) -> int:
        """Number of examples."""
        return self.shapes[0][0]

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs, then the neurons of each layer."""
        return self.recipe.layer_sizes

    def fingerprint(self) -> str:
        """See `TrainingSet`."""
        return fingerprint_data(self.summary.digest, *self.shapes)

    def fingerprint_unordered(self) -> str:
        """See `TrainingSet`."""
        return f"{self.summary.unordered:016x}"

    def fingerprint_groups(self) -> tuple[str, ...]:
        """See `TrainingSet`."""
        return spell_groups(self.summary.groups)

    def find_extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        return self.summary.low, self.summary.high

    def measure_class_sums(self) -> float:
        """See `TrainingSet`."""
        return self.summary.class_sums

    def take_sample(self, ranges: np.ndarray) -> Examples:
        """See `TrainingSet`."""
        found: Examples = self.source.fold(copy_part, join_parts, ranges)
        return found

    def sum_weights(self) -> float:
        """See `TrainingSet`."""
        is_weighted = len(self.shapes) == 3
        return math.fsum(self.summary.weights) if is_weighted else float(self.rows)

    def sum_blocks(self, function: Summand, *values: Any) -> tuple[Any, ...]:
        """See `TrainingSet`."""
        return tuple(x.astype("float64") for x in self._sum_parts(function, values))

    def _sum_parts(
        self, function: Summand, values: tuple[Any, ...], ranges: np.ndarray | None = None
    ) -> tuple[Any, ...]:
        sum_one = partial(
            sum_part, function=function, values=values, scaling=self.scaling, recipe=self.recipe
        )
        merge = partial(merge_part_sums, arithmetic=self.recipe.arithmetic)
        sums = self.source.fold(sum_one, merge, ranges)
        return tuple(map(_host_arithmetic(self.recipe.arithmetic).total, sums))

    def with_scaling(self, scaling: Scaling) -> "InParts":
        """See `TrainingSet`."""
        return replace(self, scaling=scaling, recipe=replace(self.recipe, no_tiny_inputs=True))

    def without_kernels(self) -> "InParts":
        """See `TrainingSet`."""
        return replace(self, recipe=replace(self.recipe, by_kernels=False))

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """See `TrainingSet`."""
        settings, arithmetic = self.settings, _host_arithmetic(self.recipe.arithmetic)
        for iteration in range(start, start + count):
            sums = self.sum_batch(iteration, parameters)
            l2 = settings.l2 or None
            parameters = steps.adjust(parameters, sums, rate, l2, arithmetic=arithmetic)
        return parameters

    def sum_batch(self, iteration: int, parameters: Parameters) -> tuple[np.ndarray, ...]:
        """See `TrainingSet`."""
        batches = self.settings.batch_size is not None
        ranges = cut_batch_ranges(iteration, self.settings, self.rows) if batches else None
        return self._sum_parts(steps.block_sums, (parameters,), ranges)

    def compute_losses(self, parameters: Parameters) -> np.ndarray:
        """See `TrainingSet`."""
        losses: np.ndarray = self._sum_parts(steps.block_losses, (parameters,))[0]
        return losses

    def compute_losses_and_sums(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        losses, *sums = self._sum_parts(steps.block_losses_and_sums, (parameters,))
        flat = flatten(Parameters(tuple(sums)), xp=np)
        return losses.astype("float64"), flat.astype("float64")


def open_in_parts(
    source: Source,
    settings: Settings,
    shapes: tuple[tuple[int, int], ...],
    *,
    network_backend: Backend,
    dtype: str,
) -> InParts:
    """Open the training set of a source, after a look at all of it.

    Raises ValueError for what cannot be learned from.
    """
    if settings.shuffle == "rows":
        raise ValueError(SHUFFLE_ROWS)
    summary = source.fold(summarize_part, merge_summaries)
    if len(shapes) == 3 and not summary.weights:
        raise ValueError(NO_WEIGHT)
    sizes = (shapes[0][1], *settings.hidden, shapes[1][1])
    return InParts(
        source=source,
        settings=settings,
        shapes=shapes,
        summary=summary,
        recipe=Recipe(
            arithmetic=settings.arithmetic,
            rule=settings.rule,
            layer_sizes=sizes,
            at_once=source.at_once,
            no_tiny_inputs=summary.no_tiny_inputs,
        ),
        network_backend=network_backend,
        dtype=dtype,
    )
