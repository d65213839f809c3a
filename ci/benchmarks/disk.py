"""Training from disk: files are written, read and learned from beside the same rows in memory."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir

import numpy as np

from ci.benchmarks.disk_worker import First, Pass, Reader
from ci.benchmarks.memory import find_free_bytes
from ci.benchmarks.processes import Process, WorkerError
from ci.benchmarks.programs import KERNELS
from ci.benchmarks.results import DiskResult, PassResult
from ci.benchmarks.shapes import BYTES, FEATURES, Shape, make_inputs, make_targets, random_shape
from ci.benchmarks.text import find_different, format_duration, format_number, format_table
from ci.benchmarks.timed import Pace, TimedProgram, start_timed, take_turns_with
from neuron_xp.workflows.clock import compare

MAX_MEMORY = "256MB"
SHARE_OF_DISK, SHARE_OF_MEMORY = 2, 4
"""The files take at most such a part of what is free: warm ones must stay in the cache while
another process holds the same rows."""
ROW_BYTES = (FEATURES + 1) * BYTES
WRITTEN = 2**16  # rows at a time
IN_MEMORY = "iteration, in memory"
HEADER = (
    "pass over all rows",
    "time",
    "million rows/s",
    "GB/s",
    "from the disk",
    "x reading",
    "x memory",
)
METHOD = f"""\
From disk: two NPY files, of inputs and of targets, in the temporary folder, read by a process of
its own with max_memory={MAX_MEMORY!r}. Reading alone: unbuffered, in pieces of 4 MiB. Warm: the
files are in the system's cache; cold: they were written through and are dropped from it
(posix_fadvise) before each pass. What a disk, or a host of this machine, keeps in memory of its
own is not dropped. An iteration: between two calls of on_progress, so that the first look at the
data and the loss fall out. From the disk: the share of the bytes that the system says it had to
fetch. x reading, x memory: each round's ratio, to reading in the same state and to an iteration in
memory, its median."""


def measure(wanted: int, pace: Pace) -> DiskResult:
    """Measure on so many rows, or as many as there is room for."""
    room = count_rows_with_room(wanted, shutil.disk_usage(gettempdir()).free, find_free_bytes())
    shape = random_shape(room, FEATURES)
    result = DiskResult(shape, wanted, MAX_MEMORY, shape.rows * ROW_BYTES)
    pace.say(f"from disk: writing {result.bytes / 1e9:.2g} GB")
    try:
        with (
            write_files(shape) as files,
            Process(partial(Reader, files, shape.learning_rate, MAX_MEMORY)) as reader,
            start_timed(KERNELS, shape, None, pace.seconds) as memory,
        ):
            return _measure_beside(result, reader, memory, pace)
    except (WorkerError, OSError) as error:
        return replace(result, failed=str(error))


def _measure_beside(
    result: DiskResult,
    reader: Process[Reader],
    memory: Process[TimedProgram],
    pace: Pace,
) -> DiskResult:
    reader.wait_until_ready()
    memory.wait_until_ready()
    first = reader.ask(partial(Reader.train_first, iterations=result.shape.compared))
    fingerprint = memory.ask(TimedProgram.train_first).fingerprint
    passes: dict[str, list[Pass]] = {}
    for read, seconds in take_turns_with(memory, reader, Reader.run, "from disk:", pace):
        for name, one in {**read, IN_MEMORY: Pass(seconds, from_disk=0)}.items():
            passes.setdefault(name, []).append(one)
    return summarize(result, first, str(fingerprint), passes, reader.ask(Reader.find_peak))


def summarize(
    result: DiskResult,
    first: First,
    in_memory: str,
    passes: Mapping[str, Sequence[Pass]],
    peak_bytes: int,
) -> DiskResult:
    """Add medians and ratios of each pass over the rows."""
    rounds = {name: tuple(one.seconds for one in of) for name, of in passes.items()}

    def summarize_pass(name: str) -> PassResult:
        mine, seconds = rounds[name], median(rounds[name])
        reading = rounds.get("reading alone, " + name.rpartition(", ")[2])
        told = [one.from_disk for one in passes[name] if one.from_disk is not None]
        return PassResult(
            rounds=mine,
            from_disk=tuple(one.from_disk for one in passes[name]),
            median=seconds,
            rows_per_second=result.shape.rows / seconds,
            gigabytes_per_second=result.bytes / seconds / 1e9,
            share_from_disk=median(told) / result.bytes if len(told) == len(mine) else None,
            ratio_to_reading=None if reading is None else compare(mine, reading),
            ratio_to_memory=compare(mine, rounds[IN_MEMORY]),
        )

    return replace(
        result,
        fingerprints={"from disk": first.fingerprint, "in memory": in_memory},
        passes={name: summarize_pass(name) for name in passes},
        peak_bytes=peak_bytes,
        resident_before=first.resident_before,
    )


def count_rows_with_room(wanted: int, free_on_disk: float, free_in_memory: float) -> int:
    """Return the rows that are wanted, or fewer where there is little room."""
    room = min(free_on_disk / SHARE_OF_DISK, free_in_memory / SHARE_OF_MEMORY)
    return max(1, min(wanted, int(room / ROW_BYTES))) if room < float("inf") else wanted


@contextmanager
def write_files(shape: Shape, piece: int = WRITTEN) -> Iterator[tuple[Path, Path]]:
    """Write inputs and targets, never whole in this process; remove them afterwards."""
    with TemporaryDirectory() as folder:
        paths = Path(folder, "inputs.npy"), Path(folder, "targets.npy")
        with paths[0].open("wb") as inputs, paths[1].open("wb") as targets:
            for stream, columns in ((inputs, shape.features), (targets, 1)):
                size = (shape.rows, columns)
                header = {"descr": "<f8", "fortran_order": False, "shape": size}
                np.lib.format.write_array_header_1_0(stream, header)
            for first in range(0, shape.rows, piece):
                rows = make_inputs(first, min(piece, shape.rows - first), shape.features)
                inputs.write(rows.astype("<f8", copy=False).data)
                targets.write(make_targets(rows).astype("<f8", copy=False).data)
        yield paths


def report(result: DiskResult) -> str:
    """Write a title, the table, and what the reading process held."""
    title = (f"from disk: {result.shape.name}, {result.bytes / 1e9:.3g} GB, "
             f"max_memory={result.max_memory}")  # fmt: skip
    if result.failed is not None:
        return f"{title}: no figures, {result.failed}"
    if result.shape.rows < result.wanted_rows:
        title += f" (there is no room for {result.wanted_rows:,} rows)"
    cells = [_format_cells(name, found) for name, found in result.passes.items()]
    lines = [title, *format_table([HEADER, *cells])]
    if not any(name.endswith("cold") for name in result.passes):
        lines.append("cold is left out: this system has no posix_fadvise to drop files by")
    beside = result.peak_bytes - result.resident_before
    lines.append(f"the reading process held {result.peak_bytes / 1e6:,.0f} MB at most, "
                 f"{beside / 1e6:,.0f} MB more than before it trained")  # fmt: skip
    if not find_faults(result):
        lines.append(f"one fingerprint: {result.fingerprints['from disk'][:12]}")
    return "\n".join(lines)


def _format_cells(name: str, found: PassResult) -> tuple[str, ...]:
    share = found.share_from_disk
    return (
        name,
        format_duration(found.median),
        format_number(found.rows_per_second / 1e6),
        format_number(found.gigabytes_per_second),
        "-" if share is None or name == IN_MEMORY else f"{share:.0%}",
        format_number(found.ratio_to_reading),
        format_number(found.ratio_to_memory),
    )


def find_faults(result: DiskResult) -> list[str]:
    """Say what is not as it should be, in a line each."""
    if result.failed is not None:
        return [f"from disk: {result.failed}"]
    return find_different("from disk", result.fingerprints)
