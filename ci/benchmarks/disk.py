"""Training from disk: files are written, read and learned from beside the same rows in memory."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from ci.benchmarks.machine import free_bytes
from ci.benchmarks.processes import Process, WorkerError, contender
from ci.benchmarks.programs import KERNELS
from ci.benchmarks.shapes import BYTES, Shape, random_inputs, random_shape, targets_of
from ci.benchmarks.summary import duration, ratio, table

ROWS, QUICK_ROWS = 10_000_000, 100_000
FEATURES = 20
MAX_MEMORY = "256MB"
SHARE_OF_DISK, SHARE_OF_MEMORY = 2, 4
"""The files take at most such a part of what is free: warm ones must stay in the cache while
another process holds the same rows."""
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


def measured(quick: bool, rounds: int, seconds: float, say: Any) -> dict[str, Any]:
    """The JSON's "disk"; `failed` says why there are no figures, if there are none."""
    wanted = QUICK_ROWS if quick else ROWS
    shape = random_shape(rows_with_room(wanted, Path(gettempdir())), FEATURES)
    result = {"shape": asdict(shape), "wanted_rows": wanted, "max_memory": MAX_MEMORY,
              "bytes": shape.rows * row_bytes(), "failed": None}  # fmt: skip
    say(f"from disk: writing {result['bytes'] / 1e9:.2g} GB")
    try:
        with files(shape) as (inputs, targets), ExitStack() as stack:
            task = {"inputs": str(inputs), "targets": str(targets), "compared": shape.compared,
                    "learning_rate": shape.learning_rate, "max_memory": MAX_MEMORY}  # fmt: skip
            reader = Process("disk_worker", task)
            stack.callback(reader.end)
            memory = contender(KERNELS, shape, None, seconds)
            stack.callback(memory.end)
            found = _take_turns(reader, memory, rounds, say)
    except (WorkerError, OSError) as error:
        return {**result, "failed": str(error)}
    return summarized({**result, **found})


def _take_turns(reader: Process, memory: Process, rounds: int, say: Any) -> dict[str, Any]:
    for process in (reader, memory):
        process.answer()
    first = reader.ask("first")
    prints = {"from disk": first.pop("fingerprint"),
              "in memory": memory.ask("first")["fingerprint"]}  # fmt: skip
    passes: dict[str, list[Any]] = {}
    peak = 0
    for number in range(1, rounds + 1):
        say(f"from disk: round {number} of {rounds}")
        found = reader.ask("run")
        peak = max(peak, found["peak_bytes"])
        found["passes"][IN_MEMORY] = memory.ask("run")["seconds"], 0
        for name, passed in found["passes"].items():
            passes.setdefault(name, []).append(passed)
    return {
        "fingerprints": prints,
        "passes": {
            name: {"rounds": [seconds for seconds, _ in of], "from_disk": [n for _, n in of]}
            for name, of in passes.items()
        },
        "peak_bytes": peak,
        **first,
    }


def row_bytes() -> int:
    return (FEATURES + 1) * BYTES


def rows_with_room(wanted: int, folder: Path) -> int:
    room = min(shutil.disk_usage(folder).free / SHARE_OF_DISK, free_bytes() / SHARE_OF_MEMORY)
    return max(1, min(wanted, int(room) // row_bytes()))


@contextmanager
def files(shape: Shape) -> Iterator[tuple[Path, Path]]:
    """Inputs and targets of the shape, never whole in this process; removed afterwards."""
    with TemporaryDirectory() as folder:
        paths = Path(folder, "inputs.npy"), Path(folder, "targets.npy")
        with (
            closing(_Npy(paths[0], shape.rows, shape.features)) as inputs,
            closing(_Npy(paths[1], shape.rows, 1)) as targets,
        ):
            for first in range(0, shape.rows, WRITTEN):
                rows = random_inputs(first, min(WRITTEN, shape.rows - first), shape.features)
                inputs.write(rows)
                targets.write(targets_of(rows))
        yield paths


class _Npy:
    """An NPY file that is written row by row."""

    def __init__(self, path: Path, rows: int, columns: int) -> None:
        header = {"descr": "<f8", "fortran_order": False, "shape": (rows, columns)}
        self._stream = path.open("wb")
        np.lib.format.write_array_header_1_0(self._stream, header)

    def write(self, rows: np.ndarray) -> None:
        self._stream.write(rows.astype("<f8", copy=False).data)

    def close(self) -> None:
        self._stream.close()


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """With medians and ratios of each pass over the rows."""
    passes = result["passes"]
    memory = passes[IN_MEMORY]["rounds"]
    rows = {}
    for name, found in passes.items():
        seconds = median(found["rounds"])
        reading = passes.get("reading alone, " + name.rpartition(", ")[2])
        stored = None if None in found["from_disk"] else median(found["from_disk"])
        rows[name] = {
            **found,
            "median": seconds,
            "rows_per_second": result["shape"]["rows"] / seconds,
            "gigabytes_per_second": result["bytes"] / seconds / 1e9,
            "share_from_disk": None if stored is None else stored / result["bytes"],
            "ratio_to_reading": reading and ratio(found["rounds"], reading["rounds"]),
            "ratio_to_memory": ratio(found["rounds"], memory),
        }
    return {**result, "passes": rows}


def report(result: dict[str, Any]) -> str:
    shape = result["shape"]
    title = (f"from disk: {shape['name']}, {result['bytes'] / 1e9:.3g} GB, "
             f"max_memory={MAX_MEMORY}")  # fmt: skip
    if result["failed"]:
        return f"{title}: no figures, {result['failed']}"
    if shape["rows"] < result["wanted_rows"]:
        title += f" (there is no room for {result['wanted_rows']:,} rows)"
    lines = [title, *table([HEADER, *(_cells(*item) for item in result["passes"].items())])]
    if not any(name.endswith("cold") for name in result["passes"]):
        lines.append("cold is left out: this system has no posix_fadvise to drop files by")
    beside = result["peak_bytes"] - result["resident_before"]
    lines.append(f"the reading process held {result['peak_bytes'] / 1e6:,.0f} MB at most, "
                 f"{beside / 1e6:,.0f} MB more than before it trained")  # fmt: skip
    if not faults(result):
        lines.append(f"one fingerprint: {result['fingerprints']['from disk'][:12]}")
    return "\n".join(lines)


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    share, to_reading = row["share_from_disk"], row["ratio_to_reading"]
    in_memory = name == IN_MEMORY
    return (
        name,
        duration(row["median"]),
        f"{row['rows_per_second'] / 1e6:.3g}",
        f"{row['gigabytes_per_second']:.3g}",
        "-" if share is None or in_memory else f"{share:.0%}",
        "-" if to_reading is None else f"{to_reading:.3g}",
        f"{row['ratio_to_memory']:.3g}",
    )


def faults(result: dict[str, Any]) -> list[str]:
    """What is not as it should be, in a line each."""
    if result["failed"]:
        return [f"from disk: {result['failed']}"]
    if len(set(result["fingerprints"].values())) > 1:
        each = ", ".join(f"{name} {value[:12]}" for name, value in result["fingerprints"].items())
        return [f"from disk: DIFFERENT fingerprints: {each}"]
    return []
