"""A worker with one contender, whose iterations are timed."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from ci.benchmarks.memory import measure_peak, restart_peak
from ci.benchmarks.processes import Process, Worker
from ci.benchmarks.programs import CONTENDERS
from ci.benchmarks.shapes import Shape, make_problem
from neuron_xp.workflows.clock import Clock, take_turns, time_call

T = TypeVar("T")
W = TypeVar("W")


class Pace(NamedTuple):
    """How often and how long it is measured, and who is told how far it is."""

    rounds: int
    seconds: float
    say: Callable[[str], object]

    def announce(self, title: str) -> Callable[[int], object]:
        """Make what announces a round by its number."""
        return lambda number: self.say(f"{title} round {number} of {self.rounds}")


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
        self.memory_before = restart_peak()

    def train_first(self) -> First:
        """Train for the first time, and choose how long measured runs are."""
        seconds, result = time_call(partial(self.program.train, self.shape.compared))
        weights, fingerprint = self.program.end(result)
        del result
        memory = measure_peak() - self.memory_before
        if self.shape.iterations is None:
            self.clock.lengthen_runs(self.seconds)
        else:
            self.clock.iterations = self.shape.iterations
        self.memory_before = restart_peak()
        return First(seconds, memory, weights, fingerprint)

    def run(self) -> Run:
        """Measure once."""
        seconds = self.clock.time_iteration()
        return Run(seconds, self.clock.iterations, measure_peak() - self.memory_before)


def start_timed(
    contender: str, shape: Shape, threads: int | None, seconds: float
) -> Process[TimedProgram]:
    """Start a process with one of `CONTENDERS` on one shape."""
    limit = {} if threads is None else {"OPENBLAS_NUM_THREADS": str(threads)}
    return Process(partial(TimedProgram, contender, shape, threads, seconds), limit)


def take_turns_with(
    memory: Process[TimedProgram],
    process: Process[W],
    run: Callable[[W], T],
    title: str,
    pace: Pace,
) -> list[tuple[T, float]]:
    """Return for each round what the process's run gives, and the seconds in memory."""
    rounds = take_turns(
        {title: lambda: (process.ask(run), memory.ask(TimedProgram.run).seconds)},
        pace.rounds,
        pace.announce(title),
    )
    return rounds[title]
