"""Backends: an array library on one of its devices, as data."""

import re
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from neuron_xp.neuron import step as steps
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples, Method
from neuron_xp.neuron.types import Array, Namespace

Loop: TypeAlias = Callable[..., Any]
"""run(count, weights, *data), see `Backend.loop`."""
Summand: TypeAlias = Callable[..., tuple[Any, ...]]
"""function(block, *values, method=) -> what the block adds to some sums, to be merged."""

Think: TypeAlias = Callable[..., Any]
"""think(inputs, parameters, scaling) -> outputs of the last layer, or None; see `Kernels`."""

SUMMANDS: dict[Summand, tuple[bool, bool]] = {
    steps.block_losses: (True, False),
    steps.block_sums: (False, True),
    steps.block_losses_and_sums: (True, True),
}
"""What kernels can sum over the examples: losses, gradients."""


class Steps(Protocol):
    """Iterations and sums over examples, for one learning rule."""

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """Return the parameters after `count` iterations of `neuron.step.step`."""

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """Return the rule's loss, summed over the examples, for each output neuron."""

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """Return the sums of `neuron.step.block_sums` over the examples."""

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """Return the sums of `neuron.step.block_losses_and_sums`, in one pass."""


class Kernels(Steps, Protocol):
    """Code of ours for one learning rule: the bits of the reproducible array operations."""

    def share_all(self) -> "Kernels":
        """Return kernels that share even the smallest work among their threads, for a check."""

    def find_summand(self, function: Summand) -> Summand | None:
        """Return sums(examples, *values) that does the same as the function, if there is one."""

    def find_think(self, *, logits: bool) -> Think | None:
        """Return think(inputs, parameters, scaling), if there is one.

        It finds the outputs, or weighted sums, of the last layer, as NumPy or whoever owns the
        inputs would. Nobody need have looked at these: it returns None for some that may be not
        finite, or whose subnormals may count, which are to be 0.
        """


