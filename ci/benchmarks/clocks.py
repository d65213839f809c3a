"""Time of iterations by `on_progress`: what goes before them and after them falls out.

Where data are not in memory, a training of one iteration takes longer to look at them than to
learn from them; a difference of two trainings would be a small one of two large ones.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from neuron_xp.training.loop import SECONDS_A_STRETCH


class Between:
    """Seconds per iteration from the first call to the last but one.

    Before the last call the loss is recorded, which is no part of an iteration. Training in
    parts begins with a stretch of one iteration; so four iterations are enough.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[int, float]] = []

    def __call__(self, progress: Any) -> None:
        if progress.iteration < progress.iterations:
            self._marks.append((progress.iteration, time.perf_counter()))

    def seconds(self) -> float:
        (first, began), *_, (last, ended) = self._marks
        return (ended - began) / (last - first)

    def iterations(self) -> int:
        return self._marks[-1][0] - self._marks[0][0]


class OneByOne:
    """What `work` finds for single iterations: each follows its own preparation.

    begin() : called when an iteration begins; what it gives is called when it has ended, and
        gives what is kept in `found`
    """

    def __init__(
        self, preparations: Sequence[Callable[[], object]], begin: Callable[[], Callable[[], Any]]
    ) -> None:
        self.iterations = 2 + len(preparations)  # the first is followed by none, the last by a loss
        self.found: list[Any] = []
        self._left = list(preparations)
        self._begin = begin
        self._end: Callable[[], Any] | None = None
        self._before = 0

    def __call__(self, progress: Any) -> None:
        if progress.iteration == self.iterations:
            return
        if self._end is not None:
            self.found.append(self._end())
        if progress.iteration != self._before + 1:
            raise RuntimeError("training does not call back after each iteration")
        self._before = progress.iteration
        # a stretch that took so long, with this call, is followed by one of a single iteration
        time.sleep(SECONDS_A_STRETCH)
        if self._left:
            self._left.pop(0)()
        self._end = self._begin()
