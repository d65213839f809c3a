"""Clusters for the commands: one that is joined, or one that is started for the run."""

import gc
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import Any

import dask
from dask.utils import parse_timedelta

from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.cluster.scheduler import read_patience
from neuron_xp.errors import ClusterLostError, one_line

QUIET = {"asyncio", "bokeh", "distributed", "tornado"}
SAFE = ("tls://", "wss://")


@contextmanager
def open_cluster(
    address: str | None = None, workers: int | None = None, *, dashboard: bool = False
) -> Iterator[None]:
    """Let training run at a scheduler's address, or on workers started here, while it is open.

    workers : how many processes, on the loopback address; only this run can command them
    dashboard : whether Dask's web page is to be had, on port 8787 of the loopback address

    Raises `ClusterLostError` where no scheduler answers, or no worker starts, and ImportError
    where workers could be started only without encryption. At an address encryption is set by
    Dask's own configuration (distributed.comm.tls).
    """
    from neuron_xp.cluster.private import start_workers

    with ExitStack() as stack:
        stack.enter_context(_quiet_logs())
        security = None
        if address is None:
            # compiled here, where it is said and kept, and not by each worker for itself
            has_right_kernels(open_host_backend())
            address, security = stack.enter_context(
                start_workers(workers or 1, dashboard=dashboard)
            )
        try:
            client = _connect(address, security)
        except (OSError, ValueError) as error:
            raise ClusterLostError(
                f"no scheduler answers at {address!r} ({one_line(error)}); to start one type: "
                "dask scheduler"
            ) from error
        # of tasks that end with a cluster its loop would complain when they go, perhaps at exit
        client.loop.asyncio_loop.set_exception_handler(lambda loop, context: None)
        stack.callback(_close, client)
        if not client.scheduler.address.startswith(SAFE):
            warnings.warn(
                f"the cluster at {client.scheduler.address} runs whatever it is sent, by anybody "
                "who reaches it; with TLS, at tls://, it asks who sends",
                RuntimeWarning,
                stacklevel=3,
            )
        yield


def _connect(address: str, security: Any) -> Any:
    """Return a client; raise TimeoutError where a scheduler takes the connection, and no more.

    In a thread that is left behind then, as Distributed waits for ever.
    """
    from distributed import Client

    connected = Future[Any]()

    def connect() -> None:
        try:
            connected.set_result(Client(address, security=security))
        except BaseException as error:
            connected.set_exception(error)

    Thread(target=connect, daemon=True).start()
    limit = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    return connected.result(limit + read_patience())


def _close(client: Any) -> None:
    """Close the client; of a cluster that is gone there is nothing left to say."""
    with suppress(Exception):
        client.close(timeout=5)


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep Distributed's log, and its loop's, off stderr: what goes wrong is raised."""
    known = [logging.getLogger(name) for name in (*QUIET, *logging.root.manager.loggerDict)]
    loggers = [logger for logger in known if logger.name.partition(".")[0] in QUIET]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        gc.collect()  # what is left of tasks complains when it goes
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
