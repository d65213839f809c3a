"""A worker with one contender, whose iterations are timed."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

from ci.benchmarks.memory import measure_peak, restart_peak
from ci.benchmarks.programs import CONTENDERS, Program
from ci.benchmarks.shapes import Shape, make_problem
from neuron_xp.workflows.clock import Clock, time_call


class Pace(NamedTuple):
    """How often and how long it is measured, and who is told how far it is."""

    rounds: int
    seconds: float
    say: Callable[[str], object]


class FirstCall(NamedTuple):
    """The first training: seconds with compilation, memory, and what it ended on."""

    seconds: float
    bytes: int
    weights: list[float]
    fingerprint: str | None


class Run(NamedTuple):
    """A round of one way; see `results.Way`."""

    seconds: float
    iterations: int = 1
    peak_bytes: int | None = None
    resident_bytes: int | None = None
    from_disk: int | None = None
    parts: int | None = None
    tasks: int | None = None


class Worker:
    """A worker with a program, which trains first, and then takes part in rounds."""

    def __init__(self, program: Program, compared: int) -> None:
        self.program = program
        self.compared = compared

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def get_ready(self) -> None:
        """Answer, which an open worker does."""

    def train_first(self) -> FirstCall:
        """Train for the first time."""
        before = restart_peak()
        seconds, result = time_call(partial(self.program.train, self.compared))
        ending = self.program.end(result)
        del result
        peak = measure_peak()
        self.prepare_rounds()
        self.resident_bytes = restart_peak()
        return FirstCall(seconds, peak - before, *ending)

    def prepare_rounds(self) -> None:
        """Choose how long measured runs are, if that is to be chosen."""

    def run(self) -> dict[str, Run]:
        """Measure one round of each way."""
        raise NotImplementedError


def run(worker: Worker) -> dict[str, Run]:
    """Have a worker of any kind measure one round."""
    return worker.run()


class TimedProgram(Worker):
    """One of `CONTENDERS` on one shape; the name is that of its way."""

    def __init__(
        self, contender: str, shape: Shape, threads: int | None, seconds: float, name: str
    ) -> None:
        super().__init__(CONTENDERS[contender](make_problem(shape), threads), shape.compared)
        self.name = name
        self.shape = shape
        self.seconds = seconds
        self.clock = Clock(self.program.train, sets_up=self.program.sets_up)

    def prepare_rounds(self) -> None:
        """Choose the iterations of a run, where the shape does not say."""
        if self.shape.iterations is None:
            self.clock.lengthen_runs(self.seconds)
        else:
            self.clock.iterations = self.shape.iterations

    def run(self) -> dict[str, Run]:
        """Measure once."""
        seconds, resident = self.clock.time_iteration(), self.resident_bytes
        return {self.name: Run(seconds, self.clock.iterations, measure_peak() - resident, resident)}
