"""The loop around the step: when the host looks in, what it records, when it stops."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import ClusterLostError, TrainingDivergedError
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.layers import Parameters

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
    start: int = 0,
    history: History = (),
    watch: Callable[[int, Parameters, History, bool], object] = lambda *_: None,
    pause_every: int | None = None,
    first_stretch: int = FIRST_STRETCH,
    on_progress: Callable[[Progress], object] | None = None,
) -> tuple[Parameters, History]:
    """Advance from iteration `start` to the last, or to where the loss stops falling.

    The loss is recorded before the first iteration, after every `settings.loss_every`
    iterations, and after the last. Training stops at a record whose loss did not rise, and
    fell by no more than `settings.tolerance` of the one before.
    `watch(iterations done, parameters, history, is_last)` is called after every stretch, at
    the latest after `pause_every` iterations; and as the last, with what the last whole
    stretch gave, when the keyboard or a signal interrupts, or a cluster is lost.
    """
    every = settings.loss_every
    kept = (r for r in history if r[0] % every == 0 or r[0] == settings.iterations)
    records = list(kept) or [(0, loss(parameters))]
    pauses = [every] if pause_every is None else [every, pause_every]
    if _has_settled(records, settings.tolerance):
        return parameters, tuple(records)
    last = start, parameters, tuple(records)
    try:
        for begin, count in _stretches(start, settings.iterations, pauses, first_stretch):
            before, parameters = parameters, advance(parameters, begin, count)
            if not _finite(parameters, backend):
                bad = _first_bad_iteration(advance, before, begin, count, backend)
                raise TrainingDivergedError(bad, learning_rate)
            done = begin + count
            if done % every == 0 or done == settings.iterations:
                records.append((done, loss(parameters)))
            last = done, parameters, tuple(records)
            watch(*last, False)
            if on_progress is not None:
                on_progress(Progress(done, settings.iterations, records[-1][1]))
            if records[-1][0] == done and _has_settled(records, settings.tolerance):
                break
    except (KeyboardInterrupt, SystemExit, ClusterLostError):
        watch(*last, True)
        raise
    return parameters, tuple(records)


def _has_settled(history: list[tuple[int, float]], tolerance: float) -> bool:
    if tolerance == 0 or len(history) < 2:
        return False
    (_, before), (_, now) = history[-2:]
    return 0 <= before - now <= tolerance * before


def _stretches(
    start: int, iterations: int, pauses: list[int], size: int = FIRST_STRETCH
) -> Iterator[tuple[int, int]]:
    """(start, count): about half a second of work each, and none across a pause.

    The first is of `size` iterations.

    The clock decides how often the host looks in, never what is computed.
    """
    while start < iterations:
        count = min(size, iterations - start, *(every - start % every for every in pauses))
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
