"""The other end of the pipe: workers are started, told to run, and ended."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ci.benchmarks.shapes import Shape

ROOT = Path(__file__).resolve().parent.parent.parent
LET_GO = {"OPENBLAS_THREAD_TIMEOUT": "4"}
"""OpenBLAS's threads else spin for long after a product, and take the cores from the rest."""

SECONDS_TO_END = 10


class WorkerError(Exception):
    """A worker cannot go on, and says why."""


class Process:
    """A worker. It gets ready at once, and beside others: only runs are measured."""

    def __init__(
        self, module: str, task: dict[str, Any], environment: dict[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"ci.benchmarks.{module}", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **LET_GO, **(environment or {})},
            cwd=ROOT,
            text=True,
        )

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"ended with status {self._process.wait()}")
        values: dict[str, Any] = json.loads(line)
        if "error" in values:
            raise WorkerError(values["error"])
        return values

    def ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the answer tells that it has ended
            print(what, file=self._process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
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


def contender(name: str, shape: Shape, threads: int | None, seconds: float) -> Process:
    """One of `CONTENDERS` on one shape."""
    task = {"contender": name, "shape": asdict(shape), "threads": threads, "seconds": seconds}
    limit = {} if threads is None else {"OPENBLAS_NUM_THREADS": str(threads)}
    return Process("worker", task, limit)
