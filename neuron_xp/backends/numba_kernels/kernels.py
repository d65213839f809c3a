"""Kernels for NumPy arrays on the processor: compiled by Numba, run by our own threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import Any

import numpy as np

from neuron_xp.backends.numba_kernels import network as kernel
from neuron_xp.backends.numba_kernels.leaf import Data, Network
from neuron_xp.neuron.exact_sum import LEAF, Accumulator
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array
from neuron_xp.threads import share_tasks

TASK = 2**18
"""Multiplications in a task, about: some 0.2 ms, so that handing it out costs little."""

RULES = {"error_weighted_derivative": kernel.ARTICLE_RULE, "cross_entropy": 1}


@dataclass(frozen=True)
class Kernels:
    """What the array operations of `step` and `loss` compute, with the same bits.

    rule : the name of the learning rule
    no_tiny_inputs : whether every input is 0 or at least 2^-60 in magnitude, or standardized
    threads : how many may work at once
    task : multiplications in a task, about
    """

    rule: str
    no_tiny_inputs: bool
    threads: int
    task: int = TASK

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """The parameters after `count` iterations."""
        network, data = self._network(parameters, examples), _data(examples)
        flat = np.concatenate([x.reshape(-1) for part in parameters for x in part])
        tasks = self._tasks(network, len(data.inputs))
        threads = min(self.threads, len(tasks))
        sums = np.zeros((threads, 4, flat.size), dtype="int64")
        rates = float(learning_rate), float(l2 or 0.0)
        if threads == 1:
            kernel.iterate(network, flat, data, sums, *rates, count)
            return _unpacked(flat, parameters)

        def add(task: tuple[int, int], accumulator: Array) -> None:
            kernel.add_sums(network, flat, data, *task, accumulator)

        with ThreadPoolExecutor(threads - 1) as pool:
            for _ in range(count):
                share_tasks(add, tasks, sums, pool)
                kernel.adjust(network, flat, sums, *rates)
        return _unpacked(flat, parameters)

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """The rule's loss, summed over the examples, for each output neuron."""
        return kernel.totals(self._losses(examples, parameters))

    def sums(self, examples: Examples, parameters: Parameters) -> tuple[Accumulator, ...]:
        """What `block_sums` gives for all of the examples."""
        size = sum(x.size for part in parameters for x in part)
        accumulator = self._accumulated(kernel.add_sums, size, examples, parameters)
        rows = [_unpacked(row, parameters) for row in accumulator]
        return tuple(starmap(Accumulator, zip(*((*w, *b) for w, b in rows), strict=True)))

    def losses(self, examples: Examples, parameters: Parameters) -> tuple[Accumulator]:
        """What `block_losses` gives for all of the examples."""
        return (Accumulator(*self._losses(examples, parameters)),)

    def _losses(self, examples: Examples, parameters: Parameters) -> Array:
        neurons = examples.targets.shape[1]
        return self._accumulated(kernel.add_losses, neurons, examples, parameters)

    def _accumulated(
        self, kernel_add: Any, size: int, examples: Examples, parameters: Parameters
    ) -> Array:
        """The exact sums of all tasks: (4, size)."""
        network, data = self._network(parameters, examples), _data(examples)
        flat = np.concatenate([x.reshape(-1) for part in parameters for x in part])
        tasks = self._tasks(network, len(data.inputs))
        sums = np.zeros((min(self.threads, len(tasks)), 4, size), dtype="int64")

        def add(task: tuple[int, int], accumulator: Array) -> None:
            kernel_add(network, flat, data, *task, accumulator)

        with ThreadPoolExecutor(max(1, len(sums) - 1)) as pool:
            share_tasks(add, tasks, sums, pool)
        kernel.merge_all(sums)
        return sums[0]

    def _network(self, parameters: Parameters, examples: Examples) -> Network:
        weights, biases = parameters
        sizes = [weights[0].shape[0], *(layer.shape[1] for layer in weights)]
        return Network(
            sizes=np.asarray(sizes),
            neurons=sum(sizes[1:]),
            weights=sum(a * b for a, b in pairwise(sizes)),
            has_biases=bool(biases),
            rule=RULES[self.rule],
            no_tiny_inputs=self.no_tiny_inputs or examples.scaling is not None,
        )

    def _tasks(self, network: Network, rows: int) -> list[tuple[int, int]]:
        """(start, stop) of rows: whole leaves, one for each thread if there is enough to do."""
        work = rows * (network.weights + 8 * network.neurons)  # a sigmoid costs about as 8
        if self.threads == 1 or work < 4 * self.task:  # waking a thread would take as long
            return [(0, rows)]
        count = -(-work // (self.task * self.threads)) * self.threads
        count = min(count, -(-rows // LEAF))
        size = -(-rows // (count * LEAF)) * LEAF
        return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def _data(examples: Examples) -> Data:
    inputs, targets, sample_weight, scaling = examples
    none = np.empty(0)
    return Data(
        *map(
            _read_only,
            (
                inputs,
                inputs.reshape(-1) if inputs.flags.c_contiguous else none,
                targets,
                none.reshape(0, 0) if sample_weight is None else sample_weight,
                none if scaling is None else scaling.mean,
                none if scaling is None else scaling.inverse_scale,
            ),
        )
    )


def _read_only(array: Array) -> Array:
    """The same numbers; Numba would compile anew for arrays that may not be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def _unpacked(flat: Array, like: Parameters) -> Parameters:
    arrays, place = [], 0
    for x in (*like.weights, *like.biases):
        arrays.append(flat[place : place + x.size].reshape(x.shape))
        place += x.size
    return Parameters(tuple(arrays[: len(like.weights)]), tuple(arrays[len(like.weights) :]))
