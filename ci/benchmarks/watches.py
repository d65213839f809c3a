"""Times of iterations by `on_progress`: what goes before them and after them falls out.

Where data are not in memory, a training of one iteration takes longer to look at them than to
learn from them; a difference of two trainings would be a small one of two large ones.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from neuron_xp import Progress
from neuron_xp.training.loop import Pace

T = TypeVar("T")


class Between:
    """A watch of the iterations from the first call of `on_progress` to the last but one.

    Before the last call the loss is recorded, which is no part of an iteration. Training in
    parts begins with a stretch of one iteration; so four iterations are enough.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[int, float]] = []

    def __call__(self, progress: Progress) -> None:
        if progress.iteration < progress.iterations:
            self._marks.append((progress.iteration, time.perf_counter()))

    def seconds(self) -> float:
        """Return the seconds of an iteration."""
        (first, began), *_, (last, ended) = self._marks
        return (ended - began) / (last - first)


def watch_second(
    train: Callable[..., object],
    prepare: Callable[[], object],
    begin: Callable[[], Callable[[], T]],
    pause: float = Pace.seconds,
) -> T:
    """Return what is found for the second of three iterations; after the third is the loss.

    begin : called when it begins, after prepare; what it returns is called when it has ended
    pause : seconds; a stretch that took so long is followed by one of a single iteration
    """
    ends: list[Callable[[], T]] = []
    found: list[T] = []

    def look(progress: Progress) -> None:
        if progress.iteration == 1:
            time.sleep(pause)
            prepare()
            ends.append(begin())
        elif progress.iteration == 2:
            found.extend(end() for end in ends)

    train(iterations=3, on_progress=look)
    if not found:
        raise RuntimeError("training does not call back after each iteration")
    return found[0]
