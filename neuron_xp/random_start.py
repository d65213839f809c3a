"""The random starting weights: the one user of a random generator."""

from collections.abc import Iterable

from neuron_xp.backend import HostArray
from neuron_xp.backends import host


def random_start(shapes: Iterable[tuple[int, ...]], *, seed: int) -> list[HostArray]:
    """2 * random - 1 for each shape in turn, uniform in [-1, 1), on the host.

    From NumPy's RandomState (Mersenne Twister), whose stream is frozen: NEP 19. With seed 1
    these are the article's starting weights.
    """
    generator = host.random.RandomState(seed)
    return [2 * generator.random_sample(shape) - 1 for shape in shapes]