class MakeKernels(Protocol):
    """Compiles, or finds again, the kernels of a rule; see `Backend.make_kernels`."""

    def __call__(self, rule: str, *, no_tiny_inputs: bool, threads: int) -> Kernels:
        """Return the kernels of a rule."""


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _python_loop(step: Callable[..., Any]) -> Loop:
    """Return run(count, weights, *data): `count` times weights = step(weights, *data)."""

    def run(count: int, weights: Any, *data: Any) -> Any:
        for _ in range(count):
            weights = step(weights, *data)
        return weights

    return run


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library on one of its devices: what the rest of the package needs to know of it.

    name, version, device
        As the library spells them.
    xp
        Its Array API namespace.
    to_host(array)
        The array as a NumPy array.
    context()
        What must be in force, in every thread, while its arrays are worked on.
    default_device()
        What makes the library put new arrays on the device, where it has such a setting.
    compile(function), loop(step)
        The function compiled; and `run(count, weights, *data)`, which repeats
        `weights = step(weights, *data)`. Plain Python for a library that does not compile.
    put(array)
        A fresh NumPy array on the device; or None where the namespace's `asarray` does that.
    make_kernels(rule, no_tiny_inputs=, threads=)
        The `Kernels` of a learning rule; or None where array operations do all the work.
        no_tiny_inputs : every input is 0 or at least 2^-60 in magnitude, which saves tests
    threaded
        Whether several threads of ours may share its array operations.
    rounds_sqrt
        Whether its own square root is correctly rounded, as IEEE 754 asks for.
    compiled
        Whether a compiler sees whole functions, and could fuse their operations.
    block_elements
        How many numbers of the inputs one pass of array operations should take at most.
    free_bytes()
        How many bytes its memory still has; or None where that is the host's.
    patience
        How many iterations of a small training take some seconds: the matrix runs no more.
    """

    name: str
    version: str
    xp: Namespace
    device: Any
    to_host: Callable[[Array], np.ndarray]
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    default_device: Callable[[], AbstractContextManager[Any]] = nullcontext
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] = _unchanged
    loop: Callable[[Callable[..., Any]], Loop] = _python_loop
    put: Callable[[np.ndarray], Array] | None = None
    make_kernels: MakeKernels | None = None
    threaded: bool = False
    compiled: bool = False
    rounds_sqrt: bool = False
    block_elements: int = 2**17
    free_bytes: Callable[[], int] | None = None
    patience: int = 10_000

    def __str__(self) -> str:
        return f"{self.name} on {name_device(self.device)}"

    def from_host(self, array: np.ndarray) -> Array:
        """Copy a NumPy array, with its type, to this device."""
        # a fresh one: some libraries refuse views that are read-only or run backwards
        fresh = array.copy(order="C")
        if self.put is not None:
            return self.put(fresh)
        if self.device is None:  # which a library need not know; and MLX makes float32 unless told
            return self.xp.asarray(fresh, dtype=getattr(self.xp, fresh.dtype.name, None))
        return self.xp.asarray(fresh, device=self.device)

    def without_kernels(self) -> "Backend":
        """Return this backend without its kernels: by array operations alone."""
        return self if self.make_kernels is None else replace(self, make_kernels=None)

    def eager(self) -> "Backend":
        """Return this backend without its compiler and kernels: operation by operation."""
        patience = 200 if self.compiled else self.patience
        return replace(
            self,
            compile=_unchanged,
            loop=_python_loop,
            compiled=False,
            make_kernels=None,
            patience=patience,
        )


class Engine(NamedTuple):
    """Functions that train, and the method (arithmetic, rule, rows at a time) that they follow.

    run(count, parameters, examples, learning_rate, l2)
        Returns the parameters after `count` iterations.
    loss(parameters, examples)
        Returns the rule's loss, summed over the examples, for each output neuron.
    sums(parameters, examples), losses_and_sums(parameters, examples)
        Return the sums of `step.block_sums` and `step.block_losses_and_sums` over the examples.
    """

    method: Method
    run: Loop
    loss: Callable[..., Array]
    sums: Callable[..., tuple[Array, ...]]
    losses_and_sums: Callable[..., tuple[Array, ...]]


def compile_engine(backend: Backend, method: Method) -> Engine:
    """Return the engine of array operations, compiled if the backend has a compiler."""

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        return backend.compile(partial(function, method=method))

    return Engine(
        method=method,
        run=backend.loop(partial(steps.step, method=method)),
        loss=compile_(steps.loss),
        sums=compile_(partial(steps.total, steps.block_sums)),
        losses_and_sums=compile_(partial(steps.total, steps.block_losses_and_sums)),
    )


class BoundedCompiler:
    """A compiler that forgets all when it has compiled for so many shapes of arguments.

    A long-lived program sees many shapes, and a library's own compiler keeps them all: for JAX
    some 20 MB each.

    compile : compiles a function
    describe : makes a hashable description of a tuple of arguments
    forget : lets go of all that the library has compiled
    most : shapes of functions
    """

    def __init__(
        self,
        compile_: Callable[..., Any],
        describe: Callable[[tuple[Any, ...]], Hashable],
        forget: Callable[[], None],
        most: int = 8,
    ) -> None:
        self.compile, self.describe, self.forget, self.most = compile_, describe, forget, most
        self._seen: set[Hashable] = set()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, to be compiled when it is called."""
        compiled = self.compile(function)

        def call(*arguments: Any) -> Any:
            key = compiled, self.describe(arguments)
            if key not in self._seen:
                if len(self._seen) >= self.most:
                    self._seen.clear()
                    self.forget()
                self._seen.add(key)
            return compiled(*arguments)

        return call


def map_arrays(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply the function to each array in tuples, however deep; None stays."""
    if value is None:
        return None
    if not isinstance(value, tuple):
        return function(value)
    items = [map_arrays(function, item) for item in value]
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def name_device(device: Any) -> str:
    """Name the device in a word: 'cpu', 'cuda:0', 'device1'."""
    if hasattr(device, "platform"):
        return f"{device.platform}:{device.id}"
    text = "cpu" if device is None else str(device)
    quoted = re.search(r"'(.+)'", text)
    return quoted[1] if quoted else text.strip("<>").replace("CUDA Device ", "cuda:")


def is_lazy(x: object) -> bool:
    """Tell whether x is a Dask array or dataframe: its numbers are elsewhere until computed."""
    # a Delayed has any attribute that it is asked for
    return hasattr(x, "__dask_graph__") and hasattr(type(x), "ndim")
