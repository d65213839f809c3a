"""Schedulers that run the tasks: Dask's own in this process, or a cluster of dask.distributed.

Two numbers can be set in Dask's configuration: `neuron-xp.patience`, the seconds after which a
worker that says nothing is given up, and a cluster without workers counts as lost; and
`neuron-xp.fan-in`, how many values one task merges.
"""

import asyncio
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, reduce
from importlib.util import find_spec
from typing import Any, Protocol

import dask

from neuron_xp.cluster.silence import Silence, longest_silence
from neuron_xp.errors import ClusterLostError
from neuron_xp.threads import count_threads

PATIENCE = 30.0
FAN_IN = 16


def read_patience() -> float:
    """Return the seconds for which a worker, or a cluster without one, is waited for."""
    return float(dask.config.get("neuron-xp.patience", PATIENCE))


def merge_values(values: list[Any], *, merge: Callable[[Any, Any], Any]) -> Any:
    """Merge several values (a task)."""
    return reduce(merge, values)


class Scheduler(Protocol):
    """Runs tasks, and keeps what they give.

    threads : how many tasks can run at once
    threads_a_machine : how many of them in the memory of one machine, at most
    """

    threads: int
    threads_a_machine: int

    def keep(self, tasks: list[Any]) -> list[Any]:
        """Run delayed tasks; what they give stays where it is."""

    def bring(self, collections: list[Any]) -> list[Any]:
        """Compute delayed tasks or Dask arrays, and bring what they give here."""

    def fold(
        self,
        function: Callable[..., Any],
        tasks: list[tuple[Any, Any]],
        merge: Callable[[Any, Any], Any],
    ) -> Any:
        """Merge the values of function(kept, argument) of each task."""


