"""Gradient descent and Adam: so many iterations, each with all examples or with a batch."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.model.settings import AUTO, Settings
from neuron_xp.neuron.layers import Parameters, flatten, unflatten
from neuron_xp.neuron.optimizers import adam
from neuron_xp.neuron.optimizers.adam import Moments
from neuron_xp.neuron.optimizers.gradient import Mean, divide_by_count, find_gradient
from neuron_xp.neuron.types import Array
from neuron_xp.training.data.batches import count_batch_rows
from neuron_xp.training.data.training_set import TrainingSet
from neuron_xp.training.loops.loop import Pace, State, iterate
from neuron_xp.training.preparation import find_penalty, find_safe_learning_rate


def iterate_gradient_descent(
    data: TrainingSet, settings: Settings, state: State, pace: Pace
) -> Iterator[State]:
    """Yield the states of gradient descent; see `loop.iterate`."""
    rate = find_learning_rate(data, settings)

    def advance(state: State, count: int) -> State:
        parameters = data.advance(state.parameters, state.iteration, count, rate)
        return state._replace(parameters=parameters)

    return iterate(data, settings, state, advance=advance, learning_rate=rate, pace=pace)


def find_learning_rate(data: TrainingSet, settings: Settings) -> float:
    """Return the learning rate of the settings; for "auto" the safe one of the data."""
    if settings.learning_rate != AUTO:
        return float(settings.learning_rate or 0.0)
    return find_safe_learning_rate(data, rule=settings.rule, bias=settings.bias, l2=settings.l2)


def iterate_adam(
    data: TrainingSet, settings: Settings, state: State, pace: Pace
) -> Iterator[State]:
    """Yield the states of Adam; see `loop.iterate`. It descends the mean loss of each batch."""
    rate, count_of_all = float(settings.learning_rate or 0.0), data.sum_weights()
    step = _compile_adam(data.backend, settings.arithmetic)
    penalty = find_penalty(state.parameters, settings.l2, count_of_all, data.backend, data.dtype)
    if state.memory is None:
        zeros = flatten(state.parameters, xp=data.backend.xp) * 0.0
        state = state._replace(memory=Moments(zeros, zeros))

    def advance(state: State, count: int) -> State:
        parameters, moments = state.parameters, state.memory
        for iteration in range(state.iteration, state.iteration + count):
            rows = count_batch_rows(iteration, settings, data.rows)
            mean = Mean(divide_by_count(data.rows / rows, count_of_all), penalty)
            sums = data.sum_batch(iteration, parameters)
            corrected = adam.corrected_rate(rate, iteration + 1)
            parameters, moments = step(parameters, moments, sums, corrected, mean)
        return state._replace(parameters=parameters, memory=moments)

    return iterate(data, settings, state, advance=advance, learning_rate=rate, pace=pace)


@lru_cache(maxsize=64)
def _compile_adam(backend: Backend, name: str) -> Callable[..., tuple[Parameters, Moments]]:
    """Return step(parameters, moments, sums, rate, mean), compiled."""
    arithmetic, xp = choose_arithmetic(backend, name, no_tiny_inputs=False), backend.xp

    def step(
        parameters: Parameters, moments: Moments, sums: tuple[Array, ...], rate: float, mean: Mean
    ) -> tuple[Parameters, Moments]:
        flat, downhill = flatten(parameters, xp=xp), flatten(Parameters(sums), xp=xp)
        gradient = find_gradient(flat, downhill, mean, arithmetic=arithmetic)
        flat, moments = adam.descend(flat, moments, gradient, rate, arithmetic=arithmetic)
        return unflatten(flat, parameters, xp=xp), moments

    return backend.compile(step)
