"""Clusters of processes on this machine that nobody else can join, command or look into.

Scheduler, nannies and workers speak TLS, with a certificate that was made for this run and is
kept in memory: who does not hold it is refused. None of them has a web server, unless Dask's
dashboard is asked for, and what a worker spills lies in a folder that only its user can open.
"""

import asyncio
import logging
import os
import signal
import socket
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, Status, Worker
from distributed.system import MEMORY_LIMIT

from neuron_xp.cluster.scheduler import read_patience
from neuron_xp.errors import ClusterLostError, one_line
from neuron_xp.threads import count_threads

HOST = "127.0.0.1"
DASHBOARD_PORT = 8787
STARTS = 3
"""How often a worker is started that dies, or falls silent, while it starts."""
PATIENCES_TO_START = 4
LONGEST_CLOSING = 20.0
NO_CRYPTOGRAPHY = (
    "cryptography is not installed, without which the workers would run what any user of this "
    "machine sends them; type: pip install 'neuron-xp[dask]'"
)

# What shows and neither changes nor fetches anything: routes that a user's own configuration
# adds would be open to everybody on this machine.
ROUTES = [f"distributed.http.{name}" for name in ("scheduler.info", "scheduler.json", "health",
                                                 "statics")]  # fmt: skip


class PrivateScheduler(Scheduler):  # type: ignore[misc]
    """Scheduler with a web server only where an address for one was given."""

    def start_http_server(
        self, routes: Any, dashboard_address: Any, *arguments: Any, **more: Any
    ) -> None:
        """Listen for the dashboard, if there is to be one: Dask listens in any case."""
        if dashboard_address is not None:
            super().start_http_server(routes, dashboard_address, *arguments, **more)


class PrivateWorker(Worker):  # type: ignore[misc]
    """Worker without a web server and without a log: what goes wrong, the client raises."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        logging.disable(logging.CRITICAL)  # in the worker's process
        super().__init__(*arguments, **more)

    def start_http_server(self, *arguments: Any, **more: Any) -> None:
        """Do without."""


class PrivateNanny(Nanny):  # type: ignore[misc]
    """Nanny that starts its worker again if it dies, or falls silent, while it starts.

    patience : seconds until a worker that starts counts as silent
    """

    def __init__(self, *arguments: Any, patience: float, **more: Any) -> None:
        super().__init__(*arguments, worker_class=PrivateWorker, **more)
        self.patience = patience

    async def instantiate(self) -> Any:
        """Start the worker; return its status."""
        for _ in range(STARTS):
            try:
                async with asyncio.timeout(self.patience):
                    status = await super().instantiate()
            except TimeoutError:
                status = await self._kill_silent()
            if status == Status.running or self.status not in (
                Status.init,
                Status.starting,
                Status.running,
            ):
                break
        return status

    async def _kill_silent(self) -> Any:
        """Kill a process that hangs in its start, and wait until it is gone."""
        with suppress(ValueError, AttributeError):  # it has just gone
            await self.process.process.kill()
        await self.process.stopped.wait()
        return self.process.status


def _block_interrupts() -> None:
    """Keep Ctrl-C from the processes that this thread starts, which have its mask.

    It goes to every process of a terminal, and is for the command alone.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # first: it ends with taking the block away
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextmanager
def start_workers(count: int, *, dashboard: bool) -> Iterator[tuple[str, Security]]:
    """Yield the address of a scheduler with workers, and what a client shows to be let in.

    count : how many processes, among which the processors and the memory are shared
    dashboard : whether Dask's web page is to be had, which any user of this machine can read

    Raises ImportError without cryptography, and ClusterLostError if no worker started.
    """
    if find_spec("cryptography") is None:
        raise ImportError(NO_CRYPTOGRAPHY)
    security = Security.temporary()
    started, stop = Future[tuple[str, list[BaseException]]](), Future[None]()

    def run() -> None:
        _block_interrupts()
        serving = _serve(count, security, started, stop, dashboard=dashboard)
        try:
            asyncio.run(serving)
        except Exception as error:
            problem = ClusterLostError(f"no cluster could be started: {one_line(error)}")
            problem.__cause__ = error
            if not started.done():
                started.set_exception(problem)

    thread = threading.Thread(target=run, name="neuron-xp cluster", daemon=True)
    thread.start()
    try:
        address, failures = started.result()
        if len(failures) == count:
            raise ClusterLostError(f"no worker started: {one_line(failures[0])}")
        if failures:
            warnings.warn(
                f"{len(failures)} of {count} workers did not start ({one_line(failures[0])}); "
                "the others do the work",
                RuntimeWarning,
                stacklevel=2,
            )
        yield address, security
    finally:
        stop.set_result(None)
        thread.join(timeout=LONGEST_CLOSING)


async def _serve(
    count: int,
    security: Security,
    started: Future[tuple[str, list[BaseException]]],
    stop: Future[None],
    *,
    dashboard: bool,
) -> None:
    """Run a scheduler and nannies until they are to stop; tell where, and who did not start."""
    patience = read_patience() * PATIENCES_TO_START
    port = _find_dashboard_port() if dashboard else None
    # the pages whose scripts may speak with the dashboard: its own, and those of no other site
    shown_to = [f"{host}:{port}" for host in (HOST, "localhost")]
    page = "distributed.scheduler.dashboard.bokeh-application.allow_websocket_origin"
    common = {"host": HOST, "protocol": "tls://", "security": security}
    with dask.config.set(
        {
            "distributed.scheduler.http.routes": ROUTES,
            page: shown_to,
            "temporary-directory": _make_private_folder(),
        }
    ):
        async with PrivateScheduler(
            dashboard=dashboard, dashboard_address=port and f"{HOST}:{port}", port=0, **common
        ) as scheduler:
            nannies = [
                PrivateNanny(
                    scheduler.address,
                    name=number,
                    nthreads=max(1, count_threads() // count),
                    memory_limit=MEMORY_LIMIT // count,
                    silence_logs=logging.CRITICAL,
                    patience=patience,
                    **common,
                )
                for number in range(count)
            ]
            ends = await asyncio.gather(*nannies, return_exceptions=True)
            failures = [end.__cause__ or end for end in ends if isinstance(end, BaseException)]
            started.set_result((scheduler.address, failures))
            await asyncio.wrap_future(stop)
            closings = (nanny.close(timeout=2) for nanny in nannies)
            await asyncio.gather(*closings, return_exceptions=True)


def _find_dashboard_port() -> int:
    """Return the port that is expected, or if it is in use another, and say so."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, DASHBOARD_PORT))
        except OSError:
            trial.bind((HOST, 0))
        port: int = trial.getsockname()[1]
    if port != DASHBOARD_PORT:
        warnings.warn(
            f"port {DASHBOARD_PORT} is in use; the dashboard is at http://{HOST}:{port}",
            RuntimeWarning,
            stacklevel=2,
        )
    return port


def _make_private_folder() -> str:
    """Return a folder that only this user can open; Dask removes what a killed run left in it.

    Dask puts such folders on Python's path, and unpickles what is in them. Its own is one for all
    users: whoever makes it first decides what lies in it.
    """
    if not hasattr(os, "getuid"):  # on Windows each user has a folder for temporary files
        return tempfile.gettempdir()
    folder = Path(tempfile.gettempdir(), f"neuron-xp-workers-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_mine = found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
    if is_mine and not stat.S_IMODE(found.st_mode) & 0o077:
        return str(folder)
    return tempfile.mkdtemp(prefix="neuron-xp-workers-")
