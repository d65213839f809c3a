"""Positions of trainings: what a checkpoint holds beside its network, and goes on from."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from neuron_xp.checks import check_whole_number
from neuron_xp.errors import ModelFileError
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.optimizers.lbfgs import MEMORY as MOST_STEPS

History: TypeAlias = tuple[tuple[int, float], ...]
"""(iterations done, loss) pairs."""


class Ending(NamedTuple):
    """The end of a training.

    reason : "converged", "settled", "limit", "no lower loss" or "stopped": the gradient came
        within its tolerance, the loss fell by no more than its own, all iterations were done, no
        step lowered the loss any more, or whoever watched the training ended it
    iterations : how many were done
    evaluations : how often L-BFGS has looked at loss and gradient; 0 for other optimizers
    """

    reason: str
    iterations: int
    evaluations: int = 0


@dataclass(frozen=True)
class Position:
    """The state of a training beside its arrays.

    iteration : how many are done
    history : the losses recorded
    evaluations : how often L-BFGS has looked at loss and gradient
    """

    iteration: int
    history: History
    evaluations: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return dictionaries, lists, text and numbers, which JSON can hold."""
        # a loss may be infinite or NaN, which JSON cannot say
        history = [[iteration, loss.hex()] for iteration, loss in self.history]
        found = {"iteration": self.iteration, "history": history}
        return found | ({"evaluations": self.evaluations} if self.evaluations else {})

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Position":
        """Return the record from what JSON holds; raise for what is none."""
        history = tuple((check_whole_number("history", i), float.fromhex(x))
                        for i, x in found["history"])  # fmt: skip
        return cls(
            check_whole_number("iteration", found["iteration"]),
            history,
            check_whole_number("evaluations", found.get("evaluations", 0), most=2**63 - 1),
        )

    def check(self, settings: Settings) -> None:
        """Raise ModelFileError for one that a training with these settings does not come to."""
        if self.iteration > settings.iterations:
            raise ModelFileError("more iterations than its settings have")
        done = [iteration for iteration, _ in self.history]
        is_ordered = all(before < after for before, after in pairwise([*done, self.iteration + 1]))
        if not is_ordered or (self.evaluations and settings.optimizer != "lbfgs"):
            raise ModelFileError("a history that is not of its training")


def check_memory(
    memory: Mapping[str, np.ndarray],
    position: Position | None,
    settings: Settings,
    size: int,
    dtype: np.dtype,
) -> None:
    """Raise ModelFileError unless the optimizer can go on from these arrays.

    size, dtype : of all weights and biases
    """
    if position is None or settings.optimizer == "gradient_descent":
        fits = not memory
    elif not memory:  # as before the first iteration
        fits = position.iteration == 0
    elif settings.optimizer == "adam":
        fits = _fits_adam(memory, size, dtype)
    else:
        fits = _fits_lbfgs(memory, size, position.iteration)
    if not fits:
        raise ModelFileError("arrays that its optimizer does not go on from")


def _fits_adam(memory: Mapping[str, np.ndarray], size: int, dtype: np.dtype) -> bool:
    like = dict.fromkeys(("mean", "square"), ((size,), dtype))
    if _describe(memory) != like:
        return False
    # the square of a large gradient is infinite, and its parameter then stays
    return bool(np.isfinite(memory["mean"]).all() and (memory["square"] >= 0).all())


def _fits_lbfgs(memory: Mapping[str, np.ndarray], size: int, iteration: int) -> bool:
    count = len(np.atleast_1d(memory.get("steps", 0)))
    shapes = {
        "steps": (count, size), "changes": (count, size), "step_products": (count, count),
        "change_products": (count, count), "marks": (3,),
    }  # fmt: skip
    like = {name: (shape, np.dtype("float64")) for name, shape in shapes.items()}
    if _describe(memory) != like or count > MOST_STEPS:
        return False
    idle = memory["marks"][2]
    return (
        all(np.isfinite(array).all() for array in memory.values())
        and all(
            (memory[name].diagonal() > 0).all() for name in ("step_products", "change_products")
        )
        and bool(0 <= idle <= iteration and idle == np.floor(idle))
    )


def _describe(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
