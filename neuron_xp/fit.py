"""From checked examples and settings to a trained network."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from neuron_xp import arrays
from neuron_xp.backend import Backend, Loop
from neuron_xp.batches import batch
from neuron_xp.checkpoints import Saving
from neuron_xp.engine import engine
from neuron_xp.fingerprint import data_fingerprint, rows_digest
from neuron_xp.loop import History, Progress, iterate
from neuron_xp.network import NeuralNetwork, block_rows
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples, Method, blocks
from neuron_xp.preparation import safe_learning_rate, standardization
from neuron_xp.random_start import random_start
from neuron_xp.settings import AUTO, Settings
from neuron_xp.workers import available_threads


def fit(
    examples: Examples,
    settings: Settings,
    place: Backend,
    *,
    dtype: str,
    threads: int,
    saving: Saving | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> NeuralNetwork:
    """Train on the examples, from random weights or from the checkpoint of `saving`."""
    digest = fingerprint_of(examples, place) if saving else None
    resumed = saving.resumed(settings, digest) if saving and digest else None
    before = resumed and NeuralNetwork.from_model(resumed, place)
    parameters = before.parameters if before else _fresh_start(examples, settings, place, dtype)
    method, run, loss = engine(
        place,
        settings.arithmetic,
        settings.rule,
        ordinary=settings.standardize or arrays.ordinary(examples.inputs, place),
        block=_block(examples, parameters, settings, place, threads),
        threads=threads,
    )
    if settings.standardize:
        examples = examples._replace(scaling=standardization(examples, place, method=method))
    rate = _rate(examples, settings, place, method)

    def network(parameters: Parameters, history: History) -> NeuralNetwork:
        weights, biases = parameters
        return NeuralNetwork(weights, place, settings, biases, examples.scaling, history, digest)

    def watch(iteration: int, parameters: Parameters, history: History, is_last: bool) -> None:
        if saving and (is_last or saving.is_due(iteration)):
            saving.write(network(parameters, history).to_model(iteration))

    position = resumed and resumed.position
    parameters, history = iterate(
        partial(_advance, run=run, examples=examples, rate=rate, settings=settings, place=place),
        partial(_mean_loss, loss=loss, examples=examples, l2=settings.l2, place=place),
        parameters,
        settings,
        place,
        learning_rate=rate,
        start=position.iteration if position else 0,
        history=position.history if position else (),
        watch=watch,
        pause_every=saving.every if saving else None,
        on_progress=on_progress,
    )
    watch(history[-1][0], parameters, history, is_last=True)
    return network(parameters, history)


def _block(
    examples: Examples, parameters: Parameters, settings: Settings, place: Backend, threads: int
) -> int:
    """How many examples to take at a time.

    Where threads share the blocks there is one for each of them at least; a library's own
    matmul, which has its own threads, wants larger ones.
    """
    rows = block_rows(parameters.weights, place)
    if not place.threaded:
        return rows
    if settings.arithmetic == "native":
        return 4 * rows
    share: int = -(-examples.inputs.shape[0] // (threads * LEAF)) * LEAF
    return min(rows, share)


def _advance(
    parameters: Parameters,
    start: int,
    count: int,
    *,
    run: Loop,
    examples: Examples,
    rate: float,
    settings: Settings,
    place: Backend,
) -> Parameters:
    """The parameters after the iterations start ... start + count - 1."""
    l2 = settings.l2 or None
    if settings.batch_size is None:
        return run(count, parameters, examples, rate, l2)  # type: ignore[no-any-return]
    for iteration in range(start, start + count):
        part = batch(examples, iteration, settings, place)
        parameters = run(1, parameters, part, rate, l2)
    return parameters


def fingerprint_of(examples: Examples, place: Backend) -> str:
    """The fingerprint of inputs, targets and weights: the same wherever they are."""
    row, total = 0, 0
    tables = examples[:3]
    for part in blocks(examples, 2**16):
        on_host = [place.to_host(x).astype("float64") for x in part[:3] if x is not None]
        total += rows_digest(row, *on_host)
        row += len(on_host[0])
    return data_fingerprint(total, *(tuple(x.shape) for x in tables if x is not None))


def loss_of(network: NeuralNetwork, examples: Examples) -> float:
    """The mean loss that training would record for this network."""
    place, settings = network.backend, network.settings
    _, _, loss = engine(
        place,
        settings.arithmetic,
        settings.rule,
        ordinary=False,
        block=block_rows(network.weights, place),
        threads=available_threads(),
    )
    examples = examples._replace(scaling=network.scaling)
    return _mean_loss(network.parameters, loss=loss, examples=examples, l2=settings.l2, place=place)


def _rate(examples: Examples, settings: Settings, place: Backend, method: Method) -> float:
    if settings.learning_rate != AUTO:
        return float(settings.learning_rate)
    return safe_learning_rate(examples, place, method=method, bias=settings.bias, l2=settings.l2)


def _fresh_start(examples: Examples, settings: Settings, place: Backend, dtype: str) -> Parameters:
    """Random weights, the first layer's drawn first; biases of 0."""
    sizes = [examples.inputs.shape[1], *settings.hidden, examples.targets.shape[1]]
    weights = random_start(pairwise(sizes), seed=settings.seed)
    biases = [weight[0] * 0.0 for weight in weights] if settings.bias else []
    arrays = (tuple(place.from_host(x.astype(dtype)) for x in xs) for xs in (weights, biases))
    return Parameters(*arrays)


def _mean_loss(
    parameters: Parameters,
    *,
    loss: Callable[..., Any],
    examples: Examples,
    l2: float,
    place: Backend,
) -> float:
    """(sum of the examples' losses + l2/2 sum w^2) / sum of the sample weights, on the host."""
    terms = place.to_host(loss(parameters, examples)).tolist()
    if l2:
        weights = (w for layer in parameters.weights for w in place.to_host(layer).flat)
        terms.append(l2 / 2 * math.fsum(float(w) * float(w) for w in weights))
    if examples.sample_weight is None:
        return math.fsum(terms) / float(examples.inputs.shape[0])
    return math.fsum(terms) / math.fsum(place.to_host(examples.sample_weight).flat)
