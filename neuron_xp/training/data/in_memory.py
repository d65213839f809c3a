"""Examples in the memory of one device."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from itertools import pairwise
from operator import or_
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, Engine
from neuron_xp.backends.engine import choose_block_rows, choose_engine
from neuron_xp.backends.examples import (
    NO_WEIGHT,
    TOO_HEAVY,
    convert_rows,
    copy_to_host,
    take_ranges,
)
from neuron_xp.backends.probe.look import find_extremes_by_kernel
from neuron_xp.model.fingerprint import (
    GROUP,
    MOST_GROUPS,
    digest_groups,
    digest_rows,
    fingerprint_data,
    keep_groups,
    mix_rows,
    spell_groups,
)
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.extremes import Extremes
from neuron_xp.neuron.layers import Parameters, flatten
from neuron_xp.neuron.reproducible.elementary import TINY_INPUT
from neuron_xp.neuron.reproducible.exact_sum import LEAF, add_exactly
from neuron_xp.neuron.step import Examples, Scaling, sum_over_blocks
from neuron_xp.neuron.types import Array
from neuron_xp.threads import run_ahead
from neuron_xp.training.data.batches import take_batch


@dataclass(frozen=True, eq=False)
class InMemory:
    """Examples in the memory of one device; see `TrainingSet`.

    extremes : of the inputs
    """

    examples: Examples
    settings: Settings
    backend: Backend
    dtype: str
    threads: int
    extremes: Extremes
    in_parts: bool = False

    @property
    def network_backend(self) -> Backend:
        """The backend of the data."""
        return self.backend

    @property
    def rows(self) -> int:
        """Number of examples."""
        return int(self.examples.inputs.shape[0])

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs, then the neurons of each layer."""
        inputs, targets, *_ = self.examples
        return (inputs.shape[1], *self.settings.hidden, targets.shape[1])

    @property
    def scaling(self) -> Scaling | None:
        """The standardization of the inputs, on their device."""
        return self.examples.scaling

    @cached_property
    def engine(self) -> Engine:
        """The code that runs the iterations."""
        settings = self.settings
        return choose_engine(
            self.backend,
            settings.arithmetic,
            settings.rule,
            no_tiny_inputs=bool(settings.standardize) or bool(self.extremes.smallest >= TINY_INPUT),
            block=self._block_rows(),
            threads=self.threads,
        )

    def _block_rows(self) -> int:
        """Return how many examples to take at a time.

        Where threads share the blocks there is one for each of them at least; a library's own
        matmul, which has its own threads, wants larger ones.
        """
        rows = choose_block_rows(pairwise(self.layer_sizes), self.backend)
        if not self.backend.threaded:
            return rows
        if self.settings.arithmetic == "native":
            return 4 * rows
        leaves_a_thread = math.ceil(self.rows / (self.threads * LEAF))
        return min(rows, leaves_a_thread * LEAF)

    def fingerprint(self) -> str:
        """See `TrainingSet`."""
        digest = sum(self._map_blocks(lambda *block: digest_rows(digest_groups(*block))))
        arrays = self.examples[:3]
        return fingerprint_data(digest, *(tuple(x.shape) for x in arrays if x is not None))

    def fingerprint_unordered(self) -> str:
        """See `TrainingSet`."""
        mixed = sum(self._map_blocks(lambda _, *tables: mix_rows(*tables)))
        return f"{mixed % 2**64:016x}"

    def fingerprint_groups(self) -> tuple[str, ...]:
        """See `TrainingSet`."""
        if self.rows > GROUP * MOST_GROUPS:
            return ()
        groups = reduce(or_, self._map_blocks(digest_groups))
        return spell_groups(keep_groups(groups))

    def _map_blocks(self, function: Callable[..., Any]) -> Iterator[Any]:
        """Yield function(first row, inputs, targets, weights), on the host, of some rows at a time.

        The first row is at a multiple of 64.
        """
        columns = self.examples.inputs.shape[1]
        size = max(1, min(2**14, 2**22 // columns) // GROUP) * GROUP

        def apply(start: int) -> Any:
            arrays = (array for array in self.examples[:3] if array is not None)
            with self.backend.context():  # threads do not inherit it
                tables = [
                    self.backend.to_host(array[start : min(start + size, self.rows), :])
                    for array in arrays
                ]
            return function(start, *(table.astype("float64") for table in tables))

        starts = range(0, self.rows, size)
        if self.backend.threaded and len(starts) > 1:
            return run_ahead(apply, starts, self.threads)
        return map(apply, starts)

    def find_extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        return self.extremes.low, self.extremes.high

    def measure_class_sums(self) -> float:
        """See `TrainingSet`."""
        xp = self.backend.xp
        with self.backend.context():
            return float(xp.max(xp.abs(xp.sum(self.examples.targets, axis=1) - 1.0)))

    def take_sample(self, ranges: np.ndarray) -> Examples:
        """See `TrainingSet`."""
        return copy_to_host(take_ranges(self.examples, ranges, self.backend), self.backend)

    def sum_weights(self) -> float:
        """See `TrainingSet`."""
        return self._summed_weights

    @cached_property
    def _summed_weights(self) -> float:
        weight = self.examples.sample_weight
        if weight is None:
            return float(self.rows)
        total = add_exactly(self.backend.to_host(weight).ravel().tolist())
        if total == math.inf:
            raise ValueError(TOO_HEAVY)
        return total

    def sum_blocks(self, function: Callable[..., tuple[Any, ...]], *values: Any) -> tuple[Any, ...]:
        """See `TrainingSet`."""
        method = self.engine.method
        on_device = [self.backend.from_host(value) for value in values]
        sums = sum_over_blocks(
            lambda block: function(block, *on_device, method=method), self.examples, method=method
        )
        return tuple(self.backend.to_host(total).astype("float64") for total in sums)

    def with_scaling(self, scaling: Scaling) -> "InMemory":
        """See `TrainingSet`."""
        on_device = Scaling(*map(self.backend.from_host, scaling))
        return replace(self, examples=self.examples._replace(scaling=on_device))

    def without_kernels(self) -> "InMemory":
        """See `TrainingSet`."""
        return replace(self, backend=self.backend.without_kernels())

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """See `TrainingSet`."""
        settings, run, l2 = self.settings, self.engine.run, self.settings.l2 or None
        if settings.batch_size is None:
            return run(count, parameters, self.examples, rate, l2)  # type: ignore[no-any-return]
        for iteration in range(start, start + count):
            batch = take_batch(self.examples, iteration, settings, self.backend)
            parameters = run(1, parameters, batch, rate, l2)
        return parameters

    def sum_batch(self, iteration: int, parameters: Parameters) -> tuple[Array, ...]:
        """See `TrainingSet`."""
        examples = self.examples
        if self.settings.batch_size is not None:
            examples = take_batch(examples, iteration, self.settings, self.backend)
        return self.engine.sums(parameters, examples)

    def compute_losses(self, parameters: Parameters) -> np.ndarray:
        """See `TrainingSet`."""
        return self.backend.to_host(self.engine.loss(parameters, self.examples))

    def compute_losses_and_sums(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        found = self.engine.losses_and_sums(parameters, self.examples)
        losses, *sums = (self.backend.to_host(x).astype("float64") for x in found)
        return losses, flatten(Parameters(tuple(sums)), xp=np)


def open_in_memory(
    given: dict[str, Any], settings: Settings, backend: Backend, *, dtype: str, threads: int
) -> InMemory:
    """Open inputs, targets and sample weights that somebody gives, after one look at each.

    Raises ValueError or TypeError for what cannot be learned from.
    """
    look = partial(
        find_extremes_by_kernel, backend=backend, arithmetic=settings.arithmetic, threads=threads
    )
    with backend.context():
        seen = convert_rows(**given, backend=backend, dtype=dtype, look=look)
    if seen.sample_weight is not None and not float(seen.sample_weight.high[0]) > 0:
        raise ValueError(NO_WEIGHT)
    return InMemory(
        examples=seen.examples,
        settings=settings,
        backend=backend,
        dtype=dtype,
        threads=threads,
        extremes=seen.inputs,
    )
