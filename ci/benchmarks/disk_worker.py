"""A worker that reads files, and trains on them: its memory is that of training on a stream."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import neuron_xp
from ci.benchmarks.memory import measure_peak, restart_peak
from ci.benchmarks.processes import Worker
from ci.benchmarks.watches import watch_second
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend

PIECE = 2**22  # bytes: as training reads
CAN_DROP = hasattr(os, "posix_fadvise")


class Pass(NamedTuple):
    """A pass over all rows: seconds, and the bytes of it that came from the disk."""

    seconds: float
    from_disk: int | None


class First(NamedTuple):
    """The first training, and what was resident before it."""

    fingerprint: str
    resident_before: int


class Reader(Worker):
    """A reader of one training set in two files."""

    def __init__(self, files: tuple[Path, Path], learning_rate: float, max_memory: str) -> None:
        if name_engine(open_backend("numpy"), "reproducible") != "kernels":
            raise RuntimeError("the kernels are not used; is numba installed?")
        self.files = files
        self.train = partial(
            neuron_xp.train, *files, learning_rate=learning_rate, max_memory=max_memory
        )
        self.preparations: dict[str, Callable[[], object]] = {"warm": self.read}
        if CAN_DROP:
            self.preparations["cold"] = self.drop
        for file in files:  # only what is on the disk can be dropped
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())

    def train_first(self, iterations: int) -> First:
        """Compile, and compare; what training takes beside the imports begins here."""
        before = restart_peak()
        network = self.train(iterations=iterations, loss_every=iterations)
        return First(network.fingerprint(), before)

    def run(self) -> dict[str, Pass]:
        """Measure one round: reading alone in each state, then an iteration."""
        found = {}
        for state, prepare in self.preparations.items():
            prepare()
            end = start_pass()
            self.read()
            found[f"reading alone, {state}"] = end()
        train = partial(self.train, loss_every=3)
        for state, prepare in self.preparations.items():
            found[f"iteration, {state}"] = watch_second(train, prepare, start_pass)
        return found

    def find_peak(self) -> int:
        """Return the bytes that were resident at most since the first training began."""
        return measure_peak()

    def read(self) -> None:
        """Read every byte, and nothing else."""
        buffer = bytearray(PIECE)
        for file in self.files:
            with file.open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass

    def drop(self) -> None:
        """Drop the files out of the system's cache."""
        for file in self.files:
            with file.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def start_pass() -> Callable[[], Pass]:
    """Begin to measure a pass over the files; what is returned ends it."""
    stored, began = count_bytes_from_disk(), time.perf_counter()

    def end() -> Pass:
        seconds, now = time.perf_counter() - began, count_bytes_from_disk()
        return Pass(seconds, None if now is None or stored is None else now - stored)

    return end


def count_bytes_from_disk() -> int | None:
    """Return what this process has had read from storage, where the system tells: on Linux."""
    with suppress(OSError):
        for line in Path("/proc/self/io").read_text("ascii").splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    return None
