"""train(): the loop around the step."""

import time
from collections.abc import Iterator
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

from neuron_xp import checks
from neuron_xp.backend import Backend, Loop
from neuron_xp.backends import backend_of, is_array, open_backend
from neuron_xp.datasets import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.network import NeuralNetwork, block_rows
from neuron_xp.neuron.step import Weights, step
from neuron_xp.neuron.types import Array
from neuron_xp.probe import has_float64, probe, trusted_arithmetic
from neuron_xp.random_start import random_start

ARITHMETICS = ("reproducible", "native")
FIRST_STRETCH = 64
SECONDS_A_STRETCH = 0.5


def train(
    inputs: Any = None,
    targets: Any = None,
    *,
    backend: str | ModuleType | Backend | None = None,
    device: Any = None,
    arithmetic: str = "reproducible",
    learning_rate: float = 1.0,
    iterations: int = 10_000,
    seed: int = 1,
) -> NeuralNetwork:
    r"""Train a layer of sigmoid neurons as the article does.

    Starting from random weights, each iteration adjusts them by the whole training set:

        output  = sigmoid(inputs @ weights)
        weights = weights + learning_rate * inputs.T @ ((targets - output) * output * (1 - output))

    Parameters
    ----------
    inputs : lists or array (examples, features), finite
    targets : lists or array (examples,) or (examples, neurons), in [0, 1]
        Lists go anywhere; arrays may be of any supported library. Without both, the
        article's training set. Neither is changed.
    backend : name, Array API namespace or Backend, optional
        The library to train in; default: the one of `inputs`, numpy for lists.
    device : optional
        As that library spells it; default: where `inputs` are, or the library's own default.
    arithmetic : "reproducible" or "native"
        Reproducible: float64 (float32 inputs are widened exactly), and the same bits from
        every library and device. Native: the library's own exp and matmul; float32 inputs
        are taken as they are.
    learning_rate : float > 0
    iterations : int >= 0
    seed : int in [0, 2^32)
        Of the random starting weights.

    Returns
    -------
    NeuralNetwork
        With weights in the library and on the device that trained them.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it may be.
    UnknownBackendError, MissingBackendError, UnusableBackendError
        A ValueError, ImportError and RuntimeError.
    TrainingDivergedError
        A FloatingPointError: the weights became infinite or NaN.

    The rule is Milo Spencer-Harper's, "How to build a simple neural network in 9 lines of
    Python code" (2015).

    Examples
    --------
    >>> import neuron_xp
    >>> network = neuron_xp.train([[0, 0, 1], [0, 1, 1], [1, 0, 1]], [0, 0, 1])
    >>> print(network.think([1, 1, 1]))
    [0.9505469]
    """
    arithmetic = checks.choice("arithmetic", arithmetic, ARITHMETICS)
    rate = checks.positive_number("learning_rate", learning_rate)
    count = checks.whole_number("iterations", iterations)
    seed = checks.whole_number("seed", seed, most=2**32 - 1)
    inputs, targets = _or_article(inputs, targets)
    place = _place(inputs, targets, backend, device)
    if arithmetic == "reproducible":
        probe(place)
    dtype = _dtype(inputs, arithmetic, place)
    with place.context():
        x, y = checks.training_set(inputs, targets, place, dtype=dtype)
        (start,) = random_start([(x.shape[1], y.shape[1])], seed=seed)
        weights = (place.from_host(start.astype(dtype)),)
        block = block_rows(weights, place)
        run = _loop(place, arithmetic, ordinary=checks.ordinary(x, place), block=block)
        weights = _iterate(run, weights, (x, y, rate), count, place)
    return NeuralNetwork(weights, place, arithmetic)


def _or_article(inputs: Any, targets: Any) -> tuple[Any, Any]:
    if inputs is None and targets is None:
        return ARTICLE_INPUTS, ARTICLE_TARGETS
    if inputs is None or targets is None:
        missing = "inputs" if inputs is None else "targets"
        raise TypeError(f"{missing} are missing; give inputs and targets, or neither")
    return inputs, targets


def _place(inputs: Any, targets: Any, backend: Any, device: Any) -> Backend:
    """Where to train: as asked for, else where the inputs (or the targets) are."""
    checks.same_place(inputs, targets)
    homes = [backend_of(x) for x in (inputs, targets) if is_array(x)]
    if backend is None:
        backend = homes[0].xp if homes else "numpy"
    chosen = open_backend(backend, device)
    stays = homes and device is None and not isinstance(backend, Backend)
    return homes[0] if stays and homes[0].name == chosen.name else chosen


def _dtype(inputs: Any, arithmetic: str, backend: Backend) -> str:
    """float64; in native arithmetic float32 for such inputs, and where there is nothing else."""
    if arithmetic == "reproducible":
        return "float64"
    single = is_array(inputs) and inputs.dtype == backend_of(inputs).xp.float32
    return "float32" if single or not has_float64(backend) else "float64"


@lru_cache(maxsize=64)
def _loop(backend: Backend, arithmetic: str, *, ordinary: bool, block: int) -> Loop:
    """run(count, weights, inputs, targets, learning_rate), compiled once for each setting."""
    functions = trusted_arithmetic(backend, arithmetic, ordinary=ordinary)
    return backend.loop(partial(step, arithmetic=functions, block_rows=block))


def _iterate(
    run: Loop, weights: Weights, data: tuple[Array, Array, float], count: int, backend: Backend
) -> Weights:
    done = 0
    for size in _stretches(count):
        before, weights = weights, run(size, weights, *data)
        if not _finite(weights, backend):
            bad = _first_bad_iteration(run, before, data, size, backend)
            raise TrainingDivergedError(done + bad, data[2])
        done += size
    return weights


def _stretches(count: int) -> Iterator[int]:
    """Numbers of iterations that add up to `count`, each about half a second of work.

    The clock decides how often the host looks in, never what is computed.
    """
    size = FIRST_STRETCH
    while count > 0:
        size = min(size, count)
        started = time.perf_counter()
        yield size
        count -= size
        seconds = time.perf_counter() - started
        size = size * 2 if seconds < SECONDS_A_STRETCH else max(1, size // 2)


def _finite(weights: Weights, backend: Backend) -> bool:
    xp = backend.xp
    return all(bool(xp.all(xp.isfinite(layer))) for layer in weights)


def _first_bad_iteration(
    run: Loop, weights: Weights, data: tuple[Array, Array, float], size: int, backend: Backend
) -> int:
    """The iteration, of `size` from finite weights to others, that first gave others.

    Found by doing halves of the stretch again: what is not finite stays so, and the same
    iterations give the same bits.
    """
    if size == 1:
        return 1
    half = size // 2
    middle = run(half, weights, *data)
    if not _finite(middle, backend):
        return _first_bad_iteration(run, weights, data, half, backend)
    return half + _first_bad_iteration(run, middle, data, size - half, backend)
