"""What it was measured on: processor, memory and its speed, versions."""

import os
import platform
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
PACKAGES = (
    "neuron-xp",
    "numpy",
    "numba",
    "torch",
    "jax",
    "array-api-compat",
    "dask",
    "distributed",
)


def count_cores() -> int:
    """Count those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_processor() -> str:
    """Find the processor's name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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
    source, target = np.ones(COPIED // 8), np.zeros(COPIED // 8)
    parts = zip(*(np.array_split(x, threads) for x in (target, source)), strict=True)
    with ThreadPoolExecutor(threads) as pool:
        pairs = list(parts)
        copies = [time_call(lambda: list(pool.map(_copy, pairs))) for _ in range(COPIES)]
    return 2 * COPIED / median(seconds for seconds, _ in copies)


def _copy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    np.copyto(*pair)


def describe() -> Machine:
    """Find out; large arrays are copied, so that this is for a process of its own."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=find_processor(),
        cores=count_cores(),
        copy_bytes_per_second=measure_bandwidth(1),
        copy_bytes_per_second_all_cores=measure_bandwidth(count_cores()),
        versions=find_versions(),
    )
