"""Kernels for NumPy arrays on the processor: compiled by Numba, run by our own threads."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, starmap

import numpy as np

from neuron_xp.backends.backend import Summand
from neuron_xp.backends.numba_kernels import network as kernel
from neuron_xp.backends.numba_kernels.leaf import LeafSource, NetworkPlan
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.reproducible.exact_sum import LEAF, Accumulator
from neuron_xp.neuron.step import Examples, block_losses, block_sums
from neuron_xp.neuron.types import Array
from neuron_xp.threads import share_tasks

RULE_CODES = {"error_weighted_derivative": kernel.ARTICLE_RULE, "cross_entropy": 1}


@dataclass(frozen=True)
class NumbaKernels:
    """Kernels for NumPy arrays; see `backend.Kernels`.

    rule : the name of the learning rule
    no_tiny_inputs : whether every input is 0 or at least 2^-60 in magnitude, or standardized
    threads : how many may work at once
    task_size : multiplications that a thread takes at a time, about: some 0.2 ms of work, so
        that handing it out costs little
    """

    rule: str
    no_tiny_inputs: bool
    threads: int
    task_size: int = 2**18

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """See `backend.Kernels`."""
        plan, data = self._make_plan(parameters, examples), _lay_out(examples)
        flat = np.concatenate([x.reshape(-1) for arrays in parameters for x in arrays])
        ranges = self._cut_rows(plan, len(data.inputs))
        threads = min(self.threads, len(ranges))
        sums = np.zeros((threads, 4, flat.size), dtype="int64")
        rates = float(learning_rate), float(l2 or 0.0)
        if threads == 1:
            kernel.iterate(plan, flat, data, sums, *rates, count)
            return _unflatten(flat, parameters)

        def add(rows: tuple[int, int], accumulator: Array) -> None:
            kernel.add_sums(plan, flat, data, *rows, accumulator)

        with ThreadPoolExecutor(threads - 1) as pool:
            for _ in range(count):
                share_tasks(add, ranges, sums, pool)
                kernel.adjust(plan, flat, sums, *rates)
        return _unflatten(flat, parameters)

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """See `backend.Kernels`."""
        return kernel.find_totals(self._accumulate_losses(examples, parameters))

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        size = sum(x.size for arrays in parameters for x in arrays)
        totals = kernel.find_totals(self._accumulate(kernel.add_sums, size, examples, parameters))
        weights, biases = _unflatten(totals, parameters)
        return *weights, *biases

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        return self.loss(parameters, examples), *self.sums(parameters, examples)

    def find_summand(self, function: Summand) -> Summand | None:
        """See `backend.Kernels`."""
        known: dict[Summand, Summand] = {
            block_sums: self._sum_gradients,
            block_losses: self._sum_losses,
        }
        return known.get(function)

    def _sum_gradients(self, examples: Examples, parameters: Parameters) -> tuple[Accumulator, ...]:
        """Return what `block_sums` gives for all of the examples."""
        size = sum(x.size for arrays in parameters for x in arrays)
        accumulator = self._accumulate(kernel.add_sums, size, examples, parameters)
        digits = [_unflatten(row, parameters) for row in accumulator]
        return tuple(starmap(Accumulator, zip(*((*w, *b) for w, b in digits), strict=True)))

    def _sum_losses(self, examples: Examples, parameters: Parameters) -> tuple[Accumulator]:
        """Return what `block_losses` gives for all of the examples."""
        return (Accumulator(*self._accumulate_losses(examples, parameters)),)

    def _accumulate_losses(self, examples: Examples, parameters: Parameters) -> Array:
        neurons = examples.targets.shape[1]
        return self._accumulate(kernel.add_losses, neurons, examples, parameters)

    def _accumulate(
        self,
        kernel_add: Callable[..., None],
        size: int,
        examples: Examples,
        parameters: Parameters,
    ) -> Array:
        """Return the exact sums over all examples: (4, size)."""
        plan, data = self._make_plan(parameters, examples), _lay_out(examples)
        flat = np.concatenate([x.reshape(-1) for arrays in parameters for x in arrays])
        ranges = self._cut_rows(plan, len(data.inputs))
        sums = np.zeros((min(self.threads, len(ranges)), 4, size), dtype="int64")

        def add(rows: tuple[int, int], accumulator: Array) -> None:
            kernel_add(plan, flat, data, *rows, accumulator)

        with ThreadPoolExecutor(max(1, len(sums) - 1)) as pool:
            share_tasks(add, ranges, sums, pool)
        kernel.merge_accumulators(sums)
        return sums[0]

    def _make_plan(self, parameters: Parameters, examples: Examples) -> NetworkPlan:
        weights, biases = parameters
        sizes = [weights[0].shape[0], *(layer.shape[1] for layer in weights)]
        return NetworkPlan(
            sizes=np.asarray(sizes),
            neurons=sum(sizes[1:]),
            weights=sum(a * b for a, b in pairwise(sizes)),
            has_biases=bool(biases),
            rule=RULE_CODES[self.rule],
            no_tiny_inputs=self.no_tiny_inputs or examples.scaling is not None,
        )

    def _cut_rows(self, plan: NetworkPlan, rows: int) -> list[tuple[int, int]]:
        """Cut the rows into (start, stop) of whole leaves, each about a task's work.

        Each thread gets as many; where there is little to do there is only one range.
        """
        work = rows * (plan.weights + 8 * plan.neurons)  # a sigmoid costs about as 8
        if self.threads == 1 or work < 4 * self.task_size:  # waking a thread would take as long
            return [(0, rows)]
        count = math.ceil(work / (self.task_size * self.threads)) * self.threads
        count = min(count, math.ceil(rows / LEAF))
        size = math.ceil(rows / (count * LEAF)) * LEAF
        return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def _lay_out(examples: Examples) -> LeafSource:
    inputs, targets, sample_weight, scaling = examples
    empty = np.empty(0)
    source = LeafSource(
        inputs=inputs,
        flat=inputs.reshape(-1) if inputs.flags.c_contiguous else empty,
        targets=targets,
        sample_weight=empty.reshape(0, 0) if sample_weight is None else sample_weight,
        mean=empty if scaling is None else scaling.mean,
        inverse_scale=empty if scaling is None else scaling.inverse_scale,
    )
    return LeafSource(*map(_view_read_only, source))


def _view_read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that may not be written to: of one type for Numba, whatever was given."""
    view = array.view()
    view.flags.writeable = False
    return view


def _unflatten(flat: Array, like: Parameters) -> Parameters:
    """Cut a flat array into arrays of the shapes of `like`."""
    arrays, start = [], 0
    for x in (*like.weights, *like.biases):
        arrays.append(flat[start : start + x.size].reshape(x.shape))
        start += x.size
    return Parameters(tuple(arrays[: len(like.weights)]), tuple(arrays[len(like.weights) :]))
