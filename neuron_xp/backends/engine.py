"""Which code runs the iterations: array operations, compiled ones, threads, or kernels."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache, partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from neuron_xp.backends.backend import Backend, Loop
from neuron_xp.backends.probe import trusted_arithmetic
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.learning_rules import RULES
from neuron_xp.neuron.step import Examples, Method, merge_blocks
from neuron_xp.neuron.types import Array
from neuron_xp.random_start import draw_start
from neuron_xp.threads import share_tasks


class Engine(NamedTuple):
    """One method, and what runs it.

    run(count, parameters, examples, learning_rate, l2)
        The parameters after `count` iterations.
    loss(parameters, examples)
        The rule's loss, summed over the examples, for each output neuron.
    """

    method: Method
    run: Loop
    loss: Callable[..., Array]


def engine_name(backend: Backend, arithmetic: str) -> str:
    """What runs the iterations: "kernels", "compiled" or "arrays"."""
    if arithmetic == "reproducible" and has_kernels(backend):
        return "kernels"
    return "compiled" if backend.compiled else "arrays"


@lru_cache(maxsize=64)
def engine(
    backend: Backend, arithmetic: str, rule: str, *, no_tiny_inputs: bool, block: int, threads: int
) -> Engine:
    """The fastest that is there; all of them give the same bits in reproducible arithmetic.

    One for each setting, so that nothing is compiled twice.
    """
    functions = trusted_arithmetic(backend, arithmetic, no_tiny_inputs=no_tiny_inputs)
    method = Method(functions, RULES[rule], block)
    if engine_name(backend, arithmetic) == "kernels":
        assert backend.kernels is not None
        kernels = backend.kernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)
        return Engine(method, kernels.run, kernels.loss)
    if arithmetic == "reproducible" and backend.threaded and threads > 1:
        return _threaded(method, backend, threads)
    run = backend.loop(partial(steps.step, method=method))
    return Engine(method, run, backend.compile(partial(steps.loss, method=method)))


def _threaded(method: Method, backend: Backend, threads: int) -> Engine:
    """Blocks of array operations, shared among threads that live as long as the call."""

    def run(count: int, parameters: Parameters, *data: Any) -> Any:
        with _pooled(method, backend, threads) as threaded:
            return backend.loop(partial(steps.step, method=threaded))(count, parameters, *data)

    def loss(parameters: Parameters, examples: Examples) -> Array:
        with _pooled(method, backend, threads) as threaded:
            return steps.loss(parameters, examples, method=threaded)

    return Engine(method, run, loss)


@contextmanager
def _pooled(method: Method, backend: Backend, threads: int) -> Iterator[Method]:
    """The method, its blocks shared among threads."""

    def fold(merge: Any, function: Any, examples: Examples, block_rows: int) -> Any:
        if examples.inputs.shape[0] <= block_rows:
            return function(examples)

        def work(part: Examples, sums: list[Any]) -> None:
            with backend.context():  # threads do not inherit it
                sums[:] = [reduce(merge, [*sums, function(part)])]

        tasks = list(steps.blocks(examples, block_rows))
        partial_sums: list[list[Any]] = [[] for _ in range(min(threads, len(tasks)))]
        share_tasks(work, tasks, partial_sums, pool)
        return reduce(merge, (sums[0] for sums in partial_sums if sums))

    with ThreadPoolExecutor(threads - 1) as pool:
        yield replace(method, fold=fold)


Summand: TypeAlias = Callable[..., tuple[Any, ...]]
"""function(block, *values, method=) -> what the block adds to some sums, to be merged."""


@lru_cache(maxsize=64)
def summing(
    backend: Backend,
    arithmetic: str,
    rule: str,
    function: Summand,
    *,
    no_tiny_inputs: bool,
    block: int,
    threads: int,
) -> Summand:
    """sums(examples, *values): what the function makes of a part of the data, not yet totals.

    The arrays, on the device, can be merged with those of other parts.
    """
    if engine_name(backend, arithmetic) == "kernels":
        assert backend.kernels is not None
        kernels = backend.kernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)
        known = {steps.block_sums: "sums", steps.block_losses: "losses"}
        if found := getattr(kernels, known.get(function, ""), None):
            return found  # type: ignore[no-any-return]
    functions = trusted_arithmetic(backend, arithmetic, no_tiny_inputs=no_tiny_inputs)
    method = Method(functions, RULES[rule], block)
    summand = backend.compile(partial(function, method=method))

    merge = partial(merge_blocks, arithmetic=functions)

    def sums(examples: Examples, *values: Any) -> tuple[Any, ...]:
        shared = backend.threaded and threads > 1
        with _pooled(method, backend, threads) if shared else nullcontext(method) as m:
            found: tuple[Any, ...] = m.fold(
                merge, lambda part: summand(part, *values), examples, block
            )
        return found

    return sums


def block_rows(layers: Iterable[tuple[int, int]], backend: Backend) -> int:
    """How many examples to take at a time: whole leaves, about `backend.block_elements`.

    layers : (inputs, neurons) of each
    """
    widest = max(inputs * neurons for inputs, neurons in layers)
    return max(1, backend.block_elements // (widest * LEAF)) * LEAF


@lru_cache(maxsize=64)
def has_kernels(backend: Backend) -> bool:
    """Whether there are kernels, and they have just given the bits of the array operations.

    On a small network with everything in it. Any difference would be a fault of a compiler
    or of this program: it is warned of, and the array operations are used.
    """
    if backend.kernels is None:
        return False
    sizes = (35, 3, 2)
    draw = partial(draw_start, seed=1)
    inputs, targets, weight = draw([(130, sizes[0]), (130, sizes[-1]), (130, 1)])
    for rule in RULES:
        with backend.context():
            there = backend.from_host
            examples = Examples(there(inputs), there(abs(targets)), there(abs(weight)))
            weights = tuple(map(there, draw(pairwise(sizes))))
            parameters = Parameters(weights, tuple(weight[0, :] for weight in weights))
            functions = trusted_arithmetic(backend, "reproducible", no_tiny_inputs=False)
            method = Method(functions, RULES[rule], 64)
            expected = parameters
            for _ in range(2):
                expected = steps.step(expected, examples, 0.125, 0.5, method=method)
            kernels = backend.kernels(rule, no_tiny_inputs=False, threads=1)
            found = kernels.run(2, parameters, examples, 0.125, 0.5)
            if not _equal(found, expected, backend):
                warnings.warn(
                    f"the kernels of {backend} do not give the defined bits here and are not used; "
                    "training is right but slower. Please report it",
                    RuntimeWarning,
                    stacklevel=2,
                )
                return False
    return True


def _equal(a: Parameters, b: Parameters, backend: Backend) -> bool:
    pairs = zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=True)
    return all(bool(backend.xp.all(x == y)) for x, y in pairs)
