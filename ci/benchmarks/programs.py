"""The contenders: the article's program in plain libraries, and neuron_xp's ways to run it.

A contender is made of a problem, with its imports and its own copy of the data; then it can
train for any number of iterations, from the same start each time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ci.benchmarks.shapes import Problem
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.workflows.bench import make_training, plain_sigmoid, plain_step

PLAIN = "plain NumPy"
KERNELS = "neuron_xp numpy, kernels"


class Ending(NamedTuple):
    """What training ended on."""

    weights: list[float]
    fingerprint: str | None


class Program(NamedTuple):
    """A way to train: train(iterations) returns when the work is done.

    end : called with its result, outside the clock
    sets_up : whether train also checks and prepares the data, which is no part of an iteration
    """

    train: Callable[[int], Any]
    end: Callable[[Any], Ending]
    sets_up: bool = False


# --- the article's program: operators that all three libraries have ---------------------


def _convert(problem: Problem, convert: Callable[[np.ndarray], Any]) -> list[Any]:
    """Return inputs, targets and the start as a library's own."""
    return [convert(array) for array in (problem.inputs, problem.targets, *problem.start)]


def _end_plain(weights: Any, fingerprint: str | None = None) -> Ending:
    return Ending([float(x) for w in weights for x in np.asarray(w).ravel()], fingerprint)


def _repeat(
    problem: Problem, inputs: Any, targets: Any, *start: Any, sigmoid: Callable[[Any], Any]
) -> Program:
    def train(iterations: int) -> list[Any]:
        weights = list(start)
        for _ in range(iterations):
            weights = plain_step(weights, inputs, targets, problem.learning_rate, sigmoid)
        return weights

    return Program(train, _end_plain)


def make_numpy(problem: Problem) -> Program:
    return _repeat(problem, *_convert(problem, np.asarray), sigmoid=plain_sigmoid)


def make_torch(problem: Problem) -> Program:
    import torch

    torch.set_grad_enabled(False)  # this process has no other program
    return _repeat(problem, *_convert(problem, torch.from_numpy), sigmoid=torch.sigmoid)


def make_torch_modules(problem: Problem) -> Program:
    """As PyTorch is used: modules, autograd, an optimizer. The halved squared error, summed."""
    import torch

    inputs, targets, *start = _convert(problem, torch.from_numpy)
    linear = [torch.nn.Linear(*w.shape, bias=False, dtype=torch.float64) for w in start]
    model = torch.nn.Sequential(*(m for layer in linear for m in (layer, torch.nn.Sigmoid())))

    def train(iterations: int) -> list[Any]:
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

    return Program(train, _end_plain)


def make_jax(problem: Problem) -> Program:
    import jax

    jax.config.update("jax_enable_x64", True)
    inputs, targets, *start = _convert(problem, jax.numpy.asarray)

    def run(count: int, weights: list[Any], inputs: Any, targets: Any) -> list[Any]:
        def step(_: int, weights: list[Any]) -> list[Any]:
            return plain_step(weights, inputs, targets, problem.learning_rate, jax.nn.sigmoid)

        return list(jax.lax.fori_loop(0, count, step, weights))

    compiled = jax.jit(run)

    def train(iterations: int) -> list[Any]:
        return list(jax.block_until_ready(compiled(iterations, start, inputs, targets)))

    return Program(train, _end_plain)


# --- neuron_xp --------------------------------------------------------------------------


def make_ours(
    problem: Problem, *, backend: str, arithmetic: str = "reproducible", kernels: bool = True
) -> Program:
    place = open_backend(backend)
    name_says_kernels = arithmetic == "reproducible" and kernels
    if not kernels:
        place = place.without_kernels()
    train = make_training(
        place, arithmetic, problem.inputs, problem.targets,
        hidden=problem.hidden, learning_rate=problem.learning_rate, threads=problem.threads,
    )  # fmt: skip

    def end(network: NeuralNetwork) -> Ending:
        if name_says_kernels and name_engine(place, arithmetic) != "kernels":
            raise RuntimeError("the kernels are not used; is numba installed?")
        with place.context():
            weights = [place.to_host(w) for w in network.weights]
        return _end_plain(weights, network.fingerprint() if arithmetic == "reproducible" else None)

    return Program(train, end, sets_up=True)


def end_network(network: NeuralNetwork) -> Ending:
    """End on a network in reproducible arithmetic on NumPy."""
    return _end_plain(network.weights, network.fingerprint())


CONTENDERS: dict[str, Callable[[Problem], Program]] = {
    PLAIN: make_numpy,
    "torch by hand": make_torch,
    "torch nn + SGD": make_torch_modules,
    "jax, jitted": make_jax,
    KERNELS: partial(make_ours, backend="numpy"),
    "neuron_xp torch, kernels": partial(make_ours, backend="torch"),
    "neuron_xp jax, kernels": partial(make_ours, backend="jax"),
    "neuron_xp numpy, arrays": partial(make_ours, backend="numpy", kernels=False),
    "neuron_xp torch, arrays": partial(make_ours, backend="torch", kernels=False),
    "neuron_xp jax, arrays": partial(make_ours, backend="jax", kernels=False),
    "neuron_xp numpy, native": partial(make_ours, backend="numpy", arithmetic="native"),
    "neuron_xp torch, native": partial(make_ours, backend="torch", arithmetic="native"),
    "neuron_xp jax, native": partial(make_ours, backend="jax", arithmetic="native"),
}
