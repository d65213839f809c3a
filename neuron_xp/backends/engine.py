"""Engines: the code that runs the iterations of a training.

There are four: array operations one by one, the same compiled by the library, the same shared
among threads, and kernels. `choose_engine` takes the fastest; in reproducible arithmetic all of
them give the same bits.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial, reduce
from typing import Any

from neuron_xp.backends.backend import (
    Backend,
    Engine,
    Kernels,
    Summand,
    Think,
    compile_engine,
)
from neuron_xp.backends.probe.confidence import (
    Confidence,
    find_confidence,
    has_right_kernels,
    has_tried_kernels,
)
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron import layers
from neuron_xp.neuron import step as steps
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples, Method, Scaling, merge_blocks
from neuron_xp.neuron.types import Array
from neuron_xp.random_start import draw_start
from neuron_xp.threads import count_threads, share_tasks


def name_engine(backend: Backend, arithmetic: str) -> str:
    """Name the code that runs the iterations: "kernels", "compiled" or "arrays"."""
    if arithmetic == "reproducible" and has_right_kernels(backend):
        return "kernels"
    return "compiled" if backend.compiled else "arrays"


@lru_cache(maxsize=64)
def choose_engine(
    backend: Backend, arithmetic: str, rule: str, *, no_tiny_inputs: bool, block: int, threads: int
) -> Engine:
    """Return the fastest engine of the backend.

    block : rows that array operations take at a time, a multiple of 64
    There is one engine for each setting, so that nothing is compiled twice.
    """
    functions = choose_arithmetic(backend, arithmetic, no_tiny_inputs=no_tiny_inputs)
    method = Method(functions, RULES[rule], block)
    kernels = _make_kernels(backend, arithmetic, rule, no_tiny_inputs, threads)
    if kernels is not None:
        return _serve_by_kernels(method, backend, kernels, threads)
    return _serve_by_arrays(method, backend, arithmetic, threads)


def _make_kernels(
    backend: Backend, arithmetic: str, rule: str, no_tiny_inputs: bool, threads: int
) -> Kernels | None:
    if backend.make_kernels is None or name_engine(backend, arithmetic) != "kernels":
        return None
    make = partial(backend.make_kernels, rule, no_tiny_inputs=no_tiny_inputs, threads=threads)
    found: Kernels | None = find_confidence(backend).call(make, lambda: None)
    return found


def _serve_by_kernels(method: Method, backend: Backend, kernels: Kernels, threads: int) -> Engine:
    """Return an engine of kernels, which goes on by array operations where these fail.

    Whatever it is asked for, it leaves what it is given alone: so the same can be done again.
    """
    confidence = find_confidence(backend)
    arrays = _serve_by_arrays(method, backend, "reproducible", threads)

    def serve(name: str) -> Callable[..., Any]:
        return partial(confidence.call, getattr(kernels, name), getattr(arrays, name))

    return Engine(
        method=method,
        run=serve("run"),
        loss=serve("loss"),
        sums=serve("sums"),
        losses_and_sums=serve("losses_and_sums"),
    )


def _serve_by_arrays(method: Method, backend: Backend, arithmetic: str, threads: int) -> Engine:
    if arithmetic == "reproducible" and backend.threaded and threads > 1:
        return _share_among_threads(method, backend, threads)
    return compile_engine(backend, method)


def _share_among_threads(method: Method, backend: Backend, threads: int) -> Engine:
    """Return an engine whose blocks are shared among threads that live as long as a call."""

    def run(count: int, parameters: Parameters, *data: Any) -> Any:
        with _open_pool(method, backend, threads) as threaded:
            return backend.loop(partial(steps.step, method=threaded))(count, parameters, *data)

    def share(function: Callable[..., Any]) -> Callable[..., Any]:
        def shared(parameters: Parameters, examples: Examples) -> Any:
            with _open_pool(method, backend, threads) as threaded:
                return function(parameters, examples, method=threaded)

        return shared

    return Engine(
        method=method,
        run=run,
        loss=share(steps.loss),
        sums=share(partial(steps.total, steps.block_sums)),
        losses_and_sums=share(partial(steps.total, steps.block_losses_and_sums)),
    )


@contextmanager
def _open_pool(method: Method, backend: Backend, threads: int) -> Iterator[Method]:
    """Yield the method with a `fold` that shares the blocks among threads."""

    def fold(merge: Any, function: Any, examples: Examples, block_rows: int) -> Any:
        if examples.inputs.shape[0] <= block_rows:
            return function(examples)

        def work(block: Examples, partial_sums: _PartialSums) -> None:
            with backend.context():  # threads do not inherit it
                partial_sums.add(function(block))

        blocks = list(steps.blocks(examples, block_rows))
        of_threads = [_PartialSums(merge) for _ in range(min(threads, len(blocks)))]
        share_tasks(work, blocks, of_threads, pool)
        return reduce(merge, (sums.merged for sums in of_threads if sums.merged is not None))

    with ThreadPoolExecutor(threads - 1) as pool:
        yield replace(method, fold=fold)


@dataclass
class _PartialSums:
    """Sums of the blocks that one thread has worked off; None before the first."""

    merge: Callable[[Any, Any], Any]
    merged: Any = None

    def add(self, sums: Any) -> None:
        """Add the sums of one more block."""
        self.merged = sums if self.merged is None else self.merge(self.merged, sums)


@lru_cache(maxsize=64)
def choose_summand(
    backend: Backend,
    arithmetic: str,
    rule: str,
    function: Summand,
    *,
    no_tiny_inputs: bool,
    block: int,
    threads: int,
) -> Summand:
    """Return sums(examples, *values), the fastest code that applies the function to a part.

    The sums, arrays on the device, are not yet totals: they can be merged with those of other
    parts of the data.
    """
    functions = choose_arithmetic(backend, arithmetic, no_tiny_inputs=no_tiny_inputs)
    method = Method(functions, RULES[rule], block)
    by_arrays = _sum_by_arrays(function, method, backend, threads)
    kernels = _make_kernels(backend, arithmetic, rule, no_tiny_inputs, threads)
    if kernels is None:
        return by_arrays
    confidence = find_confidence(backend)
    by_kernels = confidence.call(partial(kernels.find_summand, function), lambda: None)
    if by_kernels is None:
        return by_arrays
    return partial(confidence.call, by_kernels, by_arrays)


def _sum_by_arrays(function: Summand, method: Method, backend: Backend, threads: int) -> Summand:
    summand = backend.compile(partial(function, method=method))
    merge = partial(merge_blocks, arithmetic=method.arithmetic)

    def sums(examples: Examples, *values: Any) -> tuple[Any, ...]:
        shared = backend.threaded and threads > 1
        with _open_pool(method, backend, threads) if shared else nullcontext(method) as m:
            added: tuple[Any, ...] = m.fold(
                merge, lambda part: summand(part, *values), examples, method.block_rows
            )
        return added

    return sums


MUCH_WORK = 2**20
"""Rows times weights for which kernels, that may have to be compiled first, are worth it."""


def find_think(
    backend: Backend, rule: str, *, logits: bool, work: int, threads: int | None = None
) -> Think | None:
    """Return the kernels' think(inputs, parameters, scaling), where there is much to be done.

    See `backend.Kernels`. There is little for a few rows, unless a compiler would see them; but
    kernels that are at hand do that, too.

    work : rows times weights
    """
    if backend.make_kernels is None:
        return None
    if not (work >= MUCH_WORK or backend.compiled or has_tried_kernels(backend)):
        return None
    return _find_think(backend, rule, logits, threads or count_threads())


@lru_cache(maxsize=64)
def _find_think(backend: Backend, rule: str, logits: bool, threads: int) -> Think | None:
    kernels = _make_kernels(backend, "reproducible", rule, False, threads)
    think = None if kernels is None else kernels.find_think(logits=logits)
    if think is None:
        return None
    return partial(find_confidence(backend).call, think, lambda *arguments: None)


@lru_cache(maxsize=64)
def compile_think(backend: Backend, arithmetic: str, rule: str, *, logits: bool) -> Think:
    """Return think(inputs, parameters, scaling) by array operations, compiled."""
    functions = choose_arithmetic(backend, arithmetic, no_tiny_inputs=False)

    def keep(z: Array, *, arithmetic: Arithmetic) -> Array:
        return z + 0.0  # no sign of a zero: how many are added is nobody's business

    def think(inputs: Array, parameters: Parameters, scaling: Scaling | None) -> Array:
        x = steps.standardize(inputs, scaling, arithmetic=functions)
        # trained parameters are so already; others may be anything
        flushed = Parameters(*(tuple(map(functions.flush, arrays)) for arrays in parameters))
        activation = keep if logits else RULES[rule].activation
        return layers.think(x, flushed, activation=activation, arithmetic=functions)

    return backend.compile(think)


SMALL_BLOCK = 2**18
"""Numbers that a processor's cache holds: there is memory for some in each of many threads."""


