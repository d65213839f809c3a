"""The loop around the step: when the host looks in, what it records, when it stops."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.model.model_file import History
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.training.data.training_set import TrainingSet
from neuron_xp.training.preparation import compute_mean_loss


class State(NamedTuple):
    """A training between two iterations: how many are done, and what they gave."""

    iteration: int
    parameters: Parameters
    history: History


@dataclass(frozen=True)
class Pace:
    """Frequency of the host's looks at a training: it decides what is seen, never what is computed.

    first : iterations of the first stretch
    seconds : of a stretch, about: it is doubled or halved after each
    pause_every : iterations after which a stretch ends, beside the records of the loss
    """

    first: int = 64
    seconds: float = 0.5
    pause_every: int | None = None


def iterate(
    data: TrainingSet, settings: Settings, state: State, *, learning_rate: float, pace: Pace
) -> Iterator[State]:
    """Yield the state after each stretch of iterations, to the last or until the loss settles.

    The loss is recorded after every `settings.loss_every` iterations and after the last; the
    training stops at a record whose loss did not rise, and fell by no more than
    `settings.tolerance` of the one before. Raises TrainingDivergedError.
    """
    pauses = [n for n in (settings.loss_every, pace.pause_every) if n is not None]
    for start, count in _stretches(state.iteration, settings.iterations, pauses, pace):
        if _has_settled(state.history, settings.tolerance):
            return
        parameters = data.advance(state.parameters, start, count, learning_rate)
        if not _are_finite(parameters, data.backend):
            bad = _first_bad_iteration(data, state.parameters, start, count, learning_rate)
            raise TrainingDivergedError(bad, learning_rate)
        done, history = start + count, state.history
        if is_recorded(done, settings):
            history = (*history, (done, compute_mean_loss(data, parameters, settings.l2)))
        state = State(done, parameters, history)
        yield state


def is_recorded(iteration: int, settings: Settings) -> bool:
    """Tell whether the loss is recorded after so many iterations."""
    return iteration % settings.loss_every == 0 or iteration == settings.iterations


def _has_settled(history: History, tolerance: float) -> bool:
    if tolerance == 0 or len(history) < 2:
        return False
    (_, before), (_, now) = history[-2:]
    return 0 <= before - now <= tolerance * before


def _stretches(
    start: int, iterations: int, pauses: list[int], pace: Pace
) -> Iterator[tuple[int, int]]:
    """Yield (start, count): about `pace.seconds` of work each, and none across a pause."""
    size = pace.first
    while start < iterations:
        count = min(size, iterations - start, *(every - start % every for every in pauses))
        began = time.perf_counter()
        yield start, count
        start += count
        seconds = time.perf_counter() - began
        size = size * 2 if seconds < pace.seconds else max(1, size // 2)


def _are_finite(parameters: Parameters, backend: Backend) -> bool:
    xp = backend.xp
    arrays = (*parameters.weights, *parameters.biases)
    return all(bool(xp.all(xp.isfinite(array))) for array in arrays)


def _first_bad_iteration(
    data: TrainingSet, parameters: Parameters, start: int, count: int, learning_rate: float
) -> int:
    """Find the iteration, counted from 1, after which the parameters were first not finite.

    Halves of the stretch are done again: what is not finite stays so, and the same iterations
    give the same bits.
    """
    if count == 1:
        return start + 1
    half = count // 2
    middle = data.advance(parameters, start, half, learning_rate)
    if not _are_finite(middle, data.backend):
        return _first_bad_iteration(data, parameters, start, half, learning_rate)
    return _first_bad_iteration(data, middle, start + half, count - half, learning_rate)
