"""A process with one contender, which does what it is told over a pipe, one line at a time.

first   the first run: seconds with compilation, memory, and what it ended on
run     one measured run: seconds per iteration, and the peak of memory in runs so far
"""

import ctypes
import gc
import math
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from ci.benchmarks.programs import CONTENDERS, Program
from ci.benchmarks.serving import serve
from ci.benchmarks.shapes import Shape, problem

LEAST_ITERATIONS = 3
LONG_ENOUGH = 0.9  # of the seconds that were asked for
LONGER_AT_MOST = 8  # a short run may be off by much: the next is longer by no more than this
OF_SET_UP = 0.5
"""What is measured is at least so much of what is taken off: else its noise would be seen."""


class Worker:
    """One contender on one shape."""

    def __init__(self, contender: str, shape: Shape, threads: int | None, seconds: float) -> None:
        self.shape = shape
        self.seconds = seconds
        self.program: Program = CONTENDERS[contender](problem(shape), threads)
        self.iterations = shape.iterations
        self.memory_before = resident_from_now_on()

    def first(self) -> dict[str, Any]:
        started = time.perf_counter()
        result = self.program.train(self.shape.compared)
        seconds = time.perf_counter() - started
        ending = self.program.ending(result)
        del result
        memory = peak_of_memory() - self.memory_before
        if self.iterations is None:
            enough = max(LONG_ENOUGH * self.seconds, OF_SET_UP * self._set_up())
            self.iterations = long_enough(self._time, enough)
        self.memory_before = resident_from_now_on()
        return {"first_call": seconds, "first_call_bytes": memory, **ending._asdict()}

    def run(self) -> dict[str, Any]:
        assert self.iterations is not None
        while (total := self._time(self.iterations)) <= 0:  # lost in what is taken off
            self.iterations *= 2
        return {
            "seconds": total / self.iterations,
            "iterations": self.iterations,
            "peak_bytes": peak_of_memory() - self.memory_before,
        }

    def _time(self, iterations: int) -> float:
        """Seconds for so many iterations alone.

        Where a run also sets up and records the loss at start and end, it is measured with
        one more iteration, and a run of that one alone is taken off.
        """
        if not self.program.set_up_within:
            return self._time_run(iterations)
        return self._time_run(1 + iterations) - self._set_up()

    def _set_up(self) -> float:
        return self._time_run(1) if self.program.set_up_within else 0.0

    def _time_run(self, iterations: int) -> float:
        started = time.perf_counter()
        self.program.train(iterations)
        return time.perf_counter() - started


def long_enough(seconds_for: Callable[[int], float], seconds: float) -> int:
    """How many iterations take at least so long; not fewer than LEAST_ITERATIONS."""
    count = LEAST_ITERATIONS
    while (found := seconds_for(count)) < seconds:
        wanted = math.ceil(count * seconds / found / LONG_ENOUGH) if found > 0 else math.inf
        count = int(min(wanted, count * LONGER_AT_MOST))
    return count


def resident_from_now_on() -> int:
    """Bytes that are resident, with the peak begun anew where the system can: on Linux.

    Elsewhere the peak so far, in which what imports and data took may hide what a run takes.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another system, or another C library
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back first
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_of_memory()


def peak_of_memory() -> int:
    """Bytes that were resident at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _opened(task: dict[str, Any]) -> nullcontext[Worker]:
    return nullcontext(Worker(**{**task, "shape": Shape(**task["shape"])}))


if __name__ == "__main__":
    serve(_opened)
