"""What a backend is: an array library on one of its devices, as data."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from neuron_xp.neuron.types import Array, Namespace

Loop: TypeAlias = Callable[..., Any]


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _python_loop(step: Callable[..., Any]) -> Loop:
    """run(count, weights, *data): `count` times weights = step(weights, *data)."""

    def run(count: int, weights: Any, *data: Any) -> Any:
        for _ in range(count):
            weights = step(weights, *data)
        return weights

    return run


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library on one of its devices, as data.

    name, version, device
        As the library spells them.
    xp
        Its Array API namespace.
    to_host(array)
        The array as a NumPy array.
    context()
        What must be in force, in every thread, while its arrays are worked on.
    compile(function), loop(step)
        The function compiled; and `run(count, weights, *data)`, which repeats
        `weights = step(weights, *data)`. Plain Python for a library that does not compile.
    kernels(rule, no_tiny_inputs=, threads=)
        `run` and `loss` of a learning rule by kernels that give the bits of the reproducible
        array operations; or None.
    threaded
        Whether several threads of ours may share its array operations.
    compiled
        Whether a compiler sees whole functions, and could fuse their operations.
    block_elements
        How many numbers of the inputs one pass of array operations should take at most.
    patience
        How many iterations of a small training take some seconds: the matrix runs no more.
    """

    name: str
    version: str
    xp: Namespace
    device: Any
    to_host: Callable[[Array], np.ndarray]
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    compile: Callable[[Callable[..., Any]], Callable[..., Any]] = _unchanged
    loop: Callable[[Callable[..., Any]], Loop] = _python_loop
    kernels: Callable[..., Any] | None = None
    threaded: bool = False
    compiled: bool = False
    block_elements: int = 2**17
    patience: int = 10_000

    def __str__(self) -> str:
        return f"{self.name} on {device_name(self.device)}"

    def from_host(self, array: np.ndarray) -> Array:
        """A NumPy array's values, with its type, on this device."""
        # a fresh one: some libraries refuse views that are read-only or run backwards
        return self.xp.asarray(array.copy(order="C"), device=self.device)

    def without_kernels(self) -> "Backend":
        """The same, by array operations alone."""
        return self if self.kernels is None else replace(self, kernels=None)

    def eager(self) -> "Backend":
        """The same, operation by operation."""
        patience = 200 if self.compiled else self.patience
        return replace(
            self,
            compile=_unchanged,
            loop=_python_loop,
            compiled=False,
            patience=patience,
        )


def device_name(device: Any) -> str:
    """The device in a word: 'cpu', 'cuda:0', 'device1'."""
    if hasattr(device, "platform"):
        return f"{device.platform}:{device.id}"
    text = "cpu" if device is None else str(device)
    quoted = re.search(r"'(.+)'", text)
    return quoted[1] if quoted else text.strip("<>").replace("CUDA Device ", "cuda:")


def is_lazy(x: object) -> bool:
    """Whether x is a Dask array or dataframe, which lies elsewhere until it is computed."""
    # a Delayed has any attribute that it is asked for
    return hasattr(x, "__dask_graph__") and hasattr(type(x), "ndim")
