"""Training on clusters of processes, beside the same rows in the memory of one."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import neuron_xp
from ci.benchmarks.contest import Openers, hold
from ci.benchmarks.programs import KERNELS, Program, end_network
from ci.benchmarks.results import IDLE, IN_MEMORY, ON_CLUSTER, Contest, Way
from ci.benchmarks.shapes import FEATURES, Shape, make_inputs, make_targets, random_shape
from ci.benchmarks.timed import Pace, TimedProgram, Worker
from neuron_xp.neuron.reproducible.exact_sum import LEAF

if TYPE_CHECKING:
    from dask.array import Array

TINY = 1000
PARTS_A_WORKER = 2
MOST_PARTS_A_WORKER = 16  # of a thread each: of more parts the program makes fewer
ITERATIONS, OF_MANY_PARTS = 16, 8  # in stretches of 1, 2, 4, 8 and 1, or shorter ones
COPIES = 6
"""Of the inputs, at most: in memory, at the workers, and what loads and checks them."""
METHOD = f"""\
Cluster: a scheduler with its client, and worker processes of one thread, on the loopback address;
rows are made by the tasks that load them. An iteration: between two calls of on_progress, so that
loading and the loss fall out. Nothing to compute: {TINY:,} rows, and data of one leaf a part. A
task, a round trip: slope and start of the line from {PARTS_A_WORKER} parts a worker to
{MOST_PARTS_A_WORKER}. In memory: the same rows in one process with a thread a core. All of it
shares this machine's cores: with more workers than cores nothing can be gained."""


def measure(
    rows: int,
    workers: Sequence[int],
    many: Sequence[int],
    pace: Pace,
    free: float | None = None,
) -> Iterator[Contest]:
    """Measure on so many rows, on a cluster of each of these numbers of workers.

    many : in how many parts a worker data are cut besides, to see what a task costs
    free : bytes of memory that may be used; None for all that are free
    """
    shape = random_shape(rows, FEATURES)
    for count in workers:
        title = f"{shape.name} on a cluster, workers: {count}"
        contest = Contest(title, IN_MEMORY, shape, shape.input_bytes, workers=count)
        openers: Openers = {
            IN_MEMORY: partial(TimedProgram, KERNELS, shape, None, pace.seconds, IN_MEMORY),
            "cluster": partial(open_trainer, count, make_cuts(shape, count, many)),
        }
        yield hold(contest, openers, pace, COPIES, free)


def make_cuts(shape: Shape, workers: int, many: Sequence[int]) -> "tuple[Cut, ...]":
    """Cut the shape, then data in which there is nothing to compute, also into many parts."""
    few = PARTS_A_WORKER * workers
    counts = [parts * workers for parts in many]
    return (
        Cut(shape, few, ITERATIONS),
        Cut(random_shape(TINY, shape.features), few, ITERATIONS),
        *(Cut(random_shape(n * LEAF, shape.features), n, OF_MANY_PARTS) for n in counts),
    )


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


def reckon_iteration(marks: Sequence[tuple[int, float]]) -> float:
    """Return the seconds of an iteration, by the calls of `on_progress` but the last.

    Before that one the loss is recorded, which is no part of an iteration. Training in parts
    begins with a stretch of one iteration; so four iterations are enough.
    """
    (first, began), *_, (last, ended), _ = marks
    return (ended - began) / (last - first)


class Trainer(Worker):
    """The client; the first of the cuts is the one whose training is compared."""

    def __init__(self, cuts: tuple[Cut, ...]) -> None:
        super().__init__(Program(partial(_train, cuts[0]), end_network), cuts[0].shape.compared)
        self.cuts = cuts

    def run(self) -> dict[str, Way]:
        """Measure one round: an iteration on each cut."""
        runs = [_time(cut) for cut in self.cuts]
        idle = {f"{IDLE}, {run.tasks} tasks": run for run in runs[1:]}
        return {ON_CLUSTER: runs[0], **idle}


def _time(cut: Cut) -> Way:
    from neuron_xp.cluster.scheduler import FAN_IN

    marks: list[tuple[int, float]] = []
    _train(cut, cut.iterations, lambda at: marks.append((at.iteration, time.perf_counter())))
    parts = len(cut.sizes())
    tasks = count_tasks(parts, FAN_IN)
    return Way((reckon_iteration(marks),), cut.iterations, parts=parts, tasks=tasks)


def _train(
    cut: Cut, iterations: int, on_progress: Callable[[neuron_xp.Progress], None] | None = None
) -> neuron_xp.NeuralNetwork:
    return neuron_xp.train(
        *cut.load(), learning_rate=cut.shape.learning_rate, iterations=iterations,
        loss_every=iterations, on_progress=on_progress,
        progress_every=None if on_progress is None else 1,
    )  # fmt: skip


@contextmanager
def open_trainer(workers: int, cuts: tuple[Cut, ...]) -> Iterator[Trainer]:
    """Start a cluster with its trainer, and end it."""
    with open_workers(workers):
        yield Trainer(cuts)


@contextmanager
def open_workers(workers: int) -> Iterator[None]:
    """Start a cluster, whose client is the active one, and end it."""
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
        yield


def reckon_costs(contest: Contest) -> tuple[float, float] | None:
    """Return the seconds of a task and of a round trip, by the ways with nothing to compute."""
    idle = contest.list_idle()
    if not idle:
        return None
    (few, less), (most, more) = ((way.tasks or 0, way.median) for way in (idle[0], idle[-1]))
    a_task = max(0.0, (more - less) / (most - few))
    return a_task, max(0.0, less - few * a_task)
