"""Reports of a training to whoever waits for it: `Progress`, about once a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from neuron_xp.model.settings import Settings
from neuron_xp.neuron.types import Array
from neuron_xp.training.loops.loop import State


class Progress(NamedTuple):
    """News of a training, for a callback.

    iteration : how many are done
    iterations : how many there are to be; None for L-BFGS, which stops when it is done
    loss : the last recorded mean loss over the examples
    weights, biases : tuples of arrays, one a layer, in the library that trains; they do not change
    ending : why the training has just ended, as `NeuralNetwork.ending` has it; or None
    """

    iteration: int
    iterations: int | None
    loss: float
    weights: tuple[Array, ...] = ()
    biases: tuple[Array, ...] = ()
    ending: str | None = None

    def __repr__(self) -> str:
        of_all = "" if self.iterations is None else f" of {self.iterations}"
        return f"iteration {self.iteration}{of_all}: loss {self.loss:.6g}"


@dataclass
class Reporter:
    """Calls a callback at the end of a training, and on the way.

    on_progress : the callback, or None; if it has a method `close`, that is called in the end
    every : iterations between two calls; None for about a second
    seconds : what that second is
    """

    on_progress: Callable[[Progress], object] | None
    settings: Settings
    every: int | None = None
    seconds: float = 1.0
    called: float = field(default_factory=time.monotonic)

    def report(self, state: State) -> None:
        """Call the callback, if it is time, or the training has ended."""
        if self.on_progress is None:
            return
        iteration, iterations = state.iteration, self.settings.iterations
        has_ended = state.ending is not None or iteration >= iterations
        if not (has_ended or self._is_due(iteration)):
            return
        self.called = time.monotonic()
        self.on_progress(
            Progress(
                iteration=iteration,
                iterations=None if self.settings.optimizer == "lbfgs" else iterations,
                loss=state.history[-1][1],
                weights=state.parameters.weights,
                biases=state.parameters.biases,
                ending=state.end().reason if has_ended else None,
            )
        )

    def close(self) -> None:
        """Close the callback, however the training has ended."""
        close = getattr(self.on_progress, "close", None)
        if callable(close):
            close()

    def _is_due(self, iteration: int) -> bool:
        if self.every is not None:
            return iteration % self.every == 0
        return time.monotonic() >= self.called + self.seconds
