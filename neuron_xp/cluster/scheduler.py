"""Who runs the tasks: Dask's local scheduler, or a cluster of dask.distributed."""

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
from neuron_xp.threads import available_threads

FAN_IN = 16
"""How many values are merged by one task, and by the client in the end."""
PATIENCE = 30.0
"""Seconds without a worker, after which the cluster counts as lost."""


def merge_all(values: list[Any], *, merge: Callable[[Any, Any], Any]) -> Any:
    """A task: several values, merged."""
    return reduce(merge, values)


class Scheduler(Protocol):
    """Runs tasks, and keeps what they give."""

    threads: int

    def keep(self, tasks: list[Any]) -> list[Any]:
        """Run delayed tasks; what they give stays where it is."""

    def bring(self, collections: list[Any]) -> list[Any]:
        """What delayed tasks or Dask arrays give, brought here."""

    def fold(
        self,
        function: Callable[..., Any],
        tasks: list[tuple[Any, Any]],
        merge: Callable[[Any, Any], Any],
    ) -> Any:
        """The values of function(kept, argument), merged."""


class LocalScheduler:
    """Dask's scheduler in this process."""

    threads = available_threads()

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
        with _lost_is_said(client):
            wanted = client.submit(int, pure=False)  # a cluster that adapts starts a worker for it
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise ClusterLostError(_no_worker(client)) from None
            self.threads = sum(client.nthreads().values())
            wanted.release()

    def keep(self, tasks: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        kept = self._computed(tasks)
        self._wait(kept)
        return kept

    def bring(self, collections: list[Any]) -> list[Any]:
        """See `Scheduler`."""
        return self._gathered(self._computed(collections))

    def fold(self, function: Any, tasks: list[tuple[Any, Any]], merge: Any) -> Any:
        """See `Scheduler`; merged by tasks, in a tree, until few are left."""
        with _lost_is_said(self.client):
            parts, arguments = zip(*tasks, strict=True)
            futures = self.client.map(function, parts, arguments, pure=False, batch_size=None)
            while len(futures) > FAN_IN:
                groups = [futures[i : i + FAN_IN] for i in range(0, len(futures), FAN_IN)]
                futures = self.client.map(partial(merge_all, merge=merge), groups, pure=False)
        return reduce(merge, self._gathered(futures))

    def _computed(self, collections: list[Any]) -> list[Any]:
        with _lost_is_said(self.client), warnings.catch_warnings():
            # what comes from the client's memory must go there
            warnings.filterwarnings("ignore", message="Sending large graph")
            return list(self.client.compute(collections))

    def _gathered(self, futures: list[Any]) -> list[Any]:
        self._wait(futures)  # first: a gathering that is given up complains later
        return list(self._patiently(self.client.gather, futures))

    def _wait(self, futures: list[Any]) -> None:
        """Until all are done; the error of the first task that has one is raised."""
        from distributed import wait

        self._patiently(wait, futures)
        for future in futures:
            if future.status == "error":
                raise _told(future.exception())

    def _patiently(self, function: Callable[..., Any], futures: list[Any]) -> Any:
        """What the function gives for the futures, as long as there are workers to wait for."""
        lonely, turn = 0.0, PATIENCE / 6
        running = self._started(function, futures)
        try:
            while lonely < PATIENCE:
                with _lost_is_said(self.client):
                    try:
                        return running.result(turn)
                    except TimeoutError:
                        if running.done():  # its own
                            raise
                        lonely = 0.0 if self._has_workers(turn) else lonely + turn
        finally:
            running.cancel()
        raise ClusterLostError(_no_worker(self.client))

    def _has_workers(self, seconds: float) -> bool:
        asking = self._started(self.client.scheduler.ncores)
        try:
            return bool(asking.result(seconds))
        except TimeoutError:  # a scheduler that says nothing
            return False
        finally:
            asking.cancel()

    def _started(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A concurrent future of what the function gives, run by the client's own loop."""

        async def run() -> Any:
            return await function(*arguments)  # in their loop Distributed's are coroutines

        return asyncio.run_coroutine_threadsafe(run(), self.client.loop.asyncio_loop)


def _told(error: BaseException) -> BaseException:
    """The error of a task, in our words where it is Distributed's."""
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
def _lost_is_said(client: Any) -> Iterator[None]:
    """Whatever Distributed raises when a cluster is gone, as `ClusterLostError`."""
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


def scheduler() -> Scheduler:
    """The cluster of the active client; without one, Dask's local scheduler."""
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
def cluster(
    address: str | None = None, workers: int | None = None, *, dashboard: bool = False
) -> Iterator[None]:
    """While it is open, training runs there: at a scheduler's address, or on workers started here.

    workers : how many processes, on the loopback address; the processors are shared among them
    dashboard : whether Dask's web page is to be had, on port 8787 of the loopback address

    Raises `ClusterLostError` where no scheduler answers. Encryption is set by Dask's own
    configuration (distributed.comm.tls).
    """
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        stack.enter_context(_quiet())
        where: Any = address
        if where is None:
            where = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=max(1, available_threads() // (workers or 1)),
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
def _quiet() -> Iterator[None]:
    """Without Distributed's log, and its loop's, on stderr: what goes wrong is raised."""
    talkers: list[Any] = [*logging.getLogger("distributed").handlers, logging.getLogger("asyncio")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
