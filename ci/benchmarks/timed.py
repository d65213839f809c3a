"""A worker with one contender, whose iterations are timed."""

from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from ci.benchmarks.machine import measure_peak, restart_peak
from ci.benchmarks.programs import CONTENDERS, Program
from ci.benchmarks.results import First, Way
from ci.benchmarks.shapes import Shape, make_problem
from neuron_xp.workflows.clock import Clock, time_call


class Pace(NamedTuple):
    """How often and how long it is measured."""

    rounds: int
    seconds: float


class Worker(AbstractContextManager["Worker"]):
    """A worker with a program, which trains first, and then takes part in rounds."""

    def __init__(self, program: Program, compared: int) -> None:
        self.program = program
        self.compared = compared

    def __exit__(self, *_: object) -> None:
        return None

    def get_ready(self) -> None:
        """Answer, which an open worker does."""

    def train_first(self) -> tuple[First, list[float]]:
        """Train for the first time; return also the weights that it ended on."""
        before = restart_peak()
        seconds, result = time_call(partial(self.program.train, self.compared))
        weights, fingerprint = self.program.end(result)
        del result
        first = First(seconds, measure_peak() - before, fingerprint)
        self.resident_bytes = restart_peak()
        return first, weights

    def run(self) -> dict[str, Way]:
        """Measure one round of each way."""
        raise NotImplementedError


def train_first(worker: Worker) -> tuple[First, list[float]]:
    """Have a worker of any kind train for the first time: by its own method, not by Worker's."""
    return worker.train_first()


def run(worker: Worker) -> dict[str, Way]:
    """Have a worker of any kind measure one round."""
    return worker.run()


class TimedProgram(Worker):
    """One of `CONTENDERS` on one shape; the name is that of its way."""

    def __init__(
        self, contender: str, shape: Shape, threads: int | None, seconds: float, name: str
    ) -> None:
        super().__init__(CONTENDERS[contender](make_problem(shape, threads)), shape.compared)
        self.name = name
        self.shape = shape
        self.seconds = seconds
        self.clock = Clock(self.program.train, sets_up=self.program.sets_up)

    def train_first(self) -> tuple[First, list[float]]:
        """Choose also the iterations of a run, where the shape does not say."""
        found = super().train_first()
        if self.shape.iterations is None:
            self.clock.lengthen_runs(self.seconds)
        else:
            self.clock.iterations = self.shape.iterations
        self.resident_bytes = restart_peak()
        return found

    def run(self) -> dict[str, Way]:
        """Measure once."""
        seconds, resident = self.clock.time_iteration(), self.resident_bytes
        return {
            self.name: Way((seconds,), self.clock.iterations, measure_peak() - resident, resident)
        }
