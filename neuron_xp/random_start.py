"""The one user of a random generator."""

from collections.abc import Iterable

import numpy as np


def generator(seed: int | list[int]) -> np.random.RandomState:
    """NumPy's RandomState (Mersenne Twister), whose stream is frozen: NEP 19."""
    return np.random.RandomState(seed)


def random_start(shapes: Iterable[tuple[int, ...]], *, seed: int) -> list[np.ndarray]:
    """2 * random - 1 for each shape in turn, uniform in [-1, 1), on the host.

    With seed 1 these are the article's starting weights.
    """
    draw = generator(seed).random_sample
    return [2 * draw(shape) - 1 for shape in shapes]
