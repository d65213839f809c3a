"""Training from disk: files are written, read and learned from beside the same rows in memory."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np

import neuron_xp
from ci.benchmarks.contest import Openers, hold
from ci.benchmarks.machine import find_free_bytes, find_in_proc, measure_peak
from ci.benchmarks.programs import KERNELS, Program, end_network
from ci.benchmarks.results import IN_MEMORY, Contest, Way
from ci.benchmarks.shapes import BYTES, FEATURES, Shape, make_inputs, make_targets, random_shape
from ci.benchmarks.timed import Pace, TimedProgram, Worker
from neuron_xp.training.loops import loop

MAX_MEMORY = "256MB"
COPIES = 4
"""Of the inputs: in memory, in the files, and in the system's cache, in which they must stay."""
WRITTEN = 2**16  # rows at a time
PIECE = 2**22  # bytes: as training reads
METHOD = f"""\
From disk: two NPY files, of inputs and of targets, in the temporary folder, read by a process of
its own with max_memory={MAX_MEMORY!r}. Reading alone: unbuffered, in pieces of 4 MiB. Warm: the
files are in the system's cache; cold: they were written through and are dropped from it
(posix_fadvise, where the system has it) before each pass. What a disk, or a host of this machine,
keeps in memory of its own is not dropped. An iteration: between two calls of on_progress, so that
the first look at the data and the loss fall out. GB/s: with the targets. From the disk: the share
of the bytes that the system says it had to fetch."""


def measure(rows: int, pace: Pace) -> Contest:
    """Measure on so many rows."""
    shape = random_shape(rows, FEATURES)
    size = rows * (FEATURES + 1) * BYTES
    title = f"{shape.name} from disk, max_memory={MAX_MEMORY}"
    contest = Contest(title, IN_MEMORY, shape, size)
    free = min(find_free_bytes(), shutil.disk_usage(gettempdir()).free)
    with TemporaryDirectory() as folder:
        openers: Openers = {
            "from disk": partial(Reader, Path(folder), shape),
            IN_MEMORY: partial(TimedProgram, KERNELS, shape, None, pace.seconds, IN_MEMORY),
        }
        return hold(contest, openers, pace, COPIES, free)


def write_files(folder: Path, shape: Shape, piece: int = WRITTEN) -> tuple[Path, Path]:
    """Write inputs and targets, never whole in this process."""
    paths = folder / "inputs.npy", folder / "targets.npy"
    with paths[0].open("wb") as inputs, paths[1].open("wb") as targets:
        for stream, columns in ((inputs, shape.features), (targets, 1)):
            size = (shape.rows, columns)
            header = {"descr": "<f8", "fortran_order": False, "shape": size}
            np.lib.format.write_array_header_1_0(stream, header)
        for first in range(0, shape.rows, piece):
            rows = make_inputs(first, min(piece, shape.rows - first), shape.features)
            inputs.write(rows.astype("<f8", copy=False).data)
            targets.write(make_targets(rows).astype("<f8", copy=False).data)
    return paths


class Reader(Worker):
    """A reader of one training set in two files, which it writes into the folder."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.files = write_files(folder, shape)
        for file in self.files:  # only what is on the disk can be dropped
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())
        self.train = partial(
            neuron_xp.train,
            *self.files,
            learning_rate=shape.learning_rate,
            max_memory=MAX_MEMORY,
            loss_every=shape.compared,
        )
        super().__init__(Program(lambda n: self.train(iterations=n), end_network), shape.compared)
        self.preparations: dict[str, Callable[[], object]] = {"warm": self.read}
        if hasattr(os, "posix_fadvise"):
            self.preparations["cold"] = self.drop

    def run(self) -> dict[str, Way]:
        """Measure one round: reading alone in each state, then an iteration."""
        found = {}
        for state, prepare in self.preparations.items():
            prepare()
            end = start_pass()
            self.read()
            found[f"reading alone, {state}"] = end()
        for state, prepare in self.preparations.items():
            way = watch_second(self.train, prepare)
            peak, resident = measure_peak() - self.resident_bytes, self.resident_bytes
            found[f"iteration, {state}"] = replace(way, peak_bytes=peak, resident_bytes=resident)
        return found

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


def watch_second(
    train: Callable[..., object], prepare: Callable[[], object], pause: float = loop.Pace.seconds
) -> Way:
    """Measure the second of three iterations, after it is prepared; after the third is the loss.

    A training of one iteration takes longer to look at the data than to learn from them.

    pause : seconds; a stretch that took so long is followed by one of a single iteration
    """
    ends: list[Callable[[], Way]] = []
    found: list[Way] = []

    def look(progress: neuron_xp.Progress) -> None:
        if progress.iteration == 1:
            time.sleep(pause)
            prepare()
            ends.append(start_pass())
        elif progress.iteration == 2:
            found.extend(end() for end in ends)

    train(iterations=3, on_progress=look, progress_every=1)
    if not found:
        raise RuntimeError("training does not call back after each iteration")
    return found[0]


def start_pass() -> Callable[[], Way]:
    """Begin to measure a pass over the files; what is returned ends it."""
    stored, began = count_bytes_from_disk(), time.perf_counter()

    def end() -> Way:
        seconds, now = time.perf_counter() - began, count_bytes_from_disk()
        fetched = None if now is None or stored is None else now - stored
        return Way((seconds,), from_disk=(fetched,))

    return end


def count_bytes_from_disk() -> int | None:
    """Return what this process has had read from storage, where the system tells: on Linux."""
    told = find_in_proc("self/io", "read_bytes")
    return None if told is None else int(told)
