"""NPY files that need not fit into memory: read once an iteration, block by block.

While some blocks are computed another one is read, into buffers that are used again. The memory
in use is bounded by `max_memory` and not by the data.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.examples import check_row_count, convert_rows
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.guarantees import has_float64
from neuron_xp.files.npy import NpyRows, open_npy_rows
from neuron_xp.neuron.reproducible.elementary import SMALLEST_NORMAL, flush
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.threads import share_tasks

MAX_MEMORY = 2**30
LARGEST_BLOCK = 2**22
"""Bytes: larger blocks are read no faster, and leave the processor's cache."""
COPIES = 8
"""How often a block is in memory, at most: as in the file, as floats, in array operations."""

Block = list[tuple[int, int]]
"""Ranges of rows, (first, end), ascending."""


@dataclass(eq=False)
class NpyStream:
    """Rows of NPY files; see `Source`.

    files : of inputs, targets and, if there are any, sample weights
    backend : where the blocks are computed
    block_rows : rows of a block, a multiple of 64
    at_once : how many blocks may be computed at a time
    checked : whether all of the data were looked at, so that it need not be done again
    has_subnormals : whether there are magnitudes below 2^-1022, which count as 0
    """

    files: tuple[NpyRows, ...]
    backend: Backend
    dtype: str
    block_rows: int
    at_once: int
    checked: bool = False
    has_subnormals: bool = False

    def __post_init__(self) -> None:
        rows = min(self.block_rows, self.files[0].shape[0])
        self._buffers = [_Buffers(self.files, rows, self.dtype) for _ in range(self.at_once + 1)]

    def fold(
        self,
        function: Callable[[int, Examples], Any],
        merge: Callable[[Any, Any], Any],
        ranges: np.ndarray | None = None,
    ) -> Any:
        """See `Source`."""
        takes_all = ranges is None
        if ranges is None:
            ranges = np.asarray([[0, self.files[0].shape[0]]])
        blocks = list(cut_blocks(ranges, self.block_rows))
        reading, computing, found = Lock(), Semaphore(self.at_once), list[Any]()

        def work(block: Block, buffers: _Buffers) -> None:
            with reading:
                self._read(block, buffers)
            with computing:
                with self.backend.context():
                    examples = self._examples(block[0][0], buffers)
                value = function(block[0][0], examples)
            found.append(reduce(merge, [value, *_pop_last(found)]))

        try:
            with ThreadPoolExecutor(self.at_once) as pool:
                share_tasks(work, blocks, self._buffers[: len(blocks)], pool)
        finally:
            for files in self.files:
                files.close()
        self.checked = self.checked or takes_all
        return reduce(merge, found)

    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Return the shape of each table, one column if the file has one dimension."""
        return tuple((file.shape[0], _columns(file)) for file in self.files)

    def _read(self, block: Block, buffers: "_Buffers") -> None:
        """Read the rows of a block as they are in the files."""
        row = 0
        for start, stop in block:
            for files, raw in zip(self.files, buffers.raw, strict=True):
                files.read(start, raw[row : row + stop - start])
            row += stop - start
        buffers.rows = row
        if not self.checked:
            self.has_subnormals = self.has_subnormals or any(
                _has_subnormals(raw[:row]) for raw in buffers.raw
            )

    def _examples(self, first: int, buffers: "_Buffers") -> Examples:
        """Return the rows that were read, on the backend and of the type that computes them."""
        if not self.checked:
            inputs, targets, *weight = (raw[: buffers.rows] for raw in buffers.raw)
            return convert_rows(
                inputs, targets, weight[0] if weight else None, self.backend,
                dtype=self.dtype, first_row=first,
            ).examples  # fmt: skip
        tables = [table.reshape(buffers.rows, -1) for table in buffers.floats()]
        if self.has_subnormals:
            tables = [flush(table, SMALLEST_NORMAL, xp=np) for table in tables]
        if self.backend is open_host_backend():
            inputs, targets, *weight = tables
        else:
            inputs, targets, *weight = map(self.backend.from_host, tables)
        return Examples(inputs, targets, weight[0] if weight else None)


def _pop_last(found: list[Any]) -> list[Any]:
    """Take the last item out of a list, if there is one: another thread may have been faster."""
    try:
        return [found.pop()]
    except IndexError:
        return []


class _Buffers:
    """Memory for one block of each file, as it is in the file and as floats of one type."""

    def __init__(self, files: tuple[NpyRows, ...], rows: int, dtype: str) -> None:
        self.rows = 0  # that are in use
        self.raw = [np.empty((rows, *f.shape[1:]), dtype=f.dtype) for f in files]
        self._floats = [
            raw if raw.dtype == dtype else np.empty(raw.shape, dtype=dtype) for raw in self.raw
        ]

    def floats(self) -> list[np.ndarray]:
        """Return the rows that were read, as floats."""
        for raw, floats in zip(self.raw, self._floats, strict=True):
            if raw is not floats:  # it was seen to be exact
                np.copyto(floats[: self.rows], raw[: self.rows], casting="unsafe")
        return [floats[: self.rows] for floats in self._floats]


def _has_subnormals(table: np.ndarray) -> bool:
    return table.dtype.kind == "f" and bool(((table != 0) & (abs(table) < SMALLEST_NORMAL)).any())


def _columns(file: NpyRows) -> int:
    return 1 if len(file.shape) == 1 else file.shape[1]


def cut_blocks(ranges: np.ndarray, block_rows: int) -> Iterator[Block]:
    """Cut ranges of rows, and put them together, to blocks of `block_rows` rows each."""
    parts, rows = list[tuple[int, int]](), 0
    for first, stop in ranges.tolist():
        start = first
        while start < stop:
            end = min(stop, start + block_rows - rows)
            parts.append((start, end))
            rows += end - start
            start = end
            if rows == block_rows:
                yield parts
                parts, rows = [], 0
    if parts:
        yield parts


def open_npy_stream(
    paths: Mapping[str, Path],
    backend: Backend,
    *,
    native: bool,
    threads: int,
    max_memory: int | None = None,
    largest_block: int = LARGEST_BLOCK,
) -> NpyStream:
    """Open NPY files, or folders of them in lexicographic order, as a source of examples.

    paths : of "inputs", "targets" and, if there are any, "sample_weight"
    native : whether float32 inputs are taken as they are

    Raises OSError; ValueError or TypeError for what cannot be learned from.
    """
    max_memory = max_memory or MAX_MEMORY
    files = {name: open_npy_rows(path) for name, path in paths.items()}
    _check_shapes(files)
    is_single = files["inputs"].dtype == "float32" or not has_float64(backend)
    at_once = threads if backend.threaded else 1  # other libraries have own threads
    leaf_bytes = 8 * LEAF * sum(map(_columns, files.values()))
    copies = COPIES * (at_once + 1)
    if leaf_bytes * copies > max_memory:
        raise ValueError(
            f"max_memory is {max_memory} bytes, but blocks of {LEAF} rows of "
            f"{files['inputs'].shape[1]} features need {leaf_bytes * copies}; give that much"
        )
    leaves = max(1, min(max_memory // copies, largest_block) // leaf_bytes)
    return NpyStream(
        files=tuple(files.values()),
        backend=backend,
        dtype="float32" if native and is_single else "float64",
        block_rows=leaves * LEAF,
        at_once=at_once,
    )


def _check_shapes(files: Mapping[str, NpyRows]) -> None:
    shape = files["inputs"].shape
    if len(shape) != 2:
        raise ValueError(f"inputs must have the shape (examples, features); got {shape}")
    for name, file in files.items():
        check_row_count(name, file.shape[0], shape[0])
    if any(0 in file.shape for file in files.values()):
        raise ValueError(f"inputs are empty: shape {shape}")
