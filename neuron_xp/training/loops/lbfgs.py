"""L-BFGS on all examples, until the gradient is small or no step lowers the loss.

The parameters, the curvature and every decision are the host's; the training set adds loss and
gradient up, wherever it is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from neuron_xp.backends.engine import choose_host_arithmetic
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.model.position import History
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import Parameters, flatten, unflatten
from neuron_xp.neuron.optimizers.gradient import (
    Mean,
    divide_by_count,
    dot,
    find_gradient,
    multiply,
)
from neuron_xp.neuron.optimizers.lbfgs import (
    Curvature,
    choose_first_step,
    find_direction,
    know_nothing,
    remember,
)
from neuron_xp.neuron.optimizers.line_search import Trial, search
from neuron_xp.training.data.training_set import TrainingSet
from neuron_xp.training.loops.loop import State, is_recorded
from neuron_xp.training.preparation import average, find_penalty

PATIENCE = 30
"""Iterations in which neither the loss nor the gradient was lower than ever before."""


class Point(NamedTuple):
    """Flat parameters, and the mean loss and its gradient there: NumPy arrays of float64.

    on_device : the same parameters as the training set takes them
    """

    parameters: np.ndarray
    loss: float
    gradient: np.ndarray
    on_device: Parameters


class Memory(NamedTuple):
    """What L-BFGS goes on from, beside the parameters.

    marks : (3,), the lowest loss and the smallest largest slope so far, and the iterations since
        one of them fell
    """

    curvature: Curvature
    marks: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for a checkpoint."""
        steps, changes, *products = self.curvature
        size = len(steps), len(steps)
        of_steps, of_changes = (
            np.asarray(rows, dtype="float64").reshape(size) for rows in products
        )
        return {
            "steps": steps, "changes": changes, "step_products": of_steps,
            "change_products": of_changes, "marks": self.marks,
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Memory":
        """Return what `to_arrays` has taken apart."""
        of_steps, of_changes = (
            tuple(map(tuple, arrays[name].tolist()))
            for name in ("step_products", "change_products")
        )
        curvature = Curvature(arrays["steps"], arrays["changes"], of_steps, of_changes)
        return cls(curvature, arrays["marks"])

    def look_at(self, point: "Point") -> "Memory":
        """Compare a new point with the best so far.

        Near the minimum the loss is all rounding, and the gradient may still shrink.
        """
        loss, slope, idle = self.marks.tolist()
        steepest = _find_steepest(point.gradient)
        is_better = point.loss < loss or steepest < slope
        marks = min(point.loss, loss), min(steepest, slope), 0.0 if is_better else idle + 1
        return self._replace(marks=np.asarray(marks))


@dataclass
class Objective:
    """The mean loss of a training set as a function of flat parameters on the host.

    like : parameters of the shapes that the training set takes
    evaluations : how often it was asked for
    """

    data: TrainingSet
    settings: Settings
    like: Parameters
    evaluations: int = 0

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """The host's arithmetic."""
        return choose_host_arithmetic(open_host_backend(), self.settings.arithmetic)

    @cached_property
    def mean(self) -> Mean:
        """The factors that make a mean of the sums over the examples."""
        count = self.data.sum_weights()
        host = open_host_backend()
        penalty = find_penalty(self.like, self.settings.l2, count, host)
        return Mean(divide_by_count(1.0, count), penalty)

    def evaluate(self, flat: np.ndarray) -> Point:
        """Look at the loss and its gradient: one pass over the data."""
        self.evaluations += 1
        on_device = self.unflatten(flat)
        losses, sums = self.data.compute_losses_and_sums(on_device)
        weights = flat[: sum(math.prod(x.shape) for x in self.like.weights)]
        loss = average(losses, [weights], self.settings.l2, self.data.sum_weights())
        gradient = find_gradient(flat, sums, self.mean, arithmetic=self.arithmetic)
        return Point(flat, loss, gradient, on_device)

    def unflatten(self, flat: np.ndarray) -> Parameters:
        """Return the parameters on the backend of the training set, and of its type."""
        backend = self.data.backend
        arrays = unflatten(flat.astype(self.data.dtype), self.like, xp=np)
        weights, biases = (tuple(map(backend.from_host, x)) for x in arrays)
        return Parameters(weights, biases)

    def flatten(self, parameters: Parameters) -> np.ndarray:
        """Return the training set's parameters as one array on the host."""
        weights, biases = (tuple(map(self.data.backend.to_host, x)) for x in parameters)
        flat: np.ndarray = flatten(Parameters(weights, biases), xp=np)
        return flat.astype("float64")


def iterate_lbfgs(data: TrainingSet, settings: Settings, state: State) -> Iterator[State]:
    """Yield the state after each iteration; the last has the reason why it ended.

    It ends where no slope of the mean loss is steeper than `settings.gradient_tolerance`, where
    no step lowers the loss, or after `settings.iterations`. Raises TrainingDivergedError if
    there is no loss to begin with.
    """
    objective = Objective(data, settings, state.parameters)
    point = objective.evaluate(objective.flatten(state.parameters))
    if not (math.isfinite(point.loss) and np.isfinite(point.gradient).all()):
        raise TrainingDivergedError(0)
    memory = state.memory
    if not isinstance(memory, Memory):
        nothing = know_nothing(len(point.parameters), xp=np)
        marks = np.asarray([point.loss, _find_steepest(point.gradient), 0.0])
        memory = Memory(nothing, marks)
    if state.evaluations:  # those of the checkpoint, which was at this point already
        objective.evaluations = state.evaluations
    done, history = state.iteration, state.history
    ending = _find_ending(memory, point, done, settings)
    while True:
        history = _record(history, done, point.loss, settings, is_last=ending is not None)
        yield State(done, point.on_device, history, memory, objective.evaluations, ending)
        if ending is not None:
            return
        found = _take_step(objective, point, memory.curvature)
        if found is None:
            ending = "no lower loss"
            continue
        point, curvature = found
        memory, done = memory._replace(curvature=curvature).look_at(point), done + 1
        ending = _find_ending(memory, point, done, settings)


def _record(
    history: History, iteration: int, loss: float, settings: Settings, *, is_last: bool
) -> History:
    is_new = not history or history[-1][0] != iteration
    is_due = is_last or not history or is_recorded(iteration, settings)
    return (*history, (iteration, loss)) if is_new and is_due else history


def _find_ending(memory: Memory, point: Point, iteration: int, settings: Settings) -> str | None:
    if _find_steepest(point.gradient) <= (settings.gradient_tolerance or 0.0):
        return "converged"
    if memory.marks[2] >= PATIENCE:
        return "no lower loss"
    return "limit" if iteration >= settings.iterations else None


def _find_steepest(gradient: np.ndarray) -> float:
    return float(np.max(np.abs(gradient)))


def _take_step(
    objective: Objective, point: Point, curvature: Curvature
) -> tuple[Point, Curvature] | None:
    """Return the next point and what is then known; None if no step lowers the loss.

    Where the curvature leads nowhere, it is forgotten, and the gradient shows the way.
    """
    arithmetic = objective.arithmetic
    direction = find_direction(point.gradient, curvature, arithmetic=arithmetic)
    slope = dot(direction, point.gradient, arithmetic=arithmetic)
    new = None
    if -math.inf < slope < 0:
        first = choose_first_step(point.gradient, curvature, arithmetic=arithmetic)
        new = _search_line(objective, point, direction, slope, first)
    if new is None:
        if not len(curvature.steps):
            return None
        return _take_step(objective, point, know_nothing(len(point.parameters), xp=np))
    step, change = new.parameters - point.parameters, new.gradient - point.gradient
    return new, remember(curvature, step, change, arithmetic=arithmetic)


def _search_line(
    objective: Objective, point: Point, direction: np.ndarray, slope: float, first_step: float
) -> Point | None:
    arithmetic = objective.arithmetic

    def evaluate(step: float) -> Trial:
        change = multiply(direction, step, arithmetic=arithmetic)
        found = objective.evaluate(arithmetic.flush(point.parameters + change))
        return Trial(step, found.loss, dot(found.gradient, direction, arithmetic=arithmetic), found)

    trial = search(evaluate, Trial(0.0, point.loss, slope), first_step)
    return None if trial is None else trial.found
