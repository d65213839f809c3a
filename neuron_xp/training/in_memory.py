"""What training asks of its data, wherever they are; and data in the memory of one device."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from neuron_xp.backends import convert as arrays
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.engine import Engine, block_rows, engine
from neuron_xp.model.fingerprint import data_fingerprint, rows_digest
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples, Scaling, blocks, sum_over_blocks
from neuron_xp.training.batches import batch


class TrainingSet(Protocol):
    """Examples to learn from, and how a training is computed on them.

    place : where the parameters are while it is trained
    home : where the network is to be in the end
    dtype : the name of the floats
    sizes : (inputs, neurons of each layer ...)
    in_parts : whether they are worked off part by part: an iteration takes its time then
    """

    @property
    def place(self) -> Backend: ...  # noqa: D102
    @property
    def home(self) -> Backend: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def sizes(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def in_parts(self) -> bool: ...  # noqa: D102
    @property
    def scaling(self) -> Scaling | None: ...  # noqa: D102

    def fingerprint(self) -> str:
        """The fingerprint of inputs, targets and sample weights, the same wherever they are."""

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest input of each column, float64."""

    def total_weight(self) -> float:
        """The sum of the sample weights, correctly rounded; without any, the rows."""

    def totals(self, function: Callable[..., tuple[Any, ...]], *values: Any) -> tuple[Any, ...]:
        """The sums over all examples of what `function(block, *values, method=)` gives.

        As float64 NumPy arrays; so are the values, or tuples of arrays.
        """

    def scaled(self, scaling: Scaling) -> "TrainingSet":
        """The same, standardized by these NumPy arrays."""

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """The parameters after the iterations start ... start + count - 1."""

    def losses(self, parameters: Parameters) -> np.ndarray:
        """The rule's loss, summed over the examples, for each output neuron."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Examples in the memory of one device; see `TrainingSet`."""

    examples: Examples
    settings: Settings
    place: Backend
    dtype: str
    threads: int
    in_parts: bool = False

    @property
    def home(self) -> Backend:
        """The device where the data are."""
        return self.place

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return int(self.examples.inputs.shape[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then the neurons of each layer."""
        inputs, targets, *_ = self.examples
        return (inputs.shape[1], *self.settings.hidden, targets.shape[1])

    @property
    def scaling(self) -> Scaling | None:
        """What the inputs are standardized by, on their device."""
        return self.examples.scaling

    @cached_property
    def engine(self) -> Engine:
        """What computes."""
        settings, inputs = self.settings, self.examples.inputs
        return engine(
            self.place,
            settings.arithmetic,
            settings.rule,
            no_tiny_inputs=settings.standardize or arrays.has_no_tiny_inputs(inputs, self.place),
            block=self._block(),
            threads=self.threads,
        )

    def _block(self) -> int:
        """How many examples to take at a time.

        Where threads share the blocks there is one for each of them at least; a library's own
        matmul, which has its own threads, wants larger ones.
        """
        rows = block_rows(pairwise(self.sizes), self.place)
        if not self.place.threaded:
            return rows
        if self.settings.arithmetic == "native":
            return 4 * rows
        return min(rows, -(-self.rows // (self.threads * LEAF)) * LEAF)

    def fingerprint(self) -> str:
        """See `TrainingSet`."""
        return fingerprint_of(self.examples, self.place)

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        xp, to_host = self.place.xp, self.place.to_host
        ends = [
            [to_host(end(part.inputs, axis=0)).astype("float64") for end in (xp.min, xp.max)]
            for part in blocks(self.examples, self.engine.method.block_rows)
        ]
        low, high = zip(*ends, strict=True)
        return np.min(low, axis=0), np.max(high, axis=0)

    def total_weight(self) -> float:
        """See `TrainingSet`."""
        return self._weight

    @cached_property
    def _weight(self) -> float:
        weight = self.examples.sample_weight
        return float(self.rows) if weight is None else math.fsum(self.place.to_host(weight).flat)

    def totals(self, function: Callable[..., tuple[Any, ...]], *values: Any) -> tuple[Any, ...]:
        """See `TrainingSet`."""
        method, there = self.engine.method, [self.place.from_host(value) for value in values]
        sums = sum_over_blocks(
            lambda part: function(part, *there, method=method), self.examples, method=method
        )
        return tuple(self.place.to_host(total).astype("float64") for total in sums)

    def scaled(self, scaling: Scaling) -> "InMemory":
        """See `TrainingSet`."""
        there = Scaling(*map(self.place.from_host, scaling))
        return replace(self, examples=self.examples._replace(scaling=there))

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """See `TrainingSet`."""
        settings, run, l2 = self.settings, self.engine.run, self.settings.l2 or None
        if settings.batch_size is None:
            return run(count, parameters, self.examples, rate, l2)  # type: ignore[no-any-return]
        for iteration in range(start, start + count):
            part = batch(self.examples, iteration, settings, self.place)
            parameters = run(1, parameters, part, rate, l2)
        return parameters

    def losses(self, parameters: Parameters) -> np.ndarray:
        """See `TrainingSet`."""
        return self.place.to_host(self.engine.loss(parameters, self.examples))


def fingerprint_of(examples: Examples, place: Backend) -> str:
    """The fingerprint of inputs, targets and weights: the same wherever they are."""
    row, total = 0, 0
    tables = examples[:3]
    for part in blocks(examples, 2**16):
        on_host = [place.to_host(x).astype("float64") for x in part[:3] if x is not None]
        total += rows_digest(row, *on_host)
        row += len(on_host[0])
    return data_fingerprint(total, *(tuple(x.shape) for x in tables if x is not None))
