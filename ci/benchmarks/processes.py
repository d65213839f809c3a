"""Workers: processes that are started, asked for what their methods return, and ended.

Each works for itself, so that imports, memory and threads of one are not another's.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Generic, Self, TypeVar

T = TypeVar("T")
W = TypeVar("W")

ROOT = Path(__file__).resolve().parent.parent.parent
LET_GO = {"OPENBLAS_THREAD_TIMEOUT": "4"}
"""OpenBLAS's threads else spin for long after a product, and take the cores from the rest."""

SECONDS_TO_END = 10


class WorkerError(Exception):
    """A worker cannot go on, and says why."""


class Worker:
    """A worker with nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Process(Generic[W]):
    """A process with a worker, which gets ready at once, and beside others.

    open_worker : called there; the worker is what the context that it returns gives
    """

    def __init__(
        self,
        open_worker: Callable[[], AbstractContextManager[W]],
        environment: dict[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ci.benchmarks.processes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **LET_GO, **(environment or {})},
            cwd=ROOT,
        )
        self._send(open_worker)

    def wait_until_ready(self) -> None:
        """Wait for the worker to be open, or raise `WorkerError`."""
        self._answer()

    def ask(self, method: Callable[[W], T]) -> T:
        """Return what the method gives there, or raise `WorkerError`."""
        self._send(method)
        answer: T = self._answer()  # type: ignore[assignment]  # pickled by the other end
        return answer

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the answer tells that it has ended
            pickle.dump(value, self._process.stdin)
            self._process.stdin.flush()

    def _answer(self) -> object:
        assert self._process.stdout is not None
        try:
            value, error = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise WorkerError(f"ended with status {self._process.wait()}") from None
        if error is not None:
            raise WorkerError(error)
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def serve() -> None:
    """Be the other end: open the worker, call its methods as asked for, until the pipe closes.

    Answers go where stdout went; whatever a library prints goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)

        def answer(value: object, error: str | None = None) -> None:
            pickle.dump((value, error), answers)
            answers.flush()

        try:
            with pickle.load(sys.stdin.buffer)() as worker:
                answer(None)
                with suppress(EOFError):
                    while True:
                        answer(pickle.load(sys.stdin.buffer)(worker))
        except Exception as error:  # told in one line, as each library has its own
            answer(None, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


if __name__ == "__main__":
    serve()
