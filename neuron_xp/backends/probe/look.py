"""A look at data before they are trained on: all of them are read once."""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial, reduce
from typing import TypeAlias

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.confidence import Confidence, has_right_kernels
from neuron_xp.backends.probe.rounding import keeps_subnormals
from neuron_xp.neuron.extremes import Extremes, find_extremes, merge_extremes
from neuron_xp.neuron.types import Array
from neuron_xp.random_start import draw_start

LOOK_ELEMENTS = 2**18
"""Numbers that are looked at together, where the library does not want more."""
MOST_LOOK_ELEMENTS = 2**22
"""However many it wants: threads that convert parts side by side share the memory."""
FEW = 2**11
"""Numbers that array operations look at sooner than a kernel."""

Look: TypeAlias = Callable[[np.ndarray], Extremes | None]
"""Finds the extremes of (rows, columns) of floats; or None, where that is for array operations."""


def look_at(array: Array, backend: Backend, look: Look | None) -> tuple[Extremes, bool]:
    """Find the extremes, as NumPy arrays; and tell whether magnitudes below 2^-1022 are seen."""
    rows = backend.xp.reshape(array, (-1, 1)) if array.ndim == 1 else array
    if has_host_memory(backend):
        rows, backend = backend.to_host(rows), open_host_backend()
        found = look(rows) if look is not None and rows.size >= FEW else None
        if found is not None:
            return found, True
    with backend.context():
        return _look_by_arrays(rows, backend), _sees_subnormals(rows, backend)


def has_host_memory(backend: Backend) -> bool:
    """Tell whether NumPy, or its kernels, read the backend's arrays where they are."""
    return backend.free_bytes is None and (backend.threaded or backend.make_kernels is not None)


def _look_by_arrays(array: Array, backend: Backend) -> Extremes:
    def find(rows: Array) -> Extremes:
        found = find_extremes(rows, xp=backend.xp)
        return Extremes(*(np.asarray(backend.to_host(end), "float64") for end in found))

    found = (find(rows) for _, rows in cut_row_blocks(array, backend))
    return reduce(partial(merge_extremes, xp=np), found)


def _sees_subnormals(array: Array, backend: Backend) -> bool:
    """Tell whether the library certainly looks at subnormals of the array as they are.

    Some threads, and XLA, take them for 0: so they are shown some first, as many as a library with
    threads gives to all of them. NumPy has none, and of a small array a copy costs no more.
    """
    if backend.threaded:
        return keeps_subnormals()
    if math.prod(array.shape) <= LOOK_ELEMENTS:
        return False
    return bool(backend.xp.all(backend.from_host(np.full(LOOK_ELEMENTS, 2.0**-1030)) != 0))


def cut_row_blocks(array: Array, backend: Backend) -> Iterator[tuple[int, Array]]:
    """Yield (first row, rows): a few at a time, so that a look at them needs little memory."""
    rows = array.shape[0]
    elements = min(max(LOOK_ELEMENTS, backend.block_elements), MOST_LOOK_ELEMENTS)
    step = max(1, elements // max(1, math.prod(array.shape[1:])))
    for start in range(0, rows, step):
        yield start, array[start : min(start + step, rows), ...]


def find_extremes_by_kernel(
    x: np.ndarray, *, backend: Backend, arithmetic: str, threads: int
) -> Extremes | None:
    """Find the extremes of (rows, columns) on the host; see `neuron.extremes`.

    Return None where the backend does not train by kernels on the host, or this one fails.
    """
    if arithmetic != "reproducible" or not has_host_memory(backend):
        return None
    if not has_right_kernels(backend):
        return None
    confidence, kernel = _open_look()
    return confidence.call(kernel, lambda *_: None, x, threads)


@lru_cache(maxsize=1)
def _open_look() -> tuple[Confidence, Callable[[np.ndarray, int], Extremes | None]]:
    """Return the kernel that looks at data, and confidence in it, if it finds what it should."""
    confidence = Confidence("the kernel that looks at the data", on_host=True)

    def import_kernel() -> Callable[[np.ndarray, int], Extremes | None]:
        from neuron_xp.backends.numba_kernels.host import look

        (x,) = draw_start([(70, 9)], seed=1)
        x[::3, :4] *= 2.0**-1040
        x[1::7] = -0.0
        found, expected = look.find_extremes(x), find_extremes(x, xp=np)
        if any(a.tobytes() != b.tobytes() for a, b in zip(found, expected, strict=True)):
            confidence.lose("does not find what there is (report it)")
        return look.find_extremes

    return confidence, confidence.call(import_kernel, lambda: lambda *_: None)
