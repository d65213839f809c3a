"""The time of an iteration here, on every backend, beside the same program in plain NumPy."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from neuron_xp import checks
from neuron_xp.backends.backend import Backend, name_device
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import ignore_learning
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.random_start import draw_start, make_generator
from neuron_xp.training.train import train
from neuron_xp.workflows.clock import LEAST_ITERATIONS, Clock, compare, take_turns, time_call

ROUNDS = 3
DATA_SEED = 7
START_SEED = 1  # train's default
BYTES = 8  # of a float64
MOST_ROWS, MOST_FEATURES, MOST_NEURONS, MOST_THREADS = 10**9, 10**6, 10**5, 1024

PLAIN = "plain program"


@dataclass(frozen=True)
class Workload:
    """Random training data of a benchmark, and about how many seconds each way to train has."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    threads: int | None
    seconds: float

    @property
    def learning_rate(self) -> float:
        """A rate so small that nothing saturates or diverges."""
        return 1 / self.rows


class Contender(NamedTuple):
    """A backend and how it computes."""

    backend: Backend
    arithmetic: str


@dataclass(frozen=True)
class Measurement:
    """The times of one way to train.

    engine
        "kernels", "compiled" (by the library), "arrays" (operation by operation), or the
        "plain program" in NumPy that the others are compared with.
    iterations
        Of each of the measured runs.
    seconds
        Of an iteration: the median of the runs.
    ratio
        To the plain program, which takes turns with it: the median of the runs' ratios.
    gigabytes_per_second
        Of the inputs, as if an iteration read them once.
    first_call
        Seconds of the first training, of LEAST_ITERATIONS, with compilation.
    fingerprint
        Of that training, in reproducible arithmetic.
    """

    backend: str
    version: str
    device: str
    engine: str
    arithmetic: str
    iterations: int
    seconds: float
    ratio: float
    gigabytes_per_second: float
    first_call: float
    fingerprint: str | None


def check_workload(
    *, rows: object, features: object, hidden: Sequence[object], threads: object, seconds: object
) -> Workload:
    """Return the workload, or raise a ValueError or TypeError for what it may not be."""
    size = partial(checks.check_whole_number, "a layer size in hidden", least=1, most=MOST_NEURONS)
    if threads is not None:
        threads = checks.check_whole_number("threads", threads, least=1, most=MOST_THREADS)
    return Workload(
        rows=checks.check_whole_number("rows", rows, least=1, most=MOST_ROWS),
        features=checks.check_whole_number("features", features, least=1, most=MOST_FEATURES),
        hidden=tuple(map(size, hidden)),
        threads=threads,
        seconds=checks.check_number("seconds", seconds),
    )


def list_contenders(backends: Iterable[Backend]) -> list[Contender]:
    """List both arithmetics on each backend; where there are kernels, also without these."""
    found = []
    for backend in backends:
        for arithmetic in ARITHMETICS:
            found.append(Contender(backend, arithmetic))
            if arithmetic == "reproducible" and backend.make_kernels is not None:
                found.append(Contender(backend.without_kernels(), arithmetic))
    return found


def run(workload: Workload, contenders: Iterable[Contender]) -> Iterator[Measurement]:
    """Measure the plain program, then each contender in turns with it."""
    inputs, targets = make_examples(workload)
    start, rate = start_weights(workload), workload.learning_rate
    plain = Clock(partial(plain_program, inputs, targets, start, rate), sets_up=False)
    yield measure(workload, Contender(open_backend("numpy"), "-"), plain, plain)
    for contender in contenders:
        training = make_training(
            *contender, inputs, targets,
            hidden=workload.hidden, learning_rate=rate, threads=workload.threads,
        )  # fmt: skip
        yield measure(workload, contender, Clock(training, sets_up=True), plain)


