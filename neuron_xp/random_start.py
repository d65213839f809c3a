"""Random numbers: the only file that makes a generator."""

from collections.abc import Iterable

import numpy as np


def make_generator(seed: int | list[int]) -> np.random.RandomState:
    """Return NumPy's RandomState (Mersenne Twister), whose stream is frozen: NEP 19."""
    return np.random.RandomState(seed)


def draw_start(shapes: Iterable[tuple[int, ...]], *, seed: int) -> list[np.ndarray]:
    """Draw 2 * random - 1 for each shape in turn: float64, uniform in [-1, 1), on the host.

    With seed 1 these are the article's starting weights.
    """
    draw = make_generator(seed).random_sample
    return [2 * draw(shape) - 1 for shape in shapes]
