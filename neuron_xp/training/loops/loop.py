"""Loops around a step: when the host looks in, what it records, when it stops."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.model.position import Ending, History
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.training.data.training_set import TrainingSet
from neuron_xp.training.preparation import compute_mean_loss


class State(NamedTuple):
    """A training between two iterations: how many are done, and what they gave.

    memory : what the optimizer goes on from, beside the parameters: `lbfgs.Memory`,
        `adam.Moments`, or None for gradient descent
    evaluations : how often L-BFGS has looked at loss and gradient
    ending : why it stopped; None while it goes on
    """

    iteration: int
    parameters: Parameters
    history: History
    memory: Any = None
    evaluations: int = 0
    ending: str | None = None

    def end(self) -> Ending:
        """Return the end of the training that has stopped here."""
        return Ending(self.ending or "limit", self.iteration, self.evaluations)


@dataclass(frozen=True)
class Pace:
    """Frequency of the host's looks at a training: it decides what is seen, never what is computed.

    first : iterations of the first stretch
    seconds : of a stretch, about: it is doubled or halved after each
    pauses : numbers of iterations after each of which a stretch ends, beside the records of the
        loss
    """

    first: int = 64
    seconds: float = 0.5
    pauses: tuple[int, ...] = ()


def iterate(
    data: TrainingSet,
    settings: Settings,
    state: State,
    *,
    advance: Callable[[State, int], State],
    learning_rate: float,
    pace: Pace,
) -> Iterator[State]:
    """Yield the state after each stretch of iterations, to the last or until the loss settles.

    `advance(state, count)` gives parameters and memory after so many more iterations. The loss
    is recorded after every `settings.loss_every` iterations and after the last; the training
    stops at a record whose loss did not rise, and fell by no more than `settings.tolerance` of
    the one before. Raises TrainingDivergedError.
    """
    pauses = [settings.loss_every, *pace.pauses]
    for start, count in _stretches(state.iteration, settings.iterations, pauses, pace):
        if _has_settled(state.history, settings.tolerance):
            break
        new = advance(state, count)
        if not _are_finite(new.parameters, data.backend):
            bad = _find_bad_iteration(data, state, count, advance)
            raise TrainingDivergedError(bad, learning_rate)
        done = start + count
        if is_recorded(done, settings):
            loss = compute_mean_loss(data, new.parameters, settings.l2)
            new = new._replace(history=(*state.history, (done, loss)))
        state = new._replace(iteration=done)
        yield state
    if _has_settled(state.history, settings.tolerance):  # perhaps at the last of its records
        yield state._replace(ending="settled")


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


def _find_bad_iteration(
    data: TrainingSet, state: State, count: int, advance: Callable[[State, int], State]
) -> int:
    """Find the iteration, counted from 1, after which the parameters were first not finite.

    Halves of the stretch are done again: what is not finite stays so, and the same iterations
    give the same bits.
    """
    if count == 1:
        return state.iteration + 1
    half = count // 2
    middle = advance(state, half)._replace(iteration=state.iteration + half)
    if not _are_finite(middle.parameters, data.backend):
        return _find_bad_iteration(data, state, half, advance)
    return _find_bad_iteration(data, middle, count - half, advance)
