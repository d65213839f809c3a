"""Random numbers: the only file that makes a generator."""

from collections.abc import Iterable
from threading import local

import numpy as np

_of_thread = local()


def make_generator(seed: int | list[int]) -> np.random.RandomState:
    """Return NumPy's RandomState (Mersenne Twister), whose stream is frozen: NEP 19.

    It is the thread's own, seeded anew: to be drawn from before the next is asked for. To make one
    takes as long as some ten iterations of the article, since NumPy seeds it from the system first.
    """
    if not hasattr(_of_thread, "generator"):
        _of_thread.generator = np.random.RandomState(seed)
    generator: np.random.RandomState = _of_thread.generator
    generator.seed(seed)
    return generator


def draw_start(shapes: Iterable[tuple[int, ...]], *, seed: int) -> list[np.ndarray]:
    """Draw 2 * random - 1 for each shape in turn: float64, uniform in [-1, 1), on the host.

    With seed 1 these are the article's starting weights.
    """
    draw = make_generator(seed).random_sample
    return [2 * draw(shape) - 1 for shape in shapes]
