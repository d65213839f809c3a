"""How long an iteration takes here, on every backend, beside the same program in plain NumPy."""

import math
import time
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
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.random_start import draw_start, make_generator
from neuron_xp.training.train import train

REPEATS = 3
LEAST_ITERATIONS = 3
LONGER_AT_MOST = 8  # a short run may be off by much: the next is longer by no more than this
OF_SET_UP = 0.5
"""What is measured takes at least so much of what is taken off: else its noise would be seen."""

DATA_SEED = 7
START_SEED = 1  # train's default
BYTES = 8  # of a float64
MOST_ROWS, MOST_FEATURES, MOST_NEURONS, MOST_THREADS = 10**9, 10**6, 10**5, 1024

PLAIN = "plain program"


@dataclass(frozen=True)
class Task:
    """What is trained: random numbers of this shape, for about so many seconds a row."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    threads: int | None
    seconds: float

    @classmethod
    def checked(
        cls, *, rows: Any, features: Any, hidden: Sequence[Any], threads: Any, seconds: Any
    ) -> "Task":
        """The task, or a ValueError or TypeError for what it may not be."""
        size = partial(
            checks.check_whole_number, "a layer size in hidden", least=1, most=MOST_NEURONS
        )
        return cls(
            rows=checks.check_whole_number("rows", rows, least=1, most=MOST_ROWS),
            features=checks.check_whole_number("features", features, least=1, most=MOST_FEATURES),
            hidden=tuple(map(size, hidden)),
            threads=None
            if threads is None
            else checks.check_whole_number("threads", threads, least=1, most=MOST_THREADS),
            seconds=checks.check_number("seconds", seconds),
        )

    @property
    def learning_rate(self) -> float:
        """So small that nothing saturates or diverges."""
        return 1 / self.rows


@dataclass(frozen=True)
class Row:
    """One way to train.

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


class Contender(NamedTuple):
    """A backend and how it computes."""

    backend: Backend
    arithmetic: str


class Data(NamedTuple):
    """Inputs and targets, on the host."""

    inputs: np.ndarray
    targets: np.ndarray


def contenders(backends: Iterable[Backend]) -> list[Contender]:
    """Both arithmetics on each of them; where there are kernels, also without these."""
    found = []
    for backend in backends:
        for arithmetic in ARITHMETICS:
            found.append(Contender(backend, arithmetic))
            if arithmetic == "reproducible" and backend.make_kernels is not None:
                found.append(Contender(backend.without_kernels(), arithmetic))
    return found


def run(task: Task, entrants: Iterable[Contender]) -> Iterator[Row]:
    """The plain program's row, then one for each contender."""
    data = _data(task)
    training = _plain_training(task, data)
    first_call = _seconds(training, LEAST_ITERATIONS)
    count = _long_enough(partial(_seconds, training), task.seconds / REPEATS)
    plain = partial(_an_iteration, partial(_seconds, training), count)
    rounds = [plain() for _ in range(REPEATS)]
    yield _row(
        task,
        open_backend("numpy"),
        rounds=rounds,
        plain=rounds,
        engine=PLAIN,
        arithmetic="-",
        iterations=count,
        first_call=first_call,
        fingerprint=None,
    )
    for contender in entrants:
        yield _measured(task, contender, data, plain)


def different(rows: Iterable[Row]) -> bool:
    """Whether reproducible rows ended on different bits."""
    return len({row.fingerprint for row in rows if row.fingerprint is not None}) > 1


def plain_program(
    inputs: np.ndarray, targets: np.ndarray, start: list[np.ndarray], rate: float, iterations: int
) -> list[np.ndarray]:
    """The article's program, or with more layers its sequel's, as one writes it in NumPy."""
    weights = list(start)
    for _ in range(iterations):
        layers = [inputs]
        for weight in weights:
            layers.append(1 / (1 + np.exp(-(layers[-1] @ weight))))
        error = targets - layers[-1]
        for place in reversed(range(len(weights))):
            delta = error * layers[place + 1] * (1 - layers[place + 1])
            if place:
                error = delta @ weights[place].T
            weights[place] = weights[place] + rate * (layers[place].T @ delta)
    return weights


