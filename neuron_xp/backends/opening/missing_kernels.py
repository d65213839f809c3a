"""A hint for long trainings by array operations, where Numba would bring kernels."""

import importlib.util
import logging
from functools import cache
from itertools import pairwise

from neuron_xp.backends.backend import Backend, name_device
from neuron_xp.errors import INSTALL_KERNELS

HAVE_KERNELS = {"numpy", "torch", "jax"}
"""Libraries whose arrays on the processor Numba's kernels serve."""
PATIENCE = 10.0
"""Seconds from which on a training is long."""


def hint_at_kernels(
    backend: Backend, layer_sizes: tuple[int, ...], rows: int, iterations: int
) -> None:
    """Log a warning, once in a process, if Numba is missing and array operations take long.

    It is logged, not warned of: the program that calls is right, and its bits are the same. What
    would help is up to whoever installs; and no caller who makes warnings errors shall fail.

    rows : examples in an iteration
    """
    on_processor = name_device(backend.device).partition(":")[0] == "cpu"
    if (
        backend.name in HAVE_KERNELS
        and on_processor
        and importlib.util.find_spec("numba") is None
        and estimate_seconds(layer_sizes, rows, iterations) > PATIENCE
    ):
        _hint_once()


@cache
def _hint_once() -> None:
    logging.getLogger("neuron_xp").warning(
        "array operations do this training, which take many times as long as kernels, since Numba "
        "is not installed; type: %s",
        INSTALL_KERNELS,
    )


def estimate_seconds(layer_sizes: tuple[int, ...], rows: int, iterations: int) -> float:
    """Estimate how long NumPy's array operations train, within a factor of about three.

    A layer takes half a millisecond, and 15 ns for each product of an input and a weight; a
    sigmoid costs as much as 8 of them.
    """
    layers = list(pairwise(layer_sizes))
    products = rows * sum((inputs + 8) * neurons for inputs, neurons in layers)
    return iterations * (0.5e-3 * len(layers) + 15e-9 * products)
