"""train(): from data and settings to a neural network."""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import pairwise
from types import ModuleType
from typing import Any

from neuron_xp import arrays
from neuron_xp.backend import Backend, Loop
from neuron_xp.backends import backend_of, is_array, open_backend
from neuron_xp.batches import batch
from neuron_xp.datasets import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.loop import Progress, iterate
from neuron_xp.network import NeuralNetwork, block_rows
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.learning_rules import RULES
from neuron_xp.neuron.step import Examples, Method
from neuron_xp.preparation import safe_learning_rate, standardization
from neuron_xp.probe import has_float64, probe, trusted_arithmetic
from neuron_xp.random_start import random_start
from neuron_xp.settings import AUTO, Settings, checked


def train(
    inputs: Any = None,
    targets: Any = None,
    *,
    backend: str | ModuleType | Backend | None = None,
    device: Any = None,
    arithmetic: str = "reproducible",
    hidden: tuple[int, ...] = (),
    bias: bool = False,
    rule: str = "error_weighted_derivative",
    l2: float = 0.0,
    learning_rate: float | str = 1.0,
    iterations: int = 10_000,
    seed: int = 1,
    standardize: bool = False,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: str | None = None,
    tolerance: float = 0.0,
    loss_every: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> NeuralNetwork:
    r"""Train a network of sigmoid neurons, by default as the article does.

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
    hidden : tuple of int
        Neurons in each hidden layer; (4,) is the article's sequel. They learn by
        back-propagation.
    bias : bool
        Whether each neuron also adds a bias, which starts at 0, to its weighted sum.
    rule : "error_weighted_derivative" or "cross_entropy"
        The article's rule, which descends the halved squared error; or the error alone,
        which descends the cross-entropy and learns more quickly.
    l2 : float >= 0
        Adds l2/2 * (sum of the squared weights) to the loss: shrinks weights, not biases.
    learning_rate : float > 0, or "auto"
        "auto", for one layer: 1 / (c ||X||^2 + l2), with which the loss never rises; c is
        1/4 for cross-entropy and 0.0770293 for the error-weighted derivative.
    iterations : int >= 0
        How often the weights are adjusted.
    seed : int in [0, 2^32)
        Of the random starting weights and of the order of batches.
    standardize : bool
        Work on (inputs - mean) / deviation of each column; the network keeps both.
    sample_weight : lists or array (examples,), >= 0, optional
        How much each example counts; 2 is like having it twice.
    batch_size : int, optional
        Examples an iteration; default: all of them.
    shuffle : "rows", "leaves" or None
        The order of batches: each epoch draws the examples anew, or whole aligned groups
        of 64 (then batch_size is a multiple of 64), or keeps the order of the data.
    tolerance : float >= 0
        Stop at a recorded loss that fell by no more than this share of the one before.
    loss_every : int, optional
        Iterations between two records of the loss; default: a hundredth of them.
    on_progress : callable, optional
        Called with a `Progress` between stretches of about a second at most.

    Returns
    -------
    NeuralNetwork
        With weights in the library and on the device that trained them, and `history`:
        (iterations done, loss) pairs, the loss being the mean over the examples, plus the
        penalty of `l2` in proportion.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it may be, or does not go with another.
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
    settings = checked(
        arithmetic=arithmetic, hidden=hidden, bias=bias, rule=rule, l2=l2,
        learning_rate=learning_rate, iterations=iterations, seed=seed,
        standardize=standardize, batch_size=batch_size, shuffle=shuffle,
        tolerance=tolerance, loss_every=loss_every,
    )  # fmt: skip
    inputs, targets = _or_article(inputs, targets)
    place = _place({"inputs": inputs, "targets": targets, "sample_weight": sample_weight},
                   backend, device)  # fmt: skip
    if settings.arithmetic == "reproducible":
        probe(place)
    dtype = _dtype(inputs, settings.arithmetic, place)
    with place.context():
        examples = arrays.examples(inputs, targets, sample_weight, place, dtype=dtype)
        start = _start(examples, settings, place, dtype)
        return _trained(examples, start, settings, place, on_progress)


def _or_article(inputs: Any, targets: Any) -> tuple[Any, Any]:
    if inputs is None and targets is None:
        return ARTICLE_INPUTS, ARTICLE_TARGETS
    if inputs is None or targets is None:
        missing = "inputs" if inputs is None else "targets"
        raise TypeError(f"{missing} are missing; give inputs and targets, or neither")
    return inputs, targets


def _place(data: dict[str, Any], backend: Any, device: Any) -> Backend:
    """Where to train: as asked for, else where the data are."""
    homes = arrays.same_place(data)
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


def _start(examples: Examples, settings: Settings, place: Backend, dtype: str) -> Parameters:
    """Random weights, the first layer's drawn first; biases of 0."""
    sizes = [examples.inputs.shape[1], *settings.hidden, examples.targets.shape[1]]
    weights = random_start(pairwise(sizes), seed=settings.seed)
    biases = [weight[0] * 0.0 for weight in weights] if settings.bias else []
    arrays = (tuple(place.from_host(x.astype(dtype)) for x in xs) for xs in (weights, biases))
    return Parameters(*arrays)


def _trained(
    examples: Examples,
    start: Parameters,
    settings: Settings,
    place: Backend,
    on_progress: Callable[[Progress], object] | None,
) -> NeuralNetwork:
    method, run, loss = _compiled(
        place,
        settings.arithmetic,
        settings.rule,
        ordinary=settings.standardize or arrays.ordinary(examples.inputs, place),
        block=block_rows(start.weights, place),
    )
    if settings.standardize:
        examples = examples._replace(scaling=standardization(examples, place, method=method))
    rate, l2 = settings.learning_rate, settings.l2 or None
    if rate == AUTO:
        rate = safe_learning_rate(
            examples, place, method=method, bias=settings.bias, l2=settings.l2
        )
    rate = float(rate)

    def advance(parameters: Parameters, start: int, count: int) -> Parameters:
        if settings.batch_size is None:
            return run(count, parameters, examples, rate, l2)  # type: ignore[no-any-return]
        for iteration in range(start, start + count):
            part = batch(examples, iteration, settings, place)
            parameters = run(1, parameters, part, rate, l2)
        return parameters

    parameters, history = iterate(
        advance,
        partial(_mean_loss, loss=loss, examples=examples, l2=settings.l2, place=place),
        start,
        settings,
        place,
        learning_rate=rate,
        on_progress=on_progress,
    )
    weights, biases = parameters
    return NeuralNetwork(weights, place, settings, biases, examples.scaling, history)


@lru_cache(maxsize=64)
def _compiled(
    backend: Backend, arithmetic: str, rule: str, *, ordinary: bool, block: int
) -> tuple[Method, Loop, Callable[..., Any]]:
    """The method; run(count, parameters, examples, rate, l2); and loss(parameters, examples).

    Compiled once for each setting.
    """
    functions = trusted_arithmetic(backend, arithmetic, ordinary=ordinary)
    method = Method(functions, RULES[rule], block)
    run = backend.loop(partial(steps.step, method=method))
    return method, run, backend.compile(partial(steps.loss, method=method))


def _mean_loss(
    parameters: Parameters,
    *,
    loss: Callable[..., Any],
    examples: Examples,
    l2: float,
    place: Backend,
) -> float:
    """(sum of the examples' losses + l2/2 sum w^2) / sum of the sample weights, on the host."""
    terms = place.to_host(loss(parameters, examples)).tolist()
    if l2:
        weights = (w for layer in parameters.weights for w in place.to_host(layer).flat)
        terms.append(l2 / 2 * math.fsum(float(w) * float(w) for w in weights))
    if examples.sample_weight is None:
        return math.fsum(terms) / float(examples.inputs.shape[0])
    return math.fsum(terms) / math.fsum(place.to_host(examples.sample_weight).flat)