def _data(task: Task) -> Data:
    """Inputs in [-1, 1), targets 0 or 1, told by the first input."""
    try:
        inputs = make_generator(DATA_SEED).random_sample((task.rows, task.features))
        inputs *= 2
        inputs -= 1
    except MemoryError:
        size = task.rows * task.features * BYTES / 1e9
        raise ValueError(f"{size:,.0f} GB of inputs do not fit into memory") from None
    return Data(inputs, (inputs[:, :1] > 0).astype("float64"))


def start_weights(task: Task) -> list[np.ndarray]:
    """Those that training starts from."""
    sizes = (task.features, *task.hidden, 1)
    return draw_start(pairwise(sizes), seed=START_SEED)


def _plain_training(task: Task, data: Data) -> Callable[[int], Any]:
    return partial(plain_program, *data, start_weights(task), task.learning_rate)


def _training(task: Task, contender: Contender, data: Data) -> Callable[[int], Any]:
    """train(iterations) with the data where the contender wants them."""
    backend = contender.backend
    with backend.context():
        inputs, targets = map(backend.from_host, data)
    return lambda iterations: train(
        inputs, targets, backend=backend, arithmetic=contender.arithmetic, hidden=task.hidden,
        learning_rate=task.learning_rate, iterations=iterations, seed=START_SEED,
        loss_every=max(1, iterations), threads=task.threads,
    )  # fmt: skip


def _measured(task: Task, contender: Contender, data: Data, plain: Callable[[], float]) -> Row:
    training = _training(task, contender, data)
    started = time.perf_counter()
    network = training(LEAST_ITERATIONS)
    first_call = time.perf_counter() - started

    def alone(iterations: int) -> float:
        """Seconds without set-up and records of the loss, which a run of one also has."""
        return _seconds(training, 1 + iterations) - _seconds(training, 1)

    set_up = _seconds(training, 1)
    count = _long_enough(alone, max(task.seconds / REPEATS, OF_SET_UP * set_up))
    pairs = [(_an_iteration(alone, count), plain()) for _ in range(REPEATS)]
    reproducible = contender.arithmetic == "reproducible"
    return _row(
        task,
        contender.backend,
        rounds=[mine for mine, _ in pairs],
        plain=[its for _, its in pairs],
        engine=name_engine(contender.backend, contender.arithmetic),
        arithmetic=contender.arithmetic,
        iterations=count,
        first_call=first_call,
        fingerprint=network.fingerprint() if reproducible else None,
    )


def _row(
    task: Task, backend: Backend, *, rounds: Sequence[float], plain: Sequence[float], **known: Any
) -> Row:
    seconds = median(rounds)
    return Row(
        backend=backend.name,
        version=backend.version,
        device=name_device(backend.device),
        seconds=seconds,
        ratio=median(mine / its for mine, its in zip(rounds, plain, strict=True)),
        gigabytes_per_second=task.rows * task.features * BYTES / seconds / 1e9,
        **known,
    )


def _an_iteration(seconds_for: Callable[[int], float], count: int) -> float:
    """Seconds of one, from at least `count` together."""
    while (total := seconds_for(count)) <= 0:  # lost in what is taken off
        count *= 2
    return total / count


def _seconds(training: Callable[[int], Any], iterations: int) -> float:
    started = time.perf_counter()
    training(iterations)
    return time.perf_counter() - started


def _long_enough(seconds_for: Callable[[int], float], seconds: float) -> int:
    """How many iterations take at least so long; not fewer than LEAST_ITERATIONS."""
    count = LEAST_ITERATIONS
    while (found := seconds_for(count)) < seconds:
        wanted = math.ceil(count * seconds / found) if found > 0 else math.inf
        count = max(count + 1, int(min(wanted, count * LONGER_AT_MOST)))
    return count
