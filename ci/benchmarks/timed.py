"""A worker with one contender, whose iterations are timed."""

from functools import partial
from typing import NamedTuple

from ci.benchmarks.memory import peak_of_memory, resident_from_now_on
from ci.benchmarks.processes import Process, Worker
from ci.benchmarks.programs import CONTENDERS
from ci.benchmarks.shapes import Shape, make_problem
from neuron_xp.workflows.clock import Clock, time_call


class First(NamedTuple):
    """The first training: seconds with compilation, memory, and what it ended on."""

    seconds: float
    bytes: int
    weights: list[float]
    fingerprint: str | None


class Run(NamedTuple):
    """A measured run: seconds of an iteration, and the peak of memory in runs so far."""

    seconds: float
    iterations: int
    peak_bytes: int


class TimedProgram(Worker):
    """One contender on one shape."""

    def __init__(self, contender: str, shape: Shape, threads: int | None, seconds: float) -> None:
        self.shape = shape
        self.seconds = seconds
        self.program = CONTENDERS[contender](make_problem(shape), threads)
        self.clock = Clock(self.program.train, sets_up=self.program.sets_up)
        self.memory_before = resident_from_now_on()

    def first(self) -> First:
        """Train for the first time, and choose how long measured runs are."""
        seconds, result = time_call(partial(self.program.train, self.shape.compared))
        weights, fingerprint = self.program.end(result)
        del result
        memory = peak_of_memory() - self.memory_before
        if self.shape.iterations is None:
            self.clock.lengthen_runs(self.seconds)
        else:
            self.clock.iterations = self.shape.iterations
        self.memory_before = resident_from_now_on()
        return First(seconds, memory, weights, fingerprint)

    def run(self) -> Run:
        """Measure once."""
        seconds = self.clock.time_iteration()
        return Run(seconds, self.clock.iterations, peak_of_memory() - self.memory_before)


def start_timed(
    contender: str, shape: Shape, threads: int | None, seconds: float
) -> Process[TimedProgram]:
    """Start a process with one of `CONTENDERS` on one shape."""
    limit = {} if threads is None else {"OPENBLAS_NUM_THREADS": str(threads)}
    return Process(partial(TimedProgram, contender, shape, threads, seconds), limit)
