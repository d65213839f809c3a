"""Programs: every function that neuron_xp gives to JAX to be compiled, as it gives them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from ci.jax_on_h100.target import lower
from neuron_xp.backends.backend import Backend, compile_engine
from neuron_xp.backends.engine import choose_block_rows
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.guarantees import make_reproducible
from neuron_xp.neuron.arithmetic import native_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.step import Examples, Method, Scaling
from neuron_xp.workflows.cases import CASES

SHAPES = {  # rows, then inputs and the neurons of each layer
    "1,000,000 x 20": (1_000_000, (20, 1)),
    "50,000 x 1,000": (50_000, (1000, 3)),
    "100,000 x 30, 16 hidden": (100_000, (30, 16, 2)),
}


class Program(NamedTuple):
    """A function for some shapes: its name, and what `compile_for_h100` takes.

    options : of XLA
    """

    name: str
    lowered: Any
    options: dict[str, Any] = {}  # noqa: RUF012  never written to


def list_programs() -> Iterator[Program]:
    """Yield what is compiled for the cases, from the probe to the trained network, and for SHAPES.

    A program that has been yielded, by whatever name, is not yielded again.
    """
    seen: set[str] = set()
    for make in (_list_of_cases, _list_of_shapes):
        for program in make():
            text = program.lowered.as_text()
            if text not in seen:
                seen.add(text)
                yield program


def _list_of_cases() -> Iterator[Program]:
    """The cases are trained here for two iterations: what follows is the same again."""
    with _listening(is_run=True) as (backend, heard):
        for case in CASES:
            network = case.train(iterations=2, backend=backend)
            network.think(case.make()[0][:3])
            yield from _take(heard, case.name)


def _list_of_shapes() -> Iterator[Program]:
    """Nothing is run here: one number stands for each array."""
    with _listening(is_run=False) as (backend, heard), backend.context():
        for name, (rows, sizes) in SHAPES.items():
            for rule in RULES:
                for is_plain in (True, False):
                    _call_all(backend, rule, rows, sizes, is_plain)
                    options = "plain" if is_plain else "with all options"
                    yield from _take(heard, f"{name}, {rule}, {options}")


def _call_all(
    backend: Backend, rule: str, rows: int, sizes: tuple[int, ...], is_plain: bool
) -> None:
    """Call what all of an engine's functions are made of: the cases call each alone."""
    arithmetic = make_reproducible(backend, no_tiny_inputs=is_plain)
    block = choose_block_rows(pairwise(sizes), backend)
    engine = compile_engine(backend, Method(arithmetic, RULES[rule], block))
    parameters, examples = make_problem(rows, sizes, is_plain)
    engine.run(7, parameters, examples, 0.5, None if is_plain else 0.25)
    engine.losses_and_sums(parameters, examples)


def make_problem(rows: int, sizes: tuple[int, ...], is_plain: bool) -> tuple[Parameters, Examples]:
    """Make arrays of these shapes, of which each is one number in memory."""

    def array(*shape: int) -> np.ndarray:
        return np.broadcast_to(0.5, shape)

    weights = tuple(array(*pair) for pair in pairwise(sizes))
    inputs, targets = array(rows, sizes[0]), array(rows, sizes[-1])
    if is_plain:
        return Parameters(weights), Examples(inputs, targets)
    scaling = Scaling(array(sizes[0]), array(sizes[0]))
    biases = tuple(array(neurons) for neurons in sizes[1:])
    return Parameters(weights, biases), Examples(inputs, targets, array(rows, 1), scaling)


@contextmanager
def _listening(*, is_run: bool) -> Iterator[tuple[Backend, list[tuple[str, Any]]]]:
    """Yield JAX's backend, and a list of all that it compiles meanwhile: its name, and it.

    is_run : whether the functions are run, too, on the processor; or return None
    """
    backend: Any = open_backend("jax", "cpu")
    heard: list[tuple[str, Any]] = []
    seen: set[tuple[int, str]] = set()

    def listen(function: Callable[..., Any]) -> Callable[..., Any]:
        jitted = jax.jit(function)

        def call(*arguments: Any) -> Any:
            key = id(jitted), str(jax.tree.map(jax.typeof, arguments))
            if key not in seen:
                seen.add(key)
                heard.append((_name(function), lower(function, arguments)))
            return jitted(*arguments) if is_run else None

        return call

    compiler = backend.compile  # the loop's, too
    before, compiler.compile = compiler.compile, listen
    try:
        yield backend, heard
    finally:
        compiler.compile = before


def _take(heard: list[tuple[str, Any]], where: str) -> Iterator[Program]:
    while heard:
        name, lowered = heard.pop(0)
        yield Program(f"{where}: {name}", lowered)


def _name(function: Callable[..., Any]) -> str:
    """Name a function, and the function that it is made of, if any: "total block_sums"."""
    if not isinstance(function, partial):
        return function.__qualname__.replace(".<locals>.", ".")
    inner = [_name(x) for x in function.args if callable(x)]
    return " ".join([_name(function.func), *inner])


def list_controls() -> Iterator[Program]:
    """Yield programs that have faults: each fault is in one of them at least."""
    with jax.enable_x64(True):
        parameters, examples = make_problem(1000, (20, 4, 1), is_plain=False)
        for rule in RULES:
            method = Method(native_arithmetic(jax.numpy), RULES[rule], 1024)
            with _listening(is_run=False) as (backend, heard):
                compile_engine(backend, method).losses_and_sums(parameters, examples)
                yield from _take(heard, f"native arithmetic, {rule}")
        x = examples.inputs
        for name, function in CONTROLS.items():
            yield Program(name, lower(function, (x, x)))
        single = lower(lambda x, y: x.astype("float32") * y.astype("float32"), (x, x))
        yield Program("a product of float32, flushed", single, {"xla_gpu_ftz": True})


CONTROLS: dict[str, Callable[..., Any]] = {
    "the library's dot": lambda x, y: jax.numpy.dot(x, y.T),
    "the library's sum": lambda x, y: jax.numpy.sum(x * y),
    "the library's cumulative sum": lambda x, y: jax.numpy.cumsum(x),
    "the library's exp": lambda x, y: jax.numpy.exp(x),
    "the library's tanh": lambda x, y: jax.numpy.tanh(x),
    "the library's rsqrt": lambda x, y: jax.lax.rsqrt(x),
    "numbers added at places": lambda x, y: x.at[(8 * y).astype("int64")].add(y[:, None]),
}
