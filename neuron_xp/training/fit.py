"""From data and settings to a trained network."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from neuron_xp.errors import ClusterLostError
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import AUTO, Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Scaling
from neuron_xp.random_start import random_start
from neuron_xp.training.in_memory import TrainingSet
from neuron_xp.training.loop import FIRST_STRETCH, History, Progress, iterate
from neuron_xp.training.preparation import safe_learning_rate, standardization


def fit(
    data: TrainingSet,
    settings: Settings,
    *,
    saving: Saving | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> NeuralNetwork:
    """Train on the data, from random weights or from the checkpoint of `saving`."""
    digest = data.fingerprint() if saving or data.in_parts else None
    resumed = saving.resumed(settings, digest) if saving and digest else None
    before = resumed and NeuralNetwork.from_model(resumed, data.place)
    parameters = before.parameters if before else _fresh_start(data, settings)
    if settings.standardize:
        data = data.scaled(standardization(data))
    rate = _rate(data, settings)

    def network(parameters: Parameters, history: History) -> NeuralNetwork:
        weights, biases = parameters
        return NeuralNetwork(weights, data.place, settings, biases, data.scaling, history, digest)

    def watch(iteration: int, parameters: Parameters, history: History, is_last: bool) -> None:
        if saving and (is_last or saving.is_due(iteration)):
            saving.write(network(parameters, history).to_model(iteration))

    position = resumed and resumed.position
    try:
        parameters, history = iterate(
            lambda parameters, start, count: data.advance(parameters, start, count, rate),
            lambda parameters: mean_loss(data, parameters, settings.l2),
            parameters,
            settings,
            data.place,
            learning_rate=rate,
            start=position.iteration if position else 0,
            history=position.history if position else (),
            watch=watch,
            pause_every=saving.every if saving else None,
            first_stretch=1 if data.in_parts else FIRST_STRETCH,
            on_progress=on_progress,
        )
    except ClusterLostError as error:
        raise ClusterLostError(f"{error}; {_how_to_go_on(saving)}") from error
    watch(history[-1][0], parameters, history, is_last=True)
    trained = network(parameters, history)
    if data.home is data.place:
        return trained
    return NeuralNetwork.from_model(trained.to_model(), data.home, history)


def _how_to_go_on(saving: Saving | None) -> str:
    if saving is None:
        return "give checkpoint=PATH (--checkpoint PATH) next time, so that a run can go on"
    return (
        f"the same with resume=True (--resume) goes on from {str(saving.path)!r}, on another "
        "cluster or without one"
    )


def _rate(data: TrainingSet, settings: Settings) -> float:
    if settings.learning_rate != AUTO:
        return float(settings.learning_rate)
    return safe_learning_rate(data, rule=settings.rule, bias=settings.bias, l2=settings.l2)


def _fresh_start(data: TrainingSet, settings: Settings) -> Parameters:
    """Random weights, the first layer's drawn first; biases of 0."""
    weights = random_start(pairwise(data.sizes), seed=settings.seed)
    biases = [weight[0] * 0.0 for weight in weights] if settings.bias else []

    def there(arrays: list[np.ndarray]) -> tuple[Any, ...]:
        return tuple(data.place.from_host(x.astype(data.dtype)) for x in arrays)

    return Parameters(there(weights), there(biases))


def mean_loss(data: TrainingSet, parameters: Parameters, l2: float) -> float:
    """(sum of the examples' losses + l2/2 sum w^2) / sum of the sample weights, on the host."""
    terms = data.losses(parameters).tolist()
    if l2:
        weights = (w for layer in parameters.weights for w in data.place.to_host(layer).flat)
        terms.append(l2 / 2 * math.fsum(float(w) * float(w) for w in weights))
    return math.fsum(terms) / data.total_weight()


def loss_of(network: NeuralNetwork, data: TrainingSet) -> float:
    """The mean loss that training would record for this network."""
    there = NeuralNetwork.from_model(network.to_model(), data.place)
    if network.scaling is not None:
        with network.backend.context():
            data = data.scaled(Scaling(*map(network.backend.to_host, network.scaling)))
    return mean_loss(data, there.parameters, network.settings.l2)
