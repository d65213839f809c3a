"""Data in parts: the same training as in memory, the parameters on the host.

A source (a stream from disk, a cluster) holds the parts. What is asked of it is a map and a
merge, as functions of modules with plain arguments, so that they can be sent to another
process. The sums of the parts are exact, so that it does not matter where they are cut, who
computes them, or in which order they arrive.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.convert import NO_WEIGHT
from neuron_xp.backends.engine import Summand, block_rows, summing
from neuron_xp.backends.libraries import backend_of, host_backend
from neuron_xp.backends.probe import trusted_arithmetic
from neuron_xp.model.fingerprint import data_fingerprint, rows_digest
from neuron_xp.model.settings import Settings
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.reproducible import TINY_INPUT
from neuron_xp.neuron.step import Examples, Scaling, merge_blocks
from neuron_xp.training.batches import batch_ranges

SHUFFLE_ROWS = (
    "shuffle='rows' draws single examples from all of the data, which are not in memory here; "
    "give shuffle='leaves', which draws groups of 64 neighbours, or none"
)

SURVEYED_ROWS = 2**14


class Source(Protocol):
    """Where the parts are."""

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """What `function(first row, examples)` gives for each part, merged in any order.

        ranges : (first, end) of the rows to take, ascending, cut into whole leaves from the
            first one on; None for all. Each part has whole leaves of them, but the last.
        """


class Survey(NamedTuple):
    """What one look at the data tells; sums and ends that can be merged.

    digest : of the fingerprint
    no_tiny_inputs : whether each input is 0 or at least 2^-60 in magnitude
    low, high : the ends of each column
    weights : floats whose exact sum is that of the sample weights
    """

    digest: int
    no_tiny_inputs: bool
    low: np.ndarray
    high: np.ndarray
    weights: tuple[float, ...]


def survey(first: int, examples: Examples) -> Survey:
    """Of a part; its first row is a multiple of 64, counted in all of the data."""
    backend = backend_of(examples.inputs)
    found, row = list[Survey](), first
    with backend.context():
        for block in steps.blocks(examples, SURVEYED_ROWS):
            tables = [backend.to_host(x).astype("float64") for x in block[:3] if x is not None]
            found.append(_surveyed(row, tables))
            row += SURVEYED_ROWS
    return reduce(merge_surveys, found)


def _surveyed(first: int, tables: list[np.ndarray]) -> Survey:
    inputs = tables[0]
    return Survey(
        digest=rows_digest(first, *tables),
        no_tiny_inputs=not ((inputs != 0) & (abs(inputs) < TINY_INPUT)).any(),
        low=inputs.min(axis=0),
        high=inputs.max(axis=0),
        weights=_exact(tables[2].ravel().tolist()) if len(tables) == 3 else (),
    )


def merge_surveys(a: Survey, b: Survey) -> Survey:
    """Of both parts."""
    return Survey(
        (a.digest + b.digest) % 2**256,
        a.no_tiny_inputs and b.no_tiny_inputs,
        np.minimum(a.low, b.low),
        np.maximum(a.high, b.high),
        _exact((*a.weights, *b.weights)),
    )


def _exact(numbers: Iterable[float]) -> tuple[float, ...]:
    """A few floats with the same exact sum."""
    left, parts = list(numbers), list[float]()
    while left and (part := math.fsum(left)):
        parts.append(part)
        left.append(-part)
    return tuple(parts)


@dataclass(frozen=True)
class Work:
    """How a part is computed, wherever that is: plain values.

    sizes : (inputs, neurons of each layer ...)
    """

    arithmetic: str
    rule: str
    sizes: tuple[int, ...]
    no_tiny_inputs: bool = False


def part_sums(
    first: int,
    examples: Examples,
    *,
    function: Summand,
    values: tuple[Any, ...],
    scaling: Scaling | None,
    work: Work,
) -> tuple[Any, ...]:
    """What `function` makes of a part on its own device, brought to the host."""
    backend = backend_of(examples.inputs)
    sums = summing(
        backend,
        work.arithmetic,
        work.rule,
        function,
        no_tiny_inputs=work.no_tiny_inputs,
        block=block_rows(pairwise(work.sizes), backend),
        threads=1,  # parts are worked off side by side
    )
    with backend.context():
        there = _each(backend.from_host, (scaling, *values))
        found = sums(examples._replace(scaling=there[0]), *there[1:])
        return tuple(_each(backend.to_host, found))


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """The function of each array in tuples, however deep; None stays."""
    if value is None:
        return None
    if not isinstance(value, tuple):
        return function(value)
    items = [_each(function, item) for item in value]
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def merge_sums(a: tuple[Any, ...], b: tuple[Any, ...], *, arithmetic: str) -> tuple[Any, ...]:
    """The sums over the examples of two parts."""
    return merge_blocks(a, b, arithmetic=_host_arithmetic(arithmetic))


def _host_arithmetic(name: str) -> Arithmetic:
    return trusted_arithmetic(host_backend(), name, no_tiny_inputs=False)


@dataclass(frozen=True, eq=False)
class InParts:
    """Examples in parts; see `TrainingSet`.

    shapes : of inputs, targets and, if there are any, sample weights
    """

    source: Source
    settings: Settings
    shapes: tuple[tuple[int, int], ...]
    survey: Survey
    work: Work
    home: Backend
    dtype: str = "float64"
    scaling: Scaling | None = None
    in_parts: bool = True

    @property
    def place(self) -> Backend:
        """The host."""
        return host_backend()

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return self.shapes[0][0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then the neurons of each layer."""
        return self.work.sizes

    def fingerprint(self) -> str:
        """See `TrainingSet`."""
        return data_fingerprint(self.survey.digest, *self.shapes)

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSet`."""
        return self.survey.low, self.survey.high

    def total_weight(self) -> float:
        """See `TrainingSet`."""
        weighted = len(self.shapes) == 3
        return math.fsum(self.survey.weights) if weighted else float(self.rows)

    def totals(self, function: Summand, *values: Any) -> tuple[Any, ...]:
        """See `TrainingSet`."""
        return tuple(x.astype("float64") for x in self._totals(function, values))

    def _totals(
        self, function: Summand, values: tuple[Any, ...], ranges: np.ndarray | None = None
    ) -> tuple[Any, ...]:
        work = partial(
            part_sums, function=function, values=values, scaling=self.scaling, work=self.work
        )
        merge = partial(merge_sums, arithmetic=self.work.arithmetic)
        sums = self.source.fold(work, merge, ranges)
        return tuple(map(_host_arithmetic(self.work.arithmetic).total, sums))

    def scaled(self, scaling: Scaling) -> "InParts":
        """See `TrainingSet`."""
        return replace(self, scaling=scaling, work=replace(self.work, no_tiny_inputs=True))

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """See `TrainingSet`."""
        settings, arithmetic = self.settings, _host_arithmetic(self.work.arithmetic)
        for iteration in range(start, start + count):
            ranges = batch_ranges(iteration, settings, self.rows) if settings.batch_size else None
            sums = self._totals(steps.block_sums, (parameters,), ranges)
            l2 = settings.l2 or None
            parameters = steps.adjust(parameters, sums, rate, l2, arithmetic=arithmetic)
        return parameters

    def losses(self, parameters: Parameters) -> np.ndarray:
        """See `TrainingSet`."""
        losses: np.ndarray = self._totals(steps.block_losses, (parameters,))[0]
        return losses


def in_parts(
    source: Source,
    settings: Settings,
    shapes: tuple[tuple[int, int], ...],
    *,
    home: Backend,
    dtype: str,
) -> InParts:
    """The training set of a source, after a look at all of it.

    Raises ValueError for what cannot be learned from.
    """
    if settings.shuffle == "rows":
        raise ValueError(SHUFFLE_ROWS)
    found = source.fold(survey, merge_surveys)
    if len(shapes) == 3 and not found.weights:
        raise ValueError(NO_WEIGHT)
    sizes = (shapes[0][1], *settings.hidden, shapes[1][1])
    work = Work(settings.arithmetic, settings.rule, sizes, found.no_tiny_inputs)
    return InParts(source, settings, shapes, found, work, home, dtype)
