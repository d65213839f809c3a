"""Training on NPY files that need not fit into memory: read once an iteration, block by block.

While some blocks are computed another one is read, into buffers that are used again. What is in
memory is bounded by `max_memory` and not by the data.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any

import numpy as np

from neuron_xp.backends import convert as arrays
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import host_backend
from neuron_xp.backends.probe import has_float64
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.reproducible import SMALLEST_NORMAL, flush
from neuron_xp.neuron.step import Examples
from neuron_xp.npy import NpyRows, npy_rows
from neuron_xp.threads import share
from neuron_xp.training.in_parts import InParts, in_parts

MAX_MEMORY = 2**30
LARGEST_BLOCK = 2**22
"""Bytes: larger blocks are read no faster, and leave the processor's cache."""
COPIES = 8
"""Of a block, at most: as it is in the file, as floats, what array operations make of it."""

Block = list[tuple[int, int]]
"""Ranges of rows, (first, end)."""


@dataclass(eq=False)
class Stream:
    """Rows of NPY files; see `Source`.

    files : of inputs, targets and, if there are any, sample weights
    place : where the blocks are computed
    block : rows of one, a multiple of 64
    at_once : how many may be computed at a time
    checked : whether all of the data were looked at, so that it need not be done again
    tiny : whether there are magnitudes below 2^-1022, which count as 0
    """

    files: tuple[NpyRows, ...]
    place: Backend
    dtype: str
    block: int
    at_once: int
    checked: bool = False
    tiny: bool = False

    def __post_init__(self) -> None:
        rows = min(self.block, self.files[0].shape[0])
        self._buffers = [_Buffers(self.files, rows, self.dtype) for _ in range(self.at_once + 1)]

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """See `Source`."""
        if ranges is None:
            ranges = np.asarray([[0, self.files[0].shape[0]]])
        blocks = list(_blocks(ranges, self.block))
        reading, computing, found = Lock(), Semaphore(self.at_once), list[Any]()

        def work(block: Block, buffers: _Buffers) -> None:
            with reading:
                self._read(block, buffers)
            with computing:
                with self.place.context():
                    examples = self._examples(block[0][0], buffers)
                value = function(block[0][0], examples)
            found.append(reduce(merge, [value, *_taken(found)]))

        try:
            with ThreadPoolExecutor(self.at_once) as pool:
                share(work, blocks, self._buffers[: len(blocks)], pool)
        finally:
            for files in self.files:
                files.close()
        return reduce(merge, found)

    def _read(self, block: Block, buffers: "_Buffers") -> None:
        """The rows of a block, as they are in the files."""
        row = 0
        for start, stop in block:
            for files, raw in zip(self.files, buffers.raw, strict=True):
                files.read(start, raw[row : row + stop - start])
            row += stop - start
        buffers.rows = row
        if not self.checked:
            self.tiny = self.tiny or any(_is_tiny(raw[:row]) for raw in buffers.raw)

    def _examples(self, first: int, buffers: "_Buffers") -> Examples:
        """What has been read, where and as it is computed."""
        if not self.checked:
            inputs, targets, *weight = (raw[: buffers.rows] for raw in buffers.raw)
            return arrays.examples_part(
                inputs, targets, weight[0] if weight else None, self.place,
                dtype=self.dtype, first=first,
            )  # fmt: skip
        tables = [table.reshape(buffers.rows, -1) for table in buffers.floats()]
        if self.tiny:
            tables = [flush(table, SMALLEST_NORMAL, xp=np) for table in tables]
        on_host = self.place is host_backend()
        return Examples(*(tables if on_host else map(self.place.from_host, tables)))


def _taken(found: list[Any]) -> list[Any]:
    """The last of them, if there is one; another thread may have been faster."""
    try:
        return [found.pop()]
    except IndexError:
        return []


class _Buffers:
    """Memory for one block of each of the files, as they are and as floats of one type."""

    def __init__(self, files: tuple[NpyRows, ...], rows: int, dtype: str) -> None:
        self.rows = 0  # that are in use
        self.raw = [np.empty((rows, *f.shape[1:]), dtype=f.dtype) for f in files]
        self._floats = [
            raw if raw.dtype == dtype else np.empty(raw.shape, dtype=dtype) for raw in self.raw
        ]

    def floats(self) -> list[np.ndarray]:
        """What has been read, as floats."""
        for raw, floats in zip(self.raw, self._floats, strict=True):
            if raw is not floats:  # it was seen to be exact
                np.copyto(floats[: self.rows], raw[: self.rows], casting="unsafe")
        return [floats[: self.rows] for floats in self._floats]


def _is_tiny(table: np.ndarray) -> bool:
    return table.dtype.kind == "f" and bool(((table != 0) & (abs(table) < SMALLEST_NORMAL)).any())


def _blocks(ranges: np.ndarray, block: int) -> Iterator[Block]:
    """Ranges of rows, cut and put together to `block` rows each."""
    parts, rows = list[tuple[int, int]](), 0
    for first, stop in ranges.tolist():
        start = first
        while start < stop:
            end = min(stop, start + block - rows)
            parts.append((start, end))
            rows += end - start
            start = end
            if rows == block:
                yield parts
                parts, rows = [], 0
    if parts:
        yield parts


def streamed(
    inputs: Path,
    targets: Path,
    sample_weight: Path | None,
    settings: Settings,
    *,
    place: Backend,
    threads: int,
    max_memory: int = MAX_MEMORY,
) -> InParts:
    """The training set of NPY files, or of folders of them in lexicographic order.

    Raises OSError; ValueError or TypeError for what cannot be learned from.
    """
    given = {"inputs": inputs, "targets": targets, "sample_weight": sample_weight}
    files = {name: npy_rows(path) for name, path in given.items() if path is not None}
    if len(files["inputs"].shape) != 2:
        raise ValueError(
            f"inputs must have the shape (examples, features); got {files['inputs'].shape}"
        )
    rows = files["inputs"].shape[0]
    for name, array in files.items():
        arrays.refuse_other_length(name, array.shape[0], rows)
    if any(0 in array.shape for array in files.values()):
        raise ValueError(f"inputs are empty: shape {files['inputs'].shape}")
    shapes = tuple((rows, 1 if len(x.shape) == 1 else x.shape[1]) for x in files.values())
    single = files["inputs"].dtype == "float32" or not has_float64(place)
    dtype = "float32" if settings.arithmetic == "native" and single else "float64"
    at_once = threads if place.threaded else 1  # other libraries have threads of their own
    leaf_bytes = 8 * LEAF * sum(columns for _, columns in shapes)
    share = max_memory // (COPIES * (at_once + 1))
    if leaf_bytes > share:
        raise ValueError(
            f"max_memory is {max_memory} bytes, but blocks of {LEAF} rows of {shapes[0][1]} "
            f"features need {leaf_bytes * COPIES * (at_once + 1)}; give that much"
        )
    block = max(1, min(share, LARGEST_BLOCK) // leaf_bytes) * LEAF
    source = Stream(tuple(files.values()), place, dtype, block, at_once)
    data = in_parts(source, settings, shapes, home=place, dtype=dtype)
    source.checked = True
    return data