def measure(workload: Workload, contender: Contender, clock: Clock, plain: Clock) -> Measurement:
    """Measure a contender by its clock, in turns with the plain program, which may be itself."""
    backend, arithmetic = contender
    first_call, trained = time_call(partial(clock.train, LEAST_ITERATIONS))
    clock.lengthen_runs(workload.seconds / ROUNDS)
    engine = PLAIN if clock is plain else name_engine(backend, arithmetic)
    found = take_turns({engine: clock.time_iteration, PLAIN: plain.time_iteration}, ROUNDS)
    seconds = median(found[engine])
    fingerprint = None
    if isinstance(trained, NeuralNetwork) and arithmetic == "reproducible":
        fingerprint = trained.fingerprint()
    return Measurement(
        backend=backend.name,
        version=backend.version,
        device=name_device(backend.device),
        engine=engine,
        arithmetic=arithmetic,
        iterations=clock.iterations,
        seconds=seconds,
        ratio=compare(found[engine], found[PLAIN]),
        gigabytes_per_second=_gigabytes(workload) / seconds,
        first_call=first_call,
        fingerprint=fingerprint,
    )


def bits_differ(measurements: Iterable[Measurement]) -> bool:
    """Tell whether reproducible contenders ended on different bits."""
    return len({m.fingerprint for m in measurements if m.fingerprint is not None}) > 1


def plain_program(
    inputs: np.ndarray, targets: np.ndarray, start: list[np.ndarray], rate: float, iterations: int
) -> list[np.ndarray]:
    """Train by the article's program, or with more layers its sequel's, written in NumPy."""
    weights = start
    for _ in range(iterations):
        weights = plain_step(weights, inputs, targets, rate, plain_sigmoid)
    return weights


def plain_sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), as the article writes it."""
    y: np.ndarray = 1 / (1 + np.exp(-x))
    return y


def plain_step(
    weights: Sequence[Any], inputs: Any, targets: Any, rate: float, sigmoid: Callable[[Any], Any]
) -> list[Any]:
    """Adjust the weights once, by operators that NumPy, PyTorch and JAX have."""
    layers = [inputs]
    for weight in weights:
        layers.append(sigmoid(layers[-1] @ weight))
    adjusted = list(weights)
    error = targets - layers[-1]
    for layer in reversed(range(len(weights))):
        delta = error * layers[layer + 1] * (1 - layers[layer + 1])
        if layer:
            error = delta @ weights[layer].T
        adjusted[layer] = weights[layer] + rate * (layers[layer].T @ delta)
    return adjusted


def start_weights(workload: Workload) -> list[np.ndarray]:
    """Return the weights that training starts from."""
    sizes = (workload.features, *workload.hidden, 1)
    return draw_start(pairwise(sizes), seed=START_SEED)


def make_examples(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs in [-1, 1), and targets 0 or 1, told by the first input."""
    try:
        inputs = make_generator(DATA_SEED).random_sample((workload.rows, workload.features))
        inputs *= 2
        inputs -= 1
    except MemoryError:
        raise ValueError(
            f"{_gigabytes(workload):,.0f} GB of inputs do not fit into memory"
        ) from None
    return inputs, (inputs[:, :1] > 0).astype("float64")


def _gigabytes(workload: Workload) -> float:
    return workload.rows * workload.features * BYTES / 1e9


def make_training(
    backend: Backend,
    arithmetic: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    hidden: tuple[int, ...],
    learning_rate: float,
    threads: int | None,
) -> Callable[[int], NeuralNetwork]:
    """Make train(iterations), with the data where the backend wants them."""
    with backend.context():
        own_inputs, own_targets = backend.from_host(inputs), backend.from_host(targets)

    def run(iterations: int) -> NeuralNetwork:
        with ignore_learning():
            return train(
                own_inputs, own_targets, backend=backend, arithmetic=arithmetic, hidden=hidden,
                learning_rate=learning_rate, iterations=iterations, seed=START_SEED,
                loss_every=max(1, iterations), threads=threads,
            )  # fmt: skip

    return run
