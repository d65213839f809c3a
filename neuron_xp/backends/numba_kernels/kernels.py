"""Kernels for NumPy arrays on the processor: compiled by Numba, run by our own threads."""

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, starmap
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import SUMMANDS, Summand, Think
from neuron_xp.backends.numba_kernels import network as kernel
from neuron_xp.backends.numba_kernels.compiler import is_kept
from neuron_xp.backends.numba_kernels.leaf import LeafSource, NetworkPlan
from neuron_xp.backends.numba_kernels.llvm.meeting import IS_OVER, YIELD, open_meeting
from neuron_xp.backends.numba_kernels.llvm.vectors import WIDTH
from neuron_xp.backends.numba_kernels.rules import RULE_CODES, WEIGHTED_SUMS
from neuron_xp.neuron.layers import Parameters, flatten
from neuron_xp.neuron.reproducible.elementary import (
    SMALLEST_FACTOR,
    SMALLEST_NORMAL,
    SMALLEST_PRODUCT,
    flush,
)
from neuron_xp.neuron.reproducible.exact_sum import LEAF, Accumulator
from neuron_xp.neuron.step import (
    Examples,
    Scaling,
    block_losses,
    block_losses_and_sums,
    block_sums,
)
from neuron_xp.neuron.types import Array
from neuron_xp.threads import run_at_once

NO_OUTPUTS = np.empty((0, 0))
LONGEST_CALL = 2**30
"""Multiplications of a call, about: half a second, in which Ctrl-C has to wait."""


