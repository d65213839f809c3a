"""The machine: processor, memory and its speed, versions; and the memory of this process."""

import ctypes
import gc
import os
import platform
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

from ci.benchmarks.results import Machine
from neuron_xp.workflows.clock import time_call

COPIED = 2**28  # bytes: far more than caches hold
COPIES = 7
PACKAGES = ("neuron-xp", "numpy", "numba", "torch", "jax", "array-api-compat", "dask",
            "distributed")  # fmt: skip


def find_in_proc(file: str, key: str) -> str | None:
    """Find a value in one of Linux's files; None on other systems."""
    with suppress(OSError):
        for line in Path("/proc", file).read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return None


def find_free_bytes() -> float:
    """Return what could be had now; infinity where that is not told."""
    told = find_in_proc("meminfo", "MemAvailable")
    return float("inf") if told is None else int(told.split()[0]) * 1024


def find_memory_bytes() -> int:
    """Return how large the machine's memory is; what is free where that is not told."""
    told = find_in_proc("meminfo", "MemTotal")
    return int(find_free_bytes()) if told is None else int(told.split()[0]) * 1024


def restart_peak() -> int:
    """Return the resident bytes, and begin the peak anew where the system can: on Linux.

    Elsewhere the peak so far, in which what imports and data took may hide what a run takes.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another system, or another C library
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back first
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return measure_peak()


def measure_peak() -> int:
    """Return the bytes that were resident at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def count_cores() -> int:
    """Count those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_versions() -> dict[str, str]:
    """Find the versions of what takes part and is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {**found, "numpy's blas": f"{blas['name']} {blas['version']}"}


def measure_bandwidth(threads: int) -> float:
    """Measure the bytes a second of a copy, read and written: the median of several."""
    sources = np.array_split(np.ones(COPIED // 8), threads)
    targets = np.array_split(np.zeros(COPIED // 8), threads)
    with ThreadPoolExecutor(threads) as pool:
        copies = [time_call(lambda: list(pool.map(np.copyto, targets, sources)))
                  for _ in range(COPIES)]  # fmt: skip
    return 2 * COPIED / median(seconds for seconds, _ in copies)


def describe() -> Machine:
    """Find out; this takes some seconds."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=find_in_proc("cpuinfo", "model name") or platform.processor(),
        cores=count_cores(),
        memory_bytes=find_memory_bytes(),
        copy_bytes_per_second=measure_bandwidth(1),
        copy_bytes_per_second_all_cores=measure_bandwidth(count_cores()),
        versions=find_versions(),
    )


def describe_in_words(machine: Machine) -> str:
    """Write three lines about the machine."""
    versions = ", ".join(f"{name} {value}" for name, value in machine.versions.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.system}\n"
        f"copies {machine.copy_bytes_per_second / 1e9:.1f} GB/s with one thread, "
        f"{machine.copy_bytes_per_second_all_cores / 1e9:.1f} GB/s with one a core "
        f"(read and written)\n{versions}"
    )
