"""Fitting: from a training set and settings to a network, by a start, a loop and checkpoints."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from neuron_xp.backends.opening.missing_kernels import hint_at_kernels
from neuron_xp.backends.probe.rounding import check_rounding
from neuron_xp.errors import ClusterLostError, LearningWarning
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.model_file import Model
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.position import Position
from neuron_xp.model.settings import WEIGHTED, Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.optimizers.adam import Moments
from neuron_xp.neuron.step import Scaling
from neuron_xp.random_start import draw_start
from neuron_xp.training.data.training_set import TrainingSet
from neuron_xp.training.judgement import find_problem
from neuron_xp.training.loops.descent import iterate_adam, iterate_gradient_descent
from neuron_xp.training.loops.lbfgs import Memory, iterate_lbfgs
from neuron_xp.training.loops.loop import Pace, State, is_recorded
from neuron_xp.training.preparation import compute_mean_loss, find_scaling
from neuron_xp.training.report import Progress, Reporter

PASSES_OF_LBFGS = 100
"""Looks at all examples until it has converged, about."""


def fit(
    data: TrainingSet,
    settings: Settings,
    *,
    feature_names: tuple[str, ...] | None = None,
    start: NeuralNetwork | None = None,
    should_stop: Callable[[NeuralNetwork], bool] | None = None,
    saving: Saving | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    progress_every: int | None = None,
    say: Callable[[str], str] | None = None,
    pace: Pace | None = None,
) -> NeuralNetwork:
    """Train on the data, from random weights or from the checkpoint of `saving`.

    A checkpoint is written when it is due, at the end, and when the keyboard or a signal
    interrupts or a cluster is lost: then with what the last whole stretch gave.

    feature_names : of the inputs, for the network to keep
    start : the network whose weights and biases to begin with; of the same sizes
    should_stop : called with the network at each record of the loss; true ends the training
    on_progress : called about once a second, or after every `progress_every` iterations, and at
        the end
    say : puts a warning into the words of whoever called
    pace : how often the host looks in; None suits the data
    """
    _hint_at_kernels(data, settings)
    reporter = Reporter(on_progress, settings, every=progress_every)
    pace = pace or _choose_pace(data, saving, progress_every)
    held = nullcontext() if saving is None else saving.hold()
    with (
        np.errstate(all="ignore"), closing(reporter), held, data.backend.context(),
        explain_lost_cluster(saving),
    ):  # fmt: skip
        network = _fit(data, settings, feature_names, start, should_stop, saving, reporter, pace)
        with suppress(ClusterLostError, OSError):  # what is trained is not lost to a last look
            problem = find_problem(data, network)
            if problem is not None:
                warnings.warn(say(problem) if say else problem, LearningWarning, stacklevel=3)
        return _move_network(network, data)


def _fit(
    data: TrainingSet,
    settings: Settings,
    feature_names: tuple[str, ...] | None,
    start: NeuralNetwork | None,
    should_stop: Callable[[NeuralNetwork], bool] | None,
    saving: Saving | None,
    reporter: Reporter,
    pace: Pace,
) -> NeuralNetwork:
    check_rounding(settings.arithmetic)
    digest = data.fingerprint() if saving is not None or data.in_parts else None
    checkpoint = _read_checkpoint(saving, settings, digest)

    def make_network(state: State) -> NeuralNetwork:
        return NeuralNetwork(
            weights=state.parameters.weights, biases=state.parameters.biases,
            backend=data.backend, settings=settings, scaling=data.scaling,
            history=state.history, data_fingerprint=digest, feature_names=feature_names,
            ending=state.end(),
        )  # fmt: skip

    def save(state: State) -> None:
        check_rounding(settings.arithmetic)  # what a library has spoilt is not kept
        if saving is not None:
            saving.write(_make_checkpoint(make_network(state), state))

    parameters = start_parameters(data, settings, checkpoint, start)
    if settings.standardize:
        weighted = settings.standardize == WEIGHTED
        data = data.with_scaling(find_scaling(data, weighted=weighted))
    state = _start_state(data, settings, parameters, checkpoint)
    states = _iterate(data, settings, state, pace)
    try:
        for last in states:
            state = last
            if saving is not None and saving.is_due(state.iteration):
                save(state)
            if (
                should_stop is not None
                and is_recorded(state.iteration, settings)
                and should_stop(make_network(state))
            ):
                state = state._replace(ending="stopped")
            reporter.report(state)
            if state.ending == "stopped":
                break
    except (KeyboardInterrupt, SystemExit, ClusterLostError):
        _insist(save, state)
        raise
    try:
        save(state)
    except OSError as error:  # what is trained is not lost to a full disk
        warnings.warn(f"the training is done, and {error}", stacklevel=4)
    return make_network(state)


def _hint_at_kernels(data: TrainingSet, settings: Settings) -> None:
    if settings.arithmetic == "reproducible":
        most = PASSES_OF_LBFGS if settings.optimizer == "lbfgs" else settings.iterations
        rows, iterations = settings.batch_size or data.rows, min(most, settings.iterations)
        hint_at_kernels(data.network_backend, data.layer_sizes, rows, iterations)


def _insist(save: Callable[[State], None], state: State) -> None:
    """Save, however often the keyboard or a signal asks meanwhile to stop."""
    while True:
        try:
            return save(state)
        except (KeyboardInterrupt, SystemExit):
            pass


def _iterate(data: TrainingSet, settings: Settings, state: State, pace: Pace) -> Iterator[State]:
    """Yield the states of a training by the optimizer of its settings."""
    if settings.optimizer == "lbfgs":
        return iterate_lbfgs(data, settings, state)
    if settings.optimizer == "adam":
        return iterate_adam(data, settings, state, pace)
    return iterate_gradient_descent(data, settings, state, pace)


def _make_checkpoint(network: NeuralNetwork, state: State) -> Model:
    """Return the network as a model with all that its training goes on from."""
    memory: dict[str, np.ndarray] = {}
    if isinstance(state.memory, Memory):
        memory = state.memory.to_arrays()
    elif isinstance(state.memory, Moments):
        to_host = network.backend.to_host
        memory = {name: to_host(array) for name, array in state.memory._asdict().items()}
    position = Position(state.iteration, state.history, state.evaluations)
    return replace(network.to_model(), position=position, memory=memory)


@contextmanager
def explain_lost_cluster(saving: Saving | None) -> Iterator[None]:
    """Add to ClusterLostError how a run goes on, once."""
    hint = _how_to_go_on(saving)
    try:
        yield
    except ClusterLostError as error:
        if str(error).endswith(hint):
            raise
        raise ClusterLostError(f"{error}; {hint}") from error


def _read_checkpoint(saving: Saving | None, settings: Settings, digest: str | None) -> Model | None:
    if saving is None or digest is None:
        return None
    return saving.read(settings, digest)


def _choose_pace(data: TrainingSet, saving: Saving | None, progress_every: int | None) -> Pace:
    pauses = None if saving is None else saving.every, progress_every
    pace = Pace(pauses=tuple(every for every in pauses if every is not None))
    return replace(pace, first=1) if data.in_parts else pace


def _how_to_go_on(saving: Saving | None) -> str:
    if saving is None:
        return "give checkpoint=PATH next time, so that a run can go on"
    return f"give resume=True to go on from {str(saving.path)!r}, on another cluster or without one"


def start_parameters(
    data: TrainingSet, settings: Settings, checkpoint: Model | None, start: NeuralNetwork | None
) -> Parameters:
    """Return those of the checkpoint, or of `start`; else random weights, and biases of 0.

    The first layer's weights are drawn first. They lie in [-1, 1), as the article's; for other
    optimizers than gradient descent each layer is brought to the size that keeps sums over its
    inputs near 1.
    """
    if checkpoint is not None:
        return NeuralNetwork.from_model(checkpoint, data.backend).parameters
    if start is not None:
        return NeuralNetwork.from_model(start.to_model(), data.backend).parameters
    weights = draw_start(pairwise(data.layer_sizes), seed=settings.seed)
    if settings.optimizer != "gradient_descent":
        weights = [weight * find_start_size(*weight.shape) for weight in weights]
    biases = [weight[0] * 0.0 for weight in weights] if settings.bias else []

    def on_device(arrays: list[np.ndarray]) -> tuple[Any, ...]:
        return tuple(data.backend.from_host(array.astype(data.dtype)) for array in arrays)

    return Parameters(on_device(weights), on_device(biases))


def _start_state(
    data: TrainingSet, settings: Settings, parameters: Parameters, checkpoint: Model | None
) -> State:
    """Return the state before the first iteration, the loss at the start recorded."""
    state = State(0, parameters, ())
    if checkpoint is not None and checkpoint.position is not None:
        position = checkpoint.position
        # the last record of a run that was to end sooner
        history = tuple(r for r in position.history if is_recorded(r[0], settings))
        state = State(
            position.iteration,
            parameters,
            history,
            _read_memory(checkpoint.memory, settings, data),
            position.evaluations,
        )
    if not state.history and settings.optimizer != "lbfgs":  # which looks at the loss itself
        loss = compute_mean_loss(data, parameters, settings.l2)
        state = state._replace(history=((0, loss),))
    return state


def _read_memory(
    memory: Mapping[str, np.ndarray], settings: Settings, data: TrainingSet
) -> Memory | Moments | None:
    if not memory:
        return None
    if settings.optimizer == "lbfgs":
        return Memory.from_arrays(memory)
    return Moments(**{name: data.backend.from_host(array) for name, array in memory.items()})


def find_start_size(inputs: int, neurons: int) -> float:
    """Return sqrt(6 / (inputs + neurons)), of Glorot and Bengio, AISTATS 2010, (16)."""
    return math.sqrt(6 / (inputs + neurons))


def _move_network(network: NeuralNetwork, data: TrainingSet) -> NeuralNetwork:
    """Return the network on the backend where the user expects it."""
    if data.network_backend is data.backend:
        return network
    return NeuralNetwork.from_model(
        network.to_model(), data.network_backend, network.history, network.ending
    )


def compute_loss(network: NeuralNetwork, data: TrainingSet) -> float:
    """Return the mean loss that training would record for this network."""
    on_device = NeuralNetwork.from_model(network.to_model(), data.backend)
    if network.scaling is not None:
        with network.backend.context():
            scaling = Scaling(*map(network.backend.to_host, network.scaling))
        data = data.with_scaling(scaling)
        with np.errstate(all="ignore"):
            ends = (np.stack(data.find_extremes()) - scaling.mean) * scaling.inverse_scale
        if not np.isfinite(ends).all():  # kernels read on behind a row, and multiply by 0
            data = data.without_kernels()
    with data.backend.context():
        return compute_mean_loss(data, on_device.parameters, network.settings.l2)