def choose_block_rows(
    layers: Iterable[tuple[int, int]], backend: Backend, *, at_once: int = 1
) -> int:
    """Return how many examples to take at a time: whole leaves, groups of 64 examples.

    The widest layer has about `backend.block_elements` products then.
    layers : (inputs, neurons) of each
    at_once : how many such blocks may be worked off side by side, in one memory: large ones,
        each of which takes gigabytes, share it
    """
    widest = max(inputs * neurons for inputs, neurons in layers)
    whole = backend.block_elements
    elements = max(whole // at_once, min(whole, SMALL_BLOCK))
    return max(1, elements // (widest * LEAF)) * LEAF


@lru_cache(maxsize=2)
def choose_host_arithmetic(host: Backend, name: str) -> Arithmetic:
    """Return NumPy's arithmetic for small arrays: weighted sums by a kernel, if that is right."""
    arithmetic = choose_arithmetic(host, name, no_tiny_inputs=False)
    if name_engine(host, name) != "kernels":
        return arithmetic

    confidence = Confidence("the kernel of small matrices", on_host=True)

    def import_kernel() -> tuple[Callable[..., Array], int] | None:
        from neuron_xp.backends.numba_kernels.host.matrices import MOST_TERMS, multiply_small

        a, b = draw_start([(3, 75), (75, 2)], seed=1)
        if (multiply_small(a, b) == arithmetic.weighted_sum(a, b)).all():
            return multiply_small, MOST_TERMS
        confidence.lose("does not give the defined bits (report it)")
        return None

    found = confidence.call(import_kernel, lambda: None)
    if found is None:
        return arithmetic
    kernel, most_terms = found

    def weighted_sum(inputs: Array, weights: Array, *, of_data: bool = False) -> Array:
        if inputs.shape[1] > most_terms:
            return arithmetic.weighted_sum(inputs, weights)
        return confidence.call(kernel, arithmetic.weighted_sum, inputs, weights)

    return replace(arithmetic, weighted_sum=weighted_sum)
