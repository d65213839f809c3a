"""What it was measured on: processor, memory and its speed, versions."""

import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

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


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def free_bytes() -> float:
    """What could be had now; infinite where that is not told."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return float("inf")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {**found, "numpy's blas": f"{blas['name']} {blas['version']}"}


def copy_bandwidth(threads: int) -> float:
    """Bytes a second of a copy, read and written: the median of several."""
    source, target = np.ones(COPIED // 8), np.zeros(COPIED // 8)
    parts = zip(*(np.array_split(x, threads) for x in (target, source)), strict=True)
    with ThreadPoolExecutor(threads) as pool:
        pairs = list(parts)
        seconds = [_seconds(lambda: list(pool.map(_copy, pairs))) for _ in range(COPIES)]
    return 2 * COPIED / median(seconds)


def _copy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    np.copyto(*pair)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def describe() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores(),
        "copy_bytes_per_second": copy_bandwidth(1),
        "copy_bytes_per_second_all_cores": copy_bandwidth(cores()),
        "versions": versions(),
    }


if __name__ == "__main__":
    print(json.dumps(describe()))