@dataclass(frozen=True)
class NumbaKernels:
    """Kernels for NumPy arrays; see `backend.Kernels`.

    rule : the name of the learning rule
    no_tiny_inputs : whether every input is 0 or at least 2^-60 in magnitude, or standardized
    threads : how many may work at once
    task_size : multiplications that a thread takes at a time, about: some 25 microseconds of work
    """

    rule: str
    no_tiny_inputs: bool
    threads: int
    task_size: int = 2**15

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """See `backend.Kernels`."""
        work = self._lay_out(examples, parameters, gradients=True, iterations=count)
        at_once = max(1, LONGEST_CALL // _count_work(work.plan, len(examples.inputs)))
        for done in range(0, count, at_once):  # in between Python looks for signals
            how_many = min(at_once, count - done)
            work.run(float(learning_rate), float(l2 or 0.0), how_many)
        layers = len(parameters.weights)
        arrays = work.cut(work.parameters)
        return Parameters(arrays[:layers], arrays[layers:])

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """See `backend.Kernels`."""
        return self._total(block_losses, examples, parameters)[0]

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        return self._total(block_sums, examples, parameters)

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        return self._total(block_losses_and_sums, examples, parameters)

    def share_all(self) -> "NumbaKernels":
        """See `backend.Kernels`."""
        return replace(self, task_size=1)

    def find_summand(self, function: Summand) -> Summand | None:
        """See `backend.Kernels`."""
        return partial(self._sum, function) if function in SUMMANDS else None

    def find_think(self, *, logits: bool) -> Think:
        """See `backend.Kernels`."""
        return partial(self._think, WEIGHTED_SUMS if logits else RULE_CODES[self.rule])

    def _think(
        self, rule: int, inputs: Array, parameters: Parameters, scaling: Scaling | None
    ) -> Array | None:
        """Return the outputs; None for inputs that may be not finite, or tiny and still count.

        One below 2^-1022, which is to be 0, has no effect if no weight turns it into a product
        that is not taken for 0.
        """
        flushed = Parameters(
            *(tuple(flush(x, SMALLEST_FACTOR, xp=np) for x in arrays) for arrays in parameters)
        )
        if not (abs(flushed.weights[0]) < SMALLEST_PRODUCT / SMALLEST_NORMAL).all():
            return None
        examples = Examples(inputs, np.empty((len(inputs), 0)), scaling=scaling)
        plain = self._lay_out(examples, flushed)
        outputs = np.empty((len(inputs), plain.plan.sizes[-1]))
        work = plain._replace(plan=plain.plan._replace(rule=rule), outputs=outputs)
        return outputs if work.run() else None

    def is_compiled(self) -> bool:
        """Tell whether this machine keeps the kernel of iterations compiled, without doing it."""
        ones = np.ones((1, 1))
        work = self._lay_out(Examples(ones, ones), Parameters((ones,)))
        return is_kept(kernel.iterate, *work.list_arguments(0))

    def _sum(
        self, function: Summand, examples: Examples, parameters: Parameters
    ) -> tuple[Accumulator, ...]:
        """Return what the function gives for all of the examples."""
        losses, gradients = SUMMANDS[function]
        work = self._lay_out(examples, parameters, losses=losses, gradients=gradients)
        digits = map(work.cut, work.accumulate())
        return tuple(starmap(Accumulator, zip(*digits, strict=True)))

    def _total(
        self, function: Summand, examples: Examples, parameters: Parameters
    ) -> tuple[Array, ...]:
        """Return the totals of what the function gives for all of the examples."""
        losses, gradients = SUMMANDS[function]
        work = self._lay_out(examples, parameters, losses=losses, gradients=gradients)
        return work.cut(kernel.list_totals(work.accumulate()))

    def _lay_out(
        self,
        examples: Examples,
        parameters: Parameters,
        *,
        losses: bool = False,
        gradients: bool = False,
        iterations: int = 1,
    ) -> "_Work":
        sizes = [len(parameters.weights[0]), *(w.shape[1] for w in parameters.weights)]
        plan = NetworkPlan(
            sizes=np.asarray(sizes),
            neurons=sum(sizes[1:]),
            weights=sum(a * b for a, b in pairwise(sizes)),
            has_biases=bool(parameters.biases),
            rule=RULE_CODES[self.rule],
            no_tiny_inputs=self.no_tiny_inputs or examples.scaling is not None,
            losses=losses,
            gradients=gradients,
        )
        of_parameters = [x.shape for arrays in parameters for x in arrays]
        shapes = [(sizes[-1],)] * losses + of_parameters * gradients
        ranges, threads = self._cut_rows(plan, len(examples.inputs), iterations)
        sums = min(threads, len(ranges)), 4, sum(map(math.prod, shapes))
        return _Work(
            plan=plan,
            parameters=flatten(parameters, xp=np),
            data=_lay_out(examples),
            shapes=shapes,
            shared=kernel.Shared(ranges, np.zeros(sums, dtype="int64"), open_meeting()),
        )

    def _cut_rows(self, plan: NetworkPlan, rows: int, iterations: int) -> tuple[Array, int]:
        """Cut the rows into (start, stop) of whole leaves, each about a task's work or less.

        Returns also how many threads are to share them.

        Each thread gets as many, and a slow one leaves some to the others. There are fewer threads
        where there is little to do: to start one takes as long as sixteen tasks, and to wait for
        it after an iteration less than one.
        """
        work = _count_work(plan, rows)
        worth_waiting = work // max(self.task_size // 2, 1)
        worth_starting = work * iterations // (16 * self.task_size)
        threads = max(min(self.threads, worth_waiting, worth_starting), 1)
        tasks = math.ceil(work / (self.task_size * threads)) if threads > 1 else 1
        leaves = max(1, math.ceil(rows / LEAF))
        size = math.ceil(leaves / min(tasks * threads, leaves)) * LEAF
        starts = np.arange(0, rows, size)
        return np.stack([starts, np.minimum(starts + size, rows)], axis=1), threads


def _count_work(plan: NetworkPlan, rows: int) -> int:
    """Count the multiplications of an iteration, about: a sigmoid costs as many as 8."""
    return max(1, rows * (plan.weights + 8 * plan.neurons))


class _Work(NamedTuple):
    """Sums over examples, and their outputs, laid out for the kernels.

    parameters : one flat array
    shapes : of the sums
    outputs : (rows, outputs), for what the last layer makes of the examples; or empty
    """

    plan: NetworkPlan
    parameters: Array
    data: LeafSource
    shapes: list[tuple[int, ...]]
    shared: kernel.Shared
    outputs: Array = NO_OUTPUTS

    def run(self, *how: Any) -> bool:
        """Call `network.iterate` in all threads at once; tell whether z was finite in each."""
        meeting = self.shared.meeting
        meeting[:YIELD] = 0
        found = run_at_once(
            lambda thread: kernel.iterate(*self.list_arguments(thread, *how)),
            range(len(self.shared.sums)),
            give_up=partial(meeting.__setitem__, IS_OVER, 1),
        )
        return all(found)

    def list_arguments(
        self, thread: int, learning_rate: float = 0.0, l2: float = 0.0, count: int = 0
    ) -> tuple[Any, ...]:
        """List what `network.iterate` takes."""
        data = self.plan, self.parameters, self.data, self.shared, thread, self.outputs
        return *data, learning_rate, l2, count

    def accumulate(self) -> Array:
        """Return the exact sums over all examples: (4, sums)."""
        self.run()
        sums = self.shared.sums
        if len(sums) > 1:
            kernel.merge_accumulators(sums)
        return sums[0]

    def cut(self, flat: Array) -> tuple[Array, ...]:
        """Cut one number for each sum into arrays of the sums' shapes."""
        arrays, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            arrays.append(flat[start:stop].reshape(shape))
            start = stop
        return tuple(arrays)


def _lay_out(examples: Examples) -> LeafSource:
    inputs, targets, sample_weight, scaling = examples
    empty = np.empty(0)
    memory, row_step, column_step = _find_steps(inputs)
    weight = empty.reshape(0, 0) if sample_weight is None else sample_weight
    return LeafSource(
        memory=_view_read_only(memory),
        row_step=row_step,
        column_step=column_step,
        targets=_view_read_only(np.ascontiguousarray(targets)),
        sample_weight=_view_read_only(np.ascontiguousarray(weight)),
        mean=_view_read_only(empty if scaling is None else _pad(scaling.mean)),
        inverse_scale=_view_read_only(empty if scaling is None else _pad(scaling.inverse_scale)),
    )


def _find_steps(inputs: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the memory of the inputs, in one dimension, and the steps of rows and columns in it.

    Only what runs backwards there, or lies between the places of numbers, is copied.
    """
    if min(inputs.strides) < 0 or any(step % inputs.itemsize for step in inputs.strides):
        inputs = np.ascontiguousarray(inputs)
    if inputs.flags.c_contiguous:
        return inputs.reshape(-1), inputs.shape[1], 1
    steps = [step // inputs.itemsize for step in inputs.strides]
    last = sum((size - 1) * step for size, step in zip(inputs.shape, steps, strict=True))
    memory = np.lib.stride_tricks.as_strided(inputs, (last + 1,), (inputs.itemsize,))
    return memory, steps[0], steps[1]


def _pad(x: Array) -> Array:
    return np.concatenate([x, np.zeros(WIDTH)])


def _view_read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that may not be written to: of one type for Numba, whatever was given."""
    view = array.view()
    view.flags.writeable = False
    return view
