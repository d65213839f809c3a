"""A worker with a cluster of its own on the loopback address, and a client that trains on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import neuron_xp
from ci.benchmarks.shapes import Shape, make_inputs, make_targets
from ci.benchmarks.watches import Between
from neuron_xp.neuron.exact_sum import LEAF

if TYPE_CHECKING:
    from dask.array import Array


@dataclass(frozen=True)
class Cut:
    """Data whose chunks the program takes as its parts: they are whole leaves.

    parts : how many; from one to 16 a thread. Data of few leaves may have fewer.
    iterations : of a measured run
    """

    shape: Shape
    parts: int
    iterations: int

    def sizes(self) -> list[int]:
        """Return the rows of each part."""
        leaves = divide_up(self.shape.rows, LEAF)
        size = divide_up(leaves, self.parts) * LEAF
        return [min(size, self.shape.rows - first) for first in range(0, self.shape.rows, size)]

    def load(self) -> "tuple[Array, Array]":
        """Return inputs and targets that are made by the tasks that load them."""
        from dask import array as da
        from dask import delayed

        make, pieces, first = delayed(make_inputs), [], 0
        for size in self.sizes():
            piece = size, self.shape.features
            pieces.append(da.from_delayed(make(first, *piece), piece, "float64"))
            first += size
        inputs = da.concatenate(pieces)
        return inputs, inputs.map_blocks(make_targets, chunks=(inputs.chunks[0], (1,)))


def divide_up(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def count_tasks(parts: int, fan_in: int) -> int:
    """Count an iteration's: one a part, and those that merge so many values, until few are left."""
    tasks = left = parts
    while left > fan_in:
        left = divide_up(left, fan_in)
        tasks += left
    return tasks


@dataclass(frozen=True)
class Trainer:
    """The client; the first of the cuts is the one whose training is compared."""

    cuts: tuple[Cut, ...]

    def count_tasks(self) -> list[int]:
        """Count the tasks of an iteration on each cut."""
        from neuron_xp.cluster.scheduler import FAN_IN

        return [count_tasks(len(cut.sizes()), FAN_IN) for cut in self.cuts]

    def train_first(self) -> str:
        """Have the workers compile, or load what is compiled; return what training ends on."""
        cut = self.cuts[0]
        return _train(cut, cut.shape.compared).fingerprint()

    def run(self) -> list[float]:
        """Measure one round: the seconds of an iteration on each cut."""
        return [_time(cut) for cut in self.cuts]


def _time(cut: Cut) -> float:
    watch = Between()
    _train(cut, cut.iterations, watch)
    return watch.seconds()


def _train(cut: Cut, iterations: int, watch: Between | None = None) -> neuron_xp.NeuralNetwork:
    return neuron_xp.train(
        *cut.load(), learning_rate=cut.shape.learning_rate, iterations=iterations,
        loss_every=iterations, on_progress=watch,
    )  # fmt: skip


@contextmanager
def open_trainer(workers: int, cuts: tuple[Cut, ...]) -> Iterator[Trainer]:
    """Start a cluster, and end it."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else 8787, even without a page
            memory_limit=0,  # nothing is spilled or paused; there is enough, or nothing is measured
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        yield Trainer(cuts)