class LocalScheduler:
    """Scheduler of Dask itself, in this process."""

    threads = threads_a_machine = count_threads()

    def keep(self, tasks: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        return list(dask.persist(*tasks))

    def bring(self, collections: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        return list(dask.compute(*collections))

    def fold(self, function: Any, tasks: list[tuple[Any, Any]], merge: Any) -> Any:
        """See `Scheduler`."""
        call = dask.delayed(function, pure=False)
        return reduce(merge, dask.compute(*(call(*task) for task in tasks)))


class Cluster:
    """The scheduler of a client of dask.distributed."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.patience = read_patience()
        self.fan_in = int(dask.config.get("neuron-xp.fan-in", FAN_IN))
        with _raising_cluster_lost(client):
            wanted = client.submit(int, pure=False)  # a cluster that adapts starts a worker for it
            try:
                threads = self._ask(self.patience, _find_threads, client.scheduler)
            except TimeoutError:
                raise ClusterLostError(_no_worker(client)) from None
            self.threads = sum(threads.values())
            self.threads_a_machine = max(_count_by_machine(threads).values())
            wanted.release()

    def keep(self, tasks: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        kept = self._compute(tasks)
        self._wait(kept)
        return kept

    def bring(self, collections: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        return self._gather(self._compute(collections))

    def fold(self, function: Any, tasks: list[tuple[Any, Any]], merge: Any) -> Any:
        """See `Scheduler`; merged by tasks, in a tree, until few are left."""
        with _raising_cluster_lost(self.client):
            parts, arguments = zip(*tasks, strict=True)
            futures = self.client.map(function, parts, arguments, pure=False, batch_size=None)
            while len(futures) > self.fan_in:
                starts = range(0, len(futures), self.fan_in)
                groups = [futures[i : i + self.fan_in] for i in starts]
                futures = self.client.map(partial(merge_values, merge=merge), groups, pure=False)
        return reduce(merge, self._gather(futures))

    def _compute(self, collections: list[Any]) -> list[Any]:
        with _raising_cluster_lost(self.client), warnings.catch_warnings():
            # what comes from the client's memory must go there
            warnings.filterwarnings("ignore", message="Sending large graph")
            return list(self.client.compute(collections))

    def _gather(self, futures: list[Any]) -> list[Any]:
        self._wait(futures)  # first: a gathering that is given up complains later
        return list(self._wait_patiently(self.client.gather, futures))

    def _wait(self, futures: list[Any]) -> None:
        """Wait until all are done; raise the error of the first task that has one."""
        from distributed import wait

        self._wait_patiently(wait, futures)
        for future in futures:
            if future.status == "error":
                raise _task_error(future.exception())

    def _wait_patiently(self, function: Callable[..., Any], futures: list[Any]) -> Any:
        """Return what the function gives for the futures, while there are workers to wait for."""
        without_workers, turn = 0.0, self.patience / 6
        silence = Silence()
        running = self._start(function, futures)
        try:
            while without_workers < self.patience:
                with _raising_cluster_lost(self.client):
                    try:
                        return running.result(turn)
                    except TimeoutError:
                        if running.done():  # its own
                            raise
                        heard = self._hear_workers(turn)
                        without_workers = 0.0 if heard else without_workers + turn
                        limit = longest_silence(self.patience, len(heard))
                        self._give_up(silence.find(heard, turn, limit), limit)
        finally:
            running.cancel()
        raise ClusterLostError(_no_worker(self.client))

    def _hear_workers(self, seconds: float) -> dict[str, float]:
        """Return when the scheduler heard last of each worker, by its own clock."""
        try:
            workers = self._ask(seconds, self.client.scheduler.identity)["workers"]
        except TimeoutError:  # a scheduler that says nothing
            return {}
        return {address: worker["last_seen"] for address, worker in workers.items()}

    def _give_up(self, workers: list[str], seconds: float) -> None:
        """Have the scheduler kill silent workers, or forget them: their work goes to others."""
        if not workers:
            return
        warnings.warn(
            f"given up after {seconds:g} seconds of silence: worker {', '.join(workers)}; "
            "its work goes to others",
            RuntimeWarning,
            stacklevel=2,
        )
        self._start(
            partial(
                self.client.scheduler.restart_workers,
                workers=workers,
                wait_for_workers=False,
                timeout=self.patience,  # of a nanny that is silent, too
                on_error="return",
                stimulus_id="neuron-xp-patience",
            )
        )

    def _ask(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function gives; raise TimeoutError where that takes longer."""
        asking = self._start(function, *arguments)
        try:
            return asking.result(seconds)
        finally:
            asking.cancel()

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run the function in the client's own loop: return a concurrent future of its result."""

        async def run() -> Any:
            return await function(*arguments)  # in their loop Distributed's are coroutines

        return asyncio.run_coroutine_threadsafe(run(), self.client.loop.asyncio_loop)


async def _find_threads(scheduler: Any) -> dict[str, int]:
    """Return how many threads each worker has, as soon as one runs.

    Distributed's wait_for_workers looks at its timeout between answers: it waits for ever for a
    scheduler that says nothing.
    """
    while True:
        workers = (await scheduler.identity())["workers"]
        if any(worker["status"] == "running" for worker in workers.values()):
            return {address: worker["nthreads"] for address, worker in workers.items()}
        await asyncio.sleep(0.1)


def _count_by_machine(threads: Mapping[str, int]) -> Counter[str]:
    """Count the threads of the workers at these addresses, such as "tcp://10.0.0.7:40111"."""
    counts = Counter[str]()
    for address, count in threads.items():
        counts[address.rpartition(":")[0]] += count
    return counts


def _task_error(error: BaseException) -> BaseException:
    """Return the error of a task, in our words where it is Distributed's."""
    if type(error).__name__ != "KilledWorker":
        return error
    return ClusterLostError(
        "one part was lost with its worker again and again: has a worker enough memory for it? "
        "Give more workers, or workers with more memory"
    )


def _no_worker(client: Any) -> str:
    address = _address(client)
    return f"no worker is at {address} (for one more type: dask worker {address})"


def _address(client: Any) -> str:
    return str(client.scheduler.address if client.scheduler else "its scheduler")


@contextmanager
def _raising_cluster_lost(client: Any) -> Iterator[None]:
    """Raise ClusterLostError for whatever Distributed raises when a cluster is gone."""
    from distributed import CancelledError

    try:
        yield
    except ClusterLostError:
        raise
    except Exception as error:
        gone = isinstance(error, CancelledError | OSError)  # of these is CommClosedError
        if not gone and type(error).__name__ != "ClosedClientError":
            raise
        problem = f"the scheduler at {_address(client)} is gone, or out of reach"
        raise ClusterLostError(problem) from error


def find_scheduler() -> Scheduler:
    """Return the cluster of the active client; without one, Dask's scheduler in this process."""
    if find_spec("distributed") is None:
        return LocalScheduler()
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:  # there is none
        return LocalScheduler()
    if client.asynchronous:
        raise TypeError("the Dask client is asynchronous; train with a Client that is not")
    return Cluster(client)
