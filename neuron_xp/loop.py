"""The loop around the step: when the host looks in, what it records, when it stops."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from neuron_xp.backend import Backend
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.neuron.layers import Parameters
from neuron_xp.settings import Settings

FIRST_STRETCH = 64
SECONDS_A_STRETCH = 0.5

Advance: TypeAlias = Callable[[Parameters, int, int], Parameters]
"""(parameters, start, count) -> the parameters after iterations start ... start + count - 1."""

History: TypeAlias = tuple[tuple[int, float], ...]
"""(iterations done, loss) pairs."""


@dataclass(frozen=True)
class Progress:
    """What a callback is told between stretches: iterations done, of how many, last loss."""

    iteration: int
    iterations: int
    loss: float


def iterate(
    advance: Advance,
    loss: Callable[[Parameters], float],
    parameters: Parameters,
    settings: Settings,
    backend: Backend,
    *,
    learning_rate: float,
    on_progress: Callable[[Progress], object] | None = None,
) -> tuple[Parameters, History]:
    """Advance to the last iteration, or to where the loss stops falling.

    The loss is recorded before the first iteration, after every `settings.recording`
    iterations, and after the last. Training stops at a record whose loss fell by no more
    than `settings.tolerance` of the one before.
    """
    history = [(0, loss(parameters))]
    for start, count in _stretches(settings.iterations, settings.recording):
        before, parameters = parameters, advance(parameters, start, count)
        if not _finite(parameters, backend):
            bad = _first_bad_iteration(advance, before, start, count, backend)
            raise TrainingDivergedError(bad, learning_rate)
        done = start + count
        if done % settings.recording == 0 or done == settings.iterations:
            history.append((done, loss(parameters)))
        if on_progress is not None:
            on_progress(Progress(done, settings.iterations, history[-1][1]))
        if history[-1][0] == done and _has_settled(history, settings.tolerance):
            break
    return parameters, tuple(history)


def _has_settled(history: list[tuple[int, float]], tolerance: float) -> bool:
    (_, before), (_, now) = history[-2:]
    return tolerance > 0 and before - now <= tolerance * before


def _stretches(iterations: int, recording: int) -> Iterator[tuple[int, int]]:
    """(start, count): about half a second of work each, and none across a record.

    The clock decides how often the host looks in, never what is computed.
    """
    start, size = 0, FIRST_STRETCH
    while start < iterations:
        count = min(size, recording - start % recording, iterations - start)
        began = time.perf_counter()
        yield start, count
        start += count
        seconds = time.perf_counter() - began
        size = size * 2 if seconds < SECONDS_A_STRETCH else max(1, size // 2)


def _finite(parameters: Parameters, backend: Backend) -> bool:
    xp = backend.xp
    arrays = (*parameters.weights, *parameters.biases)
    return all(bool(xp.all(xp.isfinite(array))) for array in arrays)


def _first_bad_iteration(
    advance: Advance, parameters: Parameters, start: int, count: int, backend: Backend
) -> int:
    """The iteration, counted from 1, after which the parameters were first not finite.

    Found by doing halves of the stretch again: what is not finite stays so, and the same
    iterations give the same bits.
    """
    if count == 1:
        return start + 1
    half = count // 2
    middle = advance(parameters, start, half)
    if not _finite(middle, backend):
        return _first_bad_iteration(advance, parameters, start, half, backend)
    return _first_bad_iteration(advance, middle, start + half, count - half, backend)
