"""The training sets: their shapes, and the numbers in them, the same in every process."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

START_SEED = 1  # neuron_xp's default, and the article's
DATA_SEED = 7
BYTES = 8  # of a float64


@dataclass(frozen=True)
class Shape:
    """rows x features, and how training goes there.

    compared : iterations of the run whose weights are compared
    iterations : of a measured run; None: as many as take long enough
    """

    name: str
    rows: int
    features: int
    learning_rate: float
    hidden: tuple[int, ...] = ()
    compared: int = 3
    iterations: int | None = None

    @property
    def input_bytes(self) -> int:
        return self.rows * self.features * BYTES


class Problem(NamedTuple):
    inputs: np.ndarray
    targets: np.ndarray
    start: list[np.ndarray]
    learning_rate: float
    hidden: tuple[int, ...]


ARTICLE = "article"


def article(iterations: int) -> Shape:
    return Shape(ARTICLE, 4, 3, 1.0, compared=iterations, iterations=iterations)


def random_shape(rows: int, features: int, hidden: tuple[int, ...] = ()) -> Shape:
    """A rate of 1/rows: no run saturates, so that rounding does not grow."""
    name = f"{rows:,} x {features}"
    if hidden:
        name += f", {hidden[0]} hidden"
    return Shape(name, rows, features, 1 / rows, hidden)


SHAPES = (
    article(10_000),
    random_shape(10_000, 20),
    random_shape(1_000_000, 20),
    random_shape(500_000, 100),
    random_shape(50_000, 1000),
    random_shape(100_000, 30, hidden=(16,)),
)
QUICK_SHAPES = (random_shape(1000, 10, hidden=(4,)),)

GROWTH_FEATURES = 20
GROWTH_ROWS = tuple(10**power for power in range(3, 8))
QUICK_GROWTH_ROWS = (1000, 10_000)
THREADS_ROWS = 1_000_000
QUICK_THREADS_ROWS = 10_000


def problem(shape: Shape) -> Problem:
    make = _article_data if shape.name == ARTICLE else _random_data
    inputs, targets = make(shape)
    draw = np.random.RandomState(START_SEED).random_sample
    sizes = (shape.features, *shape.hidden, 1)
    start = [2 * draw(layer) - 1 for layer in pairwise(sizes)]
    return Problem(inputs, targets, start, shape.learning_rate, shape.hidden)


def _article_data(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    inputs = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype="float64")
    return inputs, np.array([[0, 1, 1, 0]], dtype="float64").T.copy()


def _random_data(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    inputs = random_inputs(0, shape.rows, shape.features)
    return inputs, targets_of(inputs)


def random_inputs(first: int, rows: int, features: int) -> np.ndarray:
    """Some rows of the random data, in [-1, 1): made in place, and without those before them."""
    inputs = np.empty((rows, features))
    bits = np.random.PCG64(DATA_SEED)
    bits.advance(first * features)  # each number takes one step
    np.random.Generator(bits).random(out=inputs)
    inputs *= 2
    inputs -= 1
    return inputs


def targets_of(inputs: np.ndarray) -> np.ndarray:
    """0 or 1, told by the first input."""
    return (inputs[:, :1] > 0).astype("float64")
