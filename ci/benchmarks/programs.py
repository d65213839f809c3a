"""The contenders: the article's program in plain libraries, and neuron_xp's ways to run it.

A contender is made of a problem, with its imports and its own copy of the data; then it can
train for any number of iterations, from the same start each time.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ci.benchmarks.shapes import Problem

PLAIN = "plain NumPy"
KERNELS = "neuron_xp numpy, kernels"


class Ending(NamedTuple):
    weights: list[float]
    fingerprint: str | None


class Program(NamedTuple):
    """train(iterations) returns when the work is done; ending(its result), outside the clock.

    set_up_within
        Whether train also checks and prepares the data, which is no part of an iteration.
    """

    train: Callable[[int], Any]
    ending: Callable[[Any], Ending]
    set_up_within: bool = False


# --- the article's program: operators that all three libraries have ---------------------


def one_layer(weights: tuple, inputs: Any, targets: Any, rate: float, sigmoid: Any) -> tuple:
    (w,) = weights
    output = sigmoid(inputs @ w)
    error = targets - output
    return (w + rate * (inputs.T @ (error * output * (1 - output))),)


def two_layers(weights: tuple, inputs: Any, targets: Any, rate: float, sigmoid: Any) -> tuple:
    """The article's sequel."""
    first, second = weights
    middle = sigmoid(inputs @ first)
    output = sigmoid(middle @ second)
    error = targets - output
    delta = error * output * (1 - output)
    middle_delta = (delta @ second.T) * middle * (1 - middle)
    return (
        first + rate * (inputs.T @ middle_delta),
        second + rate * (middle.T @ delta),
    )


def _step(problem: Problem, inputs: Any, targets: Any, sigmoid: Any) -> Callable[[tuple], tuple]:
    adjusted = two_layers if problem.hidden else one_layer
    rate = problem.learning_rate
    return lambda weights: adjusted(weights, inputs, targets, rate, sigmoid)


def _plain_ending(weights: Any) -> Ending:
    return Ending([float(x) for w in weights for x in np.asarray(w).ravel()], None)


def _repeating(step: Any, start: tuple, context: Callable[[], Any] = nullcontext) -> Program:
    def train(iterations: int) -> tuple:
        weights = start
        with context():
            for _ in range(iterations):
                weights = step(weights)
        return weights

    return Program(train, _plain_ending)


def plain_numpy(problem: Problem, threads: int | None) -> Program:
    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    step = _step(problem, problem.inputs, problem.targets, sigmoid)
    return _repeating(step, tuple(problem.start))


def plain_torch(problem: Problem, threads: int | None) -> Program:
    import torch

    inputs, targets, *start = map(
        torch.from_numpy, (problem.inputs, problem.targets, *problem.start)
    )
    step = _step(problem, inputs, targets, torch.sigmoid)
    return _repeating(step, tuple(start), torch.no_grad)


def torch_modules(problem: Problem, threads: int | None) -> Program:
    """As PyTorch is used: modules, autograd, an optimizer. The halved squared error, summed."""
    import torch

    inputs, targets, *start = map(
        torch.from_numpy, (problem.inputs, problem.targets, *problem.start)
    )
    linear = [torch.nn.Linear(*w.shape, bias=False, dtype=torch.float64) for w in start]
    model = torch.nn.Sequential(*(m for layer in linear for m in (layer, torch.nn.Sigmoid())))

    def train(iterations: int) -> list:
        with torch.no_grad():
            for layer, w in zip(linear, start, strict=True):
                layer.weight.copy_(w.T)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.learning_rate)
        squared_error = torch.nn.MSELoss(reduction="sum")
        for _ in range(iterations):
            optimizer.zero_grad()
            (squared_error(model(inputs), targets) / 2).backward()
            optimizer.step()
        return [layer.weight.detach().T.clone() for layer in linear]

    return Program(train, _plain_ending)


def plain_jax(problem: Problem, threads: int | None) -> Program:
    import jax

    jax.config.update("jax_enable_x64", True)
    inputs, targets, *start = map(
        jax.numpy.asarray, (problem.inputs, problem.targets, *problem.start)
    )

    @jax.jit
    def run(count: Any, weights: tuple, inputs: Any, targets: Any) -> tuple:
        step = _step(problem, inputs, targets, jax.nn.sigmoid)
        return jax.lax.fori_loop(0, count, lambda _, w: step(w), weights)

    def train(iterations: int) -> Any:
        return jax.block_until_ready(run(iterations, tuple(start), inputs, targets))

    return Program(train, _plain_ending)


# --- neuron_xp --------------------------------------------------------------------------


def ours(
    problem: Problem, threads: int | None, *, backend: str, arithmetic: str, kernels: bool = True
) -> Program:
    import neuron_xp
    from neuron_xp.backends.engine import name_engine
    from neuron_xp.backends.libraries import open_backend

    place = open_backend(backend)
    name_says_kernels = backend == "numpy" and arithmetic == "reproducible" and kernels
    if not kernels:
        place = place.without_kernels()
    with place.context():
        inputs, targets = map(place.from_host, (problem.inputs, problem.targets))

    def train(iterations: int) -> neuron_xp.NeuralNetwork:
        return neuron_xp.train(
            inputs, targets, backend=place, arithmetic=arithmetic, hidden=problem.hidden,
            learning_rate=problem.learning_rate, iterations=iterations,
            loss_every=max(1, iterations), threads=threads,
        )  # fmt: skip

    def ending(network: neuron_xp.NeuralNetwork) -> Ending:
        if name_says_kernels and name_engine(place, arithmetic) != "kernels":
            raise RuntimeError("the kernels are not used; is numba installed?")
        with place.context():
            weights = _plain_ending(map(place.to_host, network.weights)).weights
        return Ending(weights, network.fingerprint() if arithmetic == "reproducible" else None)

    return Program(train, ending, set_up_within=True)


Maker = Callable[[Problem, int | None], Program]

CONTENDERS: dict[str, Maker] = {
    PLAIN: plain_numpy,
    "torch by hand": plain_torch,
    "torch nn + SGD": torch_modules,
    "jax, jitted": plain_jax,
    KERNELS: partial(ours, backend="numpy", arithmetic="reproducible"),
    "neuron_xp numpy, arrays": partial(
        ours, backend="numpy", arithmetic="reproducible", kernels=False
    ),
    "neuron_xp torch": partial(ours, backend="torch", arithmetic="reproducible"),
    "neuron_xp jax": partial(ours, backend="jax", arithmetic="reproducible"),
    "neuron_xp numpy, native": partial(ours, backend="numpy", arithmetic="native"),
    "neuron_xp torch, native": partial(ours, backend="torch", arithmetic="native"),
    "neuron_xp jax, native": partial(ours, backend="jax", arithmetic="native"),
}
