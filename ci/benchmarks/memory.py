"""Memory: what is free on this machine, and what this process holds."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path


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
