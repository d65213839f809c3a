"""A look at the data by all threads: each reads some of them, once, eight numbers at a time.

Floats are compared as the integers that their bits are: those keep their order, what is not finite
lies at its ends, and it does not matter what a thread makes of subnormals.
"""

import math
from itertools import product
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuron_xp.backends.numba_kernels.compiler import kept_small
from neuron_xp.backends.numba_kernels.llvm.vectors import WIDTH
from neuron_xp.neuron.extremes import Extremes
from neuron_xp.threads import share_in_new_threads

GROUP = 960
"""Numbers of a group of rows, about: the ends of so many are found side by side, in the cache."""
ROWS = 4
"""Groups that are read before what was found is stored."""

_MAGNITUDE = 2**63 - 1
"""All bits but the sign's; also the largest integer."""
_BELOW_INFINITY = 0x7FEF_FFFF_FFFF_FFFF

_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_INT, WIDTH)


def find_extremes(
    x: np.ndarray, threads: int = 1, *, task_size: int = 2**18, long_column: int = 2**14
) -> Extremes:
    """Find the extremes of (rows, columns) of real numbers, eight or more, as float64.

    See `neuron.extremes`. Any strides and types will do: what does not lie in one piece, or is
    no float64, is copied on the way, a task's numbers at a time.

    task_size : numbers that a thread takes at a time, about: some 0.1 ms of work; eight or more
    long_column : rows from which on each column is by itself, where that is how memory holds them
    """
    tasks = _cut(x, task_size, long_column)
    ends = np.empty((min(threads, len(tasks)), 3, x.shape[1]), dtype="int64")
    ends[:] = [[_MAGNITUDE], [~_MAGNITUDE], [_BELOW_INFINITY]]

    def work(task: tuple[slice, slice], found: np.ndarray) -> None:
        block = np.require(x[task], "float64", ("C", "A"))
        bits = block.reshape(-1).view("int64")
        bits.flags.writeable = False  # of one type for Numba, whatever was given
        _fold(bits, found, task[1].start, block.shape[1])

    share_in_new_threads(work, tasks, ends)
    return Extremes(
        low=_as_floats(ends[:, 0].min(axis=0)),
        high=_as_floats(ends[:, 1].max(axis=0)),
        smallest=(ends[:, 2].min() + 1).view("float64"),
    )


def _cut(x: np.ndarray, size: int, long_column: int) -> list[tuple[slice, slice]]:
    """Cut into rows and columns of tasks: the last overlap those before, so that none is small."""
    rows, columns = x.shape
    height, width = math.ceil(size / columns), columns
    if x.flags.f_contiguous and not x.flags.c_contiguous:
        height, width = size, 1 if rows >= long_column else math.ceil(size / rows)
    return list(product(_cut_side(rows, height), _cut_side(columns, width)))


def _cut_side(length: int, size: int) -> list[slice]:
    size = min(size, length)
    starts = (min(start, length - size) for start in range(0, length, size))
    return [slice(start, start + size) for start in starts]


def _as_floats(keys: np.ndarray) -> np.ndarray:
    """Return the floats, 0.0 in place of -0.0, whose bits have been put in order by `_fold`."""
    floats: np.ndarray = (keys ^ ((keys >> 63) & _MAGNITUDE)).view("float64") + 0.0
    return floats


@kept_small
def _fold(bits, ends, first, columns):
    """Fold rows, one after the other, into the ends that were found in columns from `first` on.

    ends : (3, columns), the smallest and the largest number, as integers in their order, and one
        less than the bits of the smallest magnitude that is not 0
    """
    rows = bits.shape[0] // columns
    group = columns * min(max(GROUP // columns, 1), rows)
    found = np.empty(3 * group, dtype=np.int64)
    for end in range(3):
        for i in range(group):
            found[end * group + i] = ends[end, first + i % columns]
    last = bits.shape[0] - group
    for start in range(0, bits.shape[0], ROWS * group):
        for i in range(0, group, WIDTH):
            _fold_eight(bits, start, last, group, min(i, group - WIDTH), found)
    for i in range(group):
        column = first + i % columns
        ends[0, column] = min(ends[0, column], found[i])
        ends[1, column] = max(ends[1, column], found[group + i])
        ends[2, column] = min(ends[2, column], found[2 * group + i])


@intrinsic
def _fold_eight(typing, bits, start, last, group, place, found):
    """Fold eight numbers of each of some groups; one that is not there is the last again."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, start, last, group, place, found = arguments
        bits = context.make_array(signature.args[0])(context, builder, bits).data
        found = context.make_array(signature.args[5])(context, builder, found).data

        def point(array: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(array, [index]), _VECTOR.as_pointer())

        def fill(value: int) -> Any:
            return ir.Constant(_VECTOR, [value] * WIDTH)

        def choose(order: str, a: Any, b: Any) -> Any:
            return builder.select(builder.icmp_signed(order, a, b), a, b)

        places = [builder.add(place, builder.mul(group, _INT(end))) for end in range(3)]
        low, high, smallest = (builder.load(point(found, i), align=8) for i in places)
        for number in range(ROWS):
            row = builder.add(start, builder.mul(group, _INT(number)))
            row = builder.select(builder.icmp_signed("<", row, last), row, last)
            x = builder.load(point(bits, builder.add(row, place)), align=8)
            magnitude = builder.and_(x, fill(_MAGNITUDE))
            negative = builder.ashr(x, fill(63))
            ordered = builder.xor(x, builder.and_(negative, fill(_MAGNITUDE)))
            below = builder.and_(builder.add(magnitude, fill(-1)), fill(_MAGNITUDE))  # 0: the most
            low, high = choose("<", ordered, low), choose(">", ordered, high)
            smallest = choose("<", below, smallest)
        for end, i in zip((low, high, smallest), places, strict=True):
            builder.store(end, point(found, i), align=8)
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(bits, int_, int_, int_, int_, found), code
