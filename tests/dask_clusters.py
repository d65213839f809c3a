"""Real clusters of processes, and a deadline for what waits for them."""

import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import dask
import psutil
import pytest
from distributed import Client, LocalCluster


@contextmanager
def local_cluster(workers, threads=1):
    """A client of a scheduler and of worker processes on the loopback address."""
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else 8787, even without a page
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers, timeout=60)
        yield client


class Processes:
    """A scheduler and workers that nobody restarts, each started as from a shell."""

    def __init__(self, folder):
        self.folder = folder
        self.scheduler, self.workers = None, []

    def start(self, workers):
        file = self.folder / f"scheduler-{time.monotonic_ns()}.json"
        options = ("--port", "0", "--no-dashboard", "--no-show", "--dashboard-address",
                   "127.0.0.1:0", "--scheduler-file", str(file))  # fmt: skip
        self.scheduler = self._run("scheduler", *options)
        while not file.exists() or not file.read_text():
            assert self.scheduler.poll() is None, "the scheduler has ended"
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, nanny=False):
        options = ("--nanny" if nanny else "--no-nanny", "--nthreads", "1", "--no-dashboard",
                   "--memory-limit", "0", "--local-directory", str(self.folder))  # fmt: skip
        self.workers.append(self._run("worker", self.address, *options))

    def _run(self, what, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
        if what == "scheduler":
            command += ["--host", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, **quiet)

    def end(self):
        for process in filter(None, [*self.workers, self.scheduler]):
            nursed = find_workers(process.pid)
            process.kill()
            process.wait()
            for worker in nursed:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()


def find_workers(pid):
    """The processes of workers that a process has started, the newest last."""
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "--multiprocessing-fork" in child.cmdline()]
    except psutil.Error:  # gone, or going
        return []


@contextmanager
def processes(folder, workers):
    """A cluster of processes, its workers there."""
    cluster = Processes(folder)
    try:
        cluster.start(workers)
        if workers:
            with client_of(cluster) as client:
                client.wait_for_workers(workers, timeout=60)
        yield cluster
    finally:
        cluster.end()


@contextmanager
def client_of(cluster):
    """A client that gives up on its scheduler after a few seconds."""
    with dask.config.set({"distributed.comm.timeouts.connect": "5s"}):
        client = Client(cluster.address)
        try:
            yield client
        finally:
            client.close(timeout=5)


@contextmanager
def deadline(seconds):
    """Fail what takes longer, instead of waiting for ever."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("this system has no alarm, and without a deadline a test could hang")

    def too_late(number, frame):
        pytest.fail(f"took longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
