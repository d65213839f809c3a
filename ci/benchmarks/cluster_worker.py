"""A process with a cluster of its own on the loopback address, and a client that trains on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from dask import array as da
from dask import delayed
from distributed import Client, LocalCluster

import neuron_xp
from ci.benchmarks.clocks import Between
from ci.benchmarks.serving import serve
from ci.benchmarks.shapes import Shape, random_inputs, random_shape, targets_of
from neuron_xp.cluster import parts as distributed
from neuron_xp.neuron.exact_sum import LEAF

ITERATIONS = 16  # in stretches of 1, 2, 4, 8 and 1, or shorter ones
OF_MANY_PARTS = 8
PIECE = 2**16 - 1
"""Rows of the data's own chunks: no whole leaves, so that the program makes parts of its own."""


class Trainer:
    """Trains on `large`, and on data in which there is nothing to compute.

    tiny : rows of the latter
    many : in how many parts they are cut besides, to see what a task costs
    """

    def __init__(self, client: Any, workers: int, large: Shape, tiny: int, many: list[int]) -> None:
        self.client, self.workers, self.large = client, workers, large
        self.tiny = random_shape(tiny, large.features)
        self.many = many

    def first(self) -> dict[str, Any]:
        """The workers compile, or load what is compiled, and are compared."""
        network, _ = self._train(self.large, self.large.compared)
        return {"fingerprint": network.fingerprint()}

    def run(self) -> dict[str, Any]:
        """One round."""
        return {
            "large": self._timed(self.large),
            "tiny": self._timed(self.tiny),
            "many": [self._in_parts(parts) for parts in self.many],
        }

    def _in_parts(self, parts: int) -> dict[str, Any]:
        """Time with so many parts of a leaf each, which the program would not choose."""
        shape = random_shape(parts * LEAF, self.large.features)
        with mock.patch.object(distributed, "PARTS_A_THREAD", parts // self.workers):
            return self._timed(shape, OF_MANY_PARTS)

    def _timed(self, shape: Shape, iterations: int = ITERATIONS) -> dict[str, Any]:
        watch = Between()
        _, tasks = self._train(shape, iterations, on_progress=watch)
        return {"seconds": watch.seconds(), **tasks}

    def _train(self, shape: Shape, iterations: int, **options: Any) -> tuple[Any, dict[str, int]]:
        """The network, and the parts and tasks of its last iteration."""
        inputs, targets = _data(shape)
        with counted(self.client) as calls:
            network = neuron_xp.train(
                inputs, targets, learning_rate=shape.learning_rate, iterations=iterations,
                loss_every=iterations, **options,
            )  # fmt: skip
        folds = list(_folds(calls))
        return network, {"parts": folds[-1][0], "tasks": sum(folds[-1])}


def _data(shape: Shape) -> tuple[Any, Any]:
    """The shape's data, made by the tasks that load them."""
    piece, make = min(PIECE, shape.rows // 2 | 1), delayed(random_inputs)
    pieces = []
    for first in range(0, shape.rows, piece):
        size = min(piece, shape.rows - first), shape.features
        pieces.append(da.from_delayed(make(first, *size), size, "float64"))
    inputs = da.concatenate(pieces)
    return inputs, inputs.map_blocks(targets_of, chunks=(inputs.chunks[0], (1,)))


@contextmanager
def counted(client: Any) -> Iterator[list[tuple[Any, int]]]:
    """The calls of `client.map` meanwhile: what is called, and how many tasks that makes."""
    calls, submit = list[tuple[Any, int]](), client.map

    def counting(function: Any, *iterables: Any, **options: Any) -> Any:
        futures = submit(function, *iterables, **options)
        calls.append((function, len(futures)))
        return futures

    with mock.patch.object(client, "map", counting):
        yield calls


def _folds(calls: list[tuple[Any, int]]) -> Iterator[list[int]]:
    """For each fold the tasks of its levels: the parts, then those that merge."""
    levels = list[int]()
    for function, tasks in calls:
        if function.func is distributed.value and levels:
            yield levels
            levels = []
        levels.append(tasks)
    yield levels


@contextmanager
def _opened(task: dict[str, Any]) -> Iterator[Trainer]:
    with (
        LocalCluster(
            n_workers=task["workers"],
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
        client.wait_for_workers(task["workers"])
        yield Trainer(client, **{**task, "large": Shape(**task["large"])})


if __name__ == "__main__":
    serve(_opened)
