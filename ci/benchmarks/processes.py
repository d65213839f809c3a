"""Workers: processes that are started, asked for what their methods return, and ended.

Each works for itself, so that imports, memory and threads of one are not another's.
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Generic, Self, TypeVar

from neuron_xp.errors import ignore_learning

T = TypeVar("T")
W = TypeVar("W")

SPAWN = get_context("spawn")
SECONDS_TO_END = 10
LET_GO = {"OPENBLAS_THREAD_TIMEOUT": "4"}
"""OpenBLAS's threads else spin for long after a product, and take the cores from the rest."""


class WorkerError(Exception):
    """A worker cannot go on, and says why."""


class Process(Generic[W]):
    """A process with a worker, which gets ready at once, and beside others.

    open_worker : called there; the worker is what the context that it returns gives
    """

    def __init__(
        self, open_worker: Callable[[], AbstractContextManager[W]], environment: Mapping[str, str]
    ) -> None:
        self._pipe, other_end = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(other_end, open_worker))
        before = dict(os.environ)
        os.environ.update({**LET_GO, **environment})  # the process starts with a copy
        self._process.start()
        os.environ.clear()
        os.environ.update(before)
        other_end.close()

    def ask(self, method: Callable[[W], T]) -> T:
        """Return what the method gives there, or raise `WorkerError`."""
        try:
            with suppress(BrokenPipeError):  # why it has ended may still be in the pipe
                self._pipe.send(method)
            answer: T | WorkerError = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise WorkerError(f"ended with status {self._process.exitcode}") from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(SECONDS_TO_END)
        self._process.kill()
        self._process.join()


def serve(pipe: Connection, open_worker: Callable[[], AbstractContextManager[object]]) -> None:
    """Be the other end: open the worker, call its methods as asked for, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    os.dup2(2, 1)  # what a library prints is no part of the report
    try:
        # what so few iterations learn is not the question
        with ignore_learning(), open_worker() as worker, suppress(EOFError):
            while True:
                pipe.send(pipe.recv()(worker))
    except Exception as error:  # told in one line, as each library has its own
        reason = " ".join(str(error).split())[:300]
        pipe.send(WorkerError(f"{type(error).__name__}: {reason}"))
