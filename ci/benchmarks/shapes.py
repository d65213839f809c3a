"""The training sets: their shapes, and the numbers in them, the same in every process."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuron_xp.random_start import draw_start

START_SEED = 1  # neuron_xp's default, and the article's
DATA_SEED = 7
BYTES = 8  # of a float64


@dataclass(frozen=True)
class Shape:
    """The shape of a training set, and how training goes there.

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
        """Bytes of the inputs."""
        return self.rows * self.features * BYTES


class Problem(NamedTuple):
    """What every contender is given."""

    inputs: np.ndarray
    targets: np.ndarray
    start: list[np.ndarray]
    learning_rate: float
    hidden: tuple[int, ...]
    threads: int | None


ARTICLE = "article"


def random_shape(rows: int, features: int, hidden: tuple[int, ...] = ()) -> Shape:
    """Return a shape with a rate of 1/rows: no run saturates, so that rounding does not grow."""
    name = f"{rows:,} x {features}"
    if hidden:
        name += f", {hidden[0]} hidden"
    return Shape(name, rows, features, 1 / rows, hidden)


FEATURES = 20
"""Of the data that are not in memory, and of those that threads share."""


class Sizes(NamedTuple):
    """How much is measured.

    seconds : of a run
    growth : rows, and features, each of which is measured with each
    many : see `cluster.measure`
    """

    seconds: float
    shapes: tuple[Shape, ...]
    growth: tuple[tuple[int, ...], tuple[int, ...]]
    threads_rows: int
    disk_rows: int
    cluster_rows: int
    workers: tuple[int, ...]
    many: tuple[int, ...]


FULL = Sizes(
    seconds=0.5, threads_rows=1_000_000,
    growth=((4, 100, *(10**power for power in range(3, 8))), (1, 20, 200, 1000, 4000)),
    disk_rows=10_000_000, cluster_rows=4_000_000, workers=(1, 2, 4), many=(8, 16),
    shapes=(
        Shape(ARTICLE, 4, 3, 1.0, compared=10_000, iterations=10_000),
        random_shape(10_000, 20),
        random_shape(1_000_000, 20),
        random_shape(500_000, 100),
        random_shape(50_000, 1000),
        random_shape(100_000, 30, hidden=(16,)),
    ),
)  # fmt: skip
QUICK = Sizes(
    seconds=0.05, threads_rows=10_000, growth=((100, 1000), (1, 20)),
    disk_rows=100_000, cluster_rows=100_000, workers=(1,), many=(16,),
    shapes=(random_shape(1000, 10, hidden=(4,)),),
)  # fmt: skip


def make_problem(shape: Shape, threads: int | None = None) -> Problem:
    """Make the data, and the weights that training starts from."""
    if shape.name == ARTICLE:
        inputs = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype="float64")
        targets = np.array([[0, 1, 1, 0]], dtype="float64").T.copy()
    else:
        inputs = make_inputs(0, shape.rows, shape.features)
        targets = make_targets(inputs)
    start = draw_start(pairwise((shape.features, *shape.hidden, 1)), seed=START_SEED)
    return Problem(inputs, targets, start, shape.learning_rate, shape.hidden, threads)


def make_inputs(first: int, rows: int, features: int) -> np.ndarray:
    """Make some rows of the random data, in [-1, 1), without those before them."""
    inputs = np.empty((rows, features))
    bits = np.random.PCG64(DATA_SEED)
    bits.advance(first * features)  # each number takes one step
    np.random.Generator(bits).random(out=inputs)
    inputs *= 2
    inputs -= 1
    return inputs


def make_targets(inputs: np.ndarray) -> np.ndarray:
    """Make targets of 0 or 1, told by the first input."""
    return (inputs[:, :1] > 0).astype("float64")
