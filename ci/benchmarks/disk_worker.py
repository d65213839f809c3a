"""A process that reads files, and trains on them: its memory is that of training on a stream."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import neuron_xp
from ci.benchmarks.clocks import OneByOne
from ci.benchmarks.serving import serve
from ci.benchmarks.worker import peak_of_memory, resident_from_now_on
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend

PIECE = 2**22  # bytes: as training reads
CAN_DROP = hasattr(os, "posix_fadvise")
STATES = ("warm", "cold") if CAN_DROP else ("warm",)

Pass = tuple[float, int | None]
"""Seconds, and the bytes of it that came from the disk."""


class Reader:
    """One training set in two files."""

    def __init__(
        self, inputs: str, targets: str, learning_rate: float, compared: int, max_memory: str
    ) -> None:
        if name_engine(open_backend("numpy"), "reproducible") != "kernels":
            raise RuntimeError("the kernels are not used; is numba installed?")
        self.files = Path(inputs), Path(targets)
        self.compared = compared
        self.settings = {"learning_rate": learning_rate, "max_memory": max_memory}
        for file in self.files:  # only what is on the disk can be dropped
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())

    def first(self) -> dict[str, Any]:
        """Compile, and compare; what training takes beside the imports begins here."""
        before = resident_from_now_on()
        network = self._train(self.compared)
        return {"fingerprint": network.fingerprint(), "resident_before": before}

    def run(self) -> dict[str, Any]:
        """One round: of each state reading alone, and an iteration. Warm is first.

        The last iteration but one drops the files and reads them in again.
        """
        self.read()
        reading = [self._reading(state) for state in STATES]
        prepared = {"warm": lambda: None, "cold": self.drop}
        watch = OneByOne([prepared[state] for state in STATES], passing)
        self._train(watch.iterations, on_progress=watch)
        return {
            "passes": {
                f"{name}, {state}": passed
                for name, found in (("reading alone", reading), ("iteration", watch.found))
                for state, passed in zip(STATES, found, strict=True)
            },
            "peak_bytes": peak_of_memory(),
        }

    def _train(self, iterations: int, **options: Any) -> Any:
        return neuron_xp.train(
            *self.files, iterations=iterations, loss_every=iterations, **self.settings, **options
        )

    def _reading(self, state: str) -> Pass:
        if state == "cold":
            self.drop()
        end = passing()
        self.read()
        return end()

    def read(self) -> None:
        """Every byte, and nothing else."""
        buffer = bytearray(PIECE)
        for file in self.files:
            with file.open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass

    def drop(self) -> None:
        """Out of the system's cache."""
        for file in self.files:
            with file.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def passing() -> Callable[[], Pass]:
    """Begin to measure a pass over the files; what is given ends it."""
    stored, began = bytes_from_disk(), time.perf_counter()

    def end() -> Pass:
        seconds, now = time.perf_counter() - began, bytes_from_disk()
        return seconds, None if now is None or stored is None else now - stored

    return end


def bytes_from_disk() -> int | None:
    """What this process has had read from storage, where the system tells: on Linux."""
    with suppress(OSError):
        for line in Path("/proc/self/io").read_text("ascii").splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    return None


@contextmanager
def _opened(task: dict[str, Any]) -> Iterator[Reader]:
    yield Reader(**task)


if __name__ == "__main__":
    serve(_opened)
