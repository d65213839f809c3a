"""The clock of both benchmarks: how an iteration is timed, and how times are compared."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")

LEAST_ITERATIONS = 3
LONG_ENOUGH = 0.9  # of the seconds that were asked for
LONGER_AT_MOST = 8  # a short run may be off by much: the next is longer by no more than this
OF_SET_UP = 0.5
"""What is measured takes at least so much of what is taken off: else its noise would be seen."""


@dataclass
class Clock:
    """A clock for the iterations of `train(iterations)`, which returns when its work is done.

    sets_up : whether train also checks and prepares its data, and records the loss at start and
        end. None of this belongs to an iteration: a run then takes one iteration more, and the
        time of a run of one iteration is taken off.
    iterations : of each run
    """

    train: Callable[[int], object]
    sets_up: bool
    iterations: int = LEAST_ITERATIONS

    def lengthen_runs(self, seconds: float) -> None:
        """Choose how many iterations a run has, so that it takes about so many seconds."""
        enough = max(LONG_ENOUGH * seconds, OF_SET_UP * self._time_set_up())
        while (found := self._time_run(self.iterations)) < enough:
            times_longer = enough / found / LONG_ENOUGH if found > 0 else math.inf
            self.iterations = math.ceil(self.iterations * min(times_longer, LONGER_AT_MOST))

    def time_iteration(self) -> float:
        """Run, and return the seconds of one iteration."""
        while (seconds := self._time_run(self.iterations)) <= 0:  # lost in what is taken off
            self.iterations *= 2
        return seconds / self.iterations

    def _time_run(self, iterations: int) -> float:
        """Return the seconds of so many iterations, without set-up."""
        if not self.sets_up:
            return self._time_training(iterations)
        return self._time_training(1 + iterations) - self._time_set_up()

    def _time_set_up(self) -> float:
        return self._time_training(1) if self.sets_up else 0.0

    def _time_training(self, iterations: int) -> float:
        seconds, _ = time_call(lambda: self.train(iterations))
        return seconds


def time_call(call: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that the call takes, and its value."""
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


def take_turns(
    turns: Mapping[str, Callable[[], T]],
    rounds: int,
    announce: Callable[[int], object] = lambda number: None,
) -> dict[str, list[T]]:
    """Call each once in every round, so that a slow moment of the machine meets all alike.

    announce : called with the number of the round, from 1, before it
    """
    found: dict[str, list[T]] = {name: [] for name in turns}
    for number in range(1, rounds + 1):
        announce(number)
        for name, turn in turns.items():
            found[name].append(turn())
    return found


def compare(rounds: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of each round's ratio: what slows a whole round down falls out."""
    return median(mine / other for mine, other in zip(rounds, others, strict=True))
