"""Examples of files that stay in a device's memory: sent there once, and not in each iteration.

The bits are those of the stream, as sums over parts are exact.
"""

import math
import warnings
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.examples import cut_ranges, take_ranges
from neuron_xp.errors import one_line
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.training.data.in_parts import Source
from neuron_xp.training.data.npy_stream import COPIES, Block, NpyStream, cut_blocks


class OnDevice:
    """The examples of a stream, kept on its device when they are first sent there; see `Source`.

    They are put together to parts as large as the device works on at a time, since each call
    takes its time. What it has no room for after all is streamed as before.
    """

    at_once = 1  # a device's library has threads of its own

    def __init__(self, stream: NpyStream) -> None:
        self.stream = stream
        (rows, features), *_ = stream.shapes()
        leaves = stream.backend.block_elements // (features * LEAF)
        self.part_rows = min(max(1, leaves), math.ceil(rows / LEAF)) * LEAF
        self._parts: list[Examples] | None = None
        self._has_room = True

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """See `Source`."""
        if self._parts is not None:
            return self._fold_parts(self._parts, function, merge, ranges)
        if ranges is not None or not self._has_room:
            return self.stream.fold(function, merge, ranges)
        blocks: dict[int, Examples] = {}

        def keep(first: int, examples: Examples) -> Any:
            blocks[first] = examples
            return function(first, examples)

        found = self.stream.fold(keep, merge)
        self._keep([blocks.pop(first) for first in sorted(blocks)])
        return found

    def _keep(self, blocks: list[Examples]) -> None:
        """Put blocks of examples, in their order, together to parts."""
        per_part = max(1, self.part_rows // self.stream.block_rows)
        parts = []
        try:
            with self.stream.backend.context():
                while blocks:
                    parts.append(_join(blocks[:per_part], self.stream.backend))
                    del blocks[:per_part]  # at once: there is room for all, but not twice
        except Exception as error:  # each library has its own for a memory that is full
            self._has_room = False
            _warn(self.stream, f"could not keep the data ({one_line(error)})")
            return
        self._parts = parts

    def _fold_parts(
        self,
        parts: list[Examples],
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None,
    ) -> Any:
        starts = np.cumsum([0, *(part.inputs.shape[0] for part in parts)]).tolist()
        if ranges is None:
            return reduce(merge, map(function, starts, parts))

        def take(block: Block) -> Any:
            with self.stream.backend.context():
                examples = _take(block, parts, starts, self.stream.backend)
            return function(block[0][0], examples)

        return reduce(merge, map(take, cut_blocks(ranges, self.part_rows)))


def _take(block: Block, parts: list[Examples], starts: list[int], backend: Backend) -> Examples:
    """Return the rows of a block, which may be those of several parts."""
    ranges, pieces = np.asarray(block), []
    for part, start in zip(parts, starts, strict=False):
        inside = cut_ranges(ranges, start, start + part.inputs.shape[0])
        if len(inside):
            pieces.append(take_ranges(part, inside, backend))
    return _join(pieces, backend)


def _join(pieces: list[Examples], backend: Backend) -> Examples:
    """Return pieces of the examples as one."""
    if len(pieces) == 1:
        return pieces[0]
    tables = (
        None if column[0] is None else backend.xp.concat(list(column))
        for column in zip(*(piece[:3] for piece in pieces), strict=True)
    )
    return Examples(*tables)


def keep_on_device(stream: NpyStream) -> Source:
    """Return the stream as a source whose examples stay on its device, if they have room there.

    One warning says so if they have not. Where the host's memory is the device's there is nothing
    to be gained: the stream is returned as it is.
    """
    backend = stream.backend
    if backend.free_bytes is None:
        return stream
    with backend.context():
        free = backend.free_bytes()
    numbers = _count_numbers(stream)
    work = COPIES * min(numbers, backend.block_elements)
    if np.dtype(stream.dtype).itemsize * (numbers + work) <= free:
        return OnDevice(stream)
    _warn(stream, f"has {free / 1e9:.3g} GB free, too little to keep the data and to work on them")
    return stream


def _warn(stream: NpyStream, problem: str) -> None:
    size = np.dtype(stream.dtype).itemsize * _count_numbers(stream)
    warnings.warn(
        f"{stream.backend} {problem}, so each iteration sends {size / 1e9:.3g} GB there: training "
        "is right but slower; numpy may be faster, or a device with more memory",
        RuntimeWarning,
        stacklevel=4,
    )


def _count_numbers(stream: NpyStream) -> int:
    return sum(map(math.prod, stream.shapes()))
