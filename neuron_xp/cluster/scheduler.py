"""Schedulers that run the tasks: Dask's own in this process, or a cluster of dask.distributed.

Two numbers can be set in Dask's configuration: `neuron-xp.patience`, the seconds without a worker
after which a cluster counts as lost, and `neuron-xp.fan-in`, how many values one task merges.
"""

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from importlib.util import find_spec
from typing import Any, Protocol

import dask

from neuron_xp.errors import ClusterLostError, one_line
from neuron_xp.threads import count_threads

PATIENCE = 30.0
FAN_IN = 16
dask.config.update_defaults({"neuron-xp": {"patience": PATIENCE, "fan-in": FAN_IN}})


def merge_values(values: list[Any], *, merge: Callable[[Any, Any], Any]) -> Any:
    """Merge several values (a task)."""
    return reduce(merge, values)


class Scheduler(Protocol):
    """Runs tasks, and keeps what they give.

    threads : how many tasks can run at once
    """

    threads: int

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

    threads = count_threads()

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
        self.patience = float(dask.config.get("neuron-xp.patience"))
        self.fan_in = int(dask.config.get("neuron-xp.fan-in"))
        with _raising_cluster_lost(client):
            wanted = client.submit(int, pure=False)  # a cluster that adapts starts a worker for it
            try:
                client.wait_for_workers(1, timeout=self.patience)
            except TimeoutError:
                raise ClusterLostError(_no_worker(client)) from None
            self.threads = sum(client.nthreads().values())
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
        running = self._start(function, futures)
        try:
            while without_workers < self.patience:
                with _raising_cluster_lost(self.client):
                    try:
                        return running.result(turn)
                    except TimeoutError:
                        if running.done():  # its own
                            raise
                        is_alone = not self._has_workers(turn)
                        without_workers = without_workers + turn if is_alone else 0.0
        finally:
            running.cancel()
        raise ClusterLostError(_no_worker(self.client))

    def _has_workers(self, seconds: float) -> bool:
        asking = self._start(self.client.scheduler.ncores)
        try:
            return bool(asking.result(seconds))
        except TimeoutError:  # a scheduler that says nothing
            return False
        finally:
            asking.cancel()

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run the function in the client's own loop: return a concurrent future of its result."""

        async def run() -> Any:
            return await function(*arguments)  # in their loop Distributed's are coroutines

        return asyncio.run_coroutine_threadsafe(run(), self.client.loop.asyncio_loop)


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


@contextmanager
def open_cluster(
    address: str | None = None, workers: int | None = None, *, dashboard: bool = False
) -> Iterator[None]:
    """Let training run at a scheduler's address, or on workers started here, while it is open.

    workers : how many processes, on the loopback address; the processors are shared among them
    dashboard : whether Dask's web page is to be had, on port 8787 of the loopback address

    Raises `ClusterLostError` where no scheduler answers. Encryption is set by Dask's own
    configuration (distributed.comm.tls).
    """
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        stack.enter_context(_quiet_logs())
        where: Any = address
        if where is None:
            where = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=max(1, count_threads() // (workers or 1)),
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:8787" if dashboard else None,
                    scheduler_kwargs={} if dashboard else {"dashboard_address": "127.0.0.1:0"},
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = Client(where)
        except (OSError, ValueError) as error:
            raise ClusterLostError(
                f"no scheduler answers at {address!r} ({one_line(error)}); to start one type: "
                "dask scheduler"
            ) from error
        stack.enter_context(client)
        yield


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep Distributed's log, and its loop's, off stderr: what goes wrong is raised."""
    loggers: list[Any] = [*logging.getLogger("distributed").handlers, logging.getLogger("asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
