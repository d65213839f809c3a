"""What training spends its time in, two sums above all, as LLVM vectors of eight float64.

LLVM's own search for vectors does not find it. It turns them into what the processor
has: one AVX-512 register, two of AVX, four of SSE or NEON. A product is rounded before it
is added, because nothing here says that it need not be.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuron_xp.neuron.reproducible.elementary import LANES, SMALLEST_PRODUCT, TINY_INPUT
from neuron_xp.neuron.reproducible.exact_sum import LEAF

WIDTH = 8
"""A row may be read up to the next multiple of 32 inputs, a column up to one of 8."""

_DOUBLE, _INT = ir.DoubleType(), ir.IntType(64)
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)


def _pointer(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    return context.make_array(type_)(context, builder, array).data


def _address(builder: Any, pointer: Any, index: Any) -> Any:
    address = builder.gep(pointer, [index])
    return builder.bitcast(address, _VECTOR.as_pointer())


def _load(builder: Any, pointer: Any, index: Any) -> Any:
    return builder.load(_address(builder, pointer, index), align=8)


def _multiply(builder: Any, a: Any, b: Any, no_tiny_inputs: bool) -> Any:
    """Multiply; unless no input is tiny, take 0 for a product below 2^-960."""
    product = builder.fmul(a, b)
    return product if no_tiny_inputs else _flush(builder, product, SMALLEST_PRODUCT)


def _flush(builder: Any, x: Any, smallest: float) -> Any:
    type_ = ir.FunctionType(_VECTOR, [_VECTOR])
    fabs = cgutils.get_or_insert_function(builder.module, type_, "llvm.fabs.v8f64")
    magnitude = builder.call(fabs, [x])
    is_small = builder.fcmp_ordered("<", magnitude, ir.Constant(_VECTOR, [smallest] * WIDTH))
    return builder.select(is_small, ir.Constant(_VECTOR, [0.0] * WIDTH), x)


def _pick(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    return builder.shuffle_vector(a, b, mask)


def _add_halves(builder: Any, a: Any, b: Any, groups: int) -> Any:
    """Add each group's upper half to its lower: those of a, then those of b."""
    size = WIDTH // groups
    low = [g * size + i for g in range(2 * groups) for i in range(size // 2)]
    high = [lane + size // 2 for lane in low]
    return builder.fadd(_pick(builder, a, b, low), _pick(builder, a, b, high))


def _add_in_order(builder: Any, terms: Sequence[Any]) -> Any:
    """Add eight terms as `exact_sum.leaf_sums` halves them: 0 + 4, 2 + 6, 1 + 5, 3 + 7, ...

    Of four, the others are 0, and of one.
    """

    def tree(term: int, step: int) -> Any:
        if step == len(terms):
            return terms[term]
        return builder.fadd(tree(term, 2 * step), tree(term + step, 2 * step))

    return tree(0, 1)


@intrinsic(prefer_literal=True)
def row_sums(  # type: ignore[no-untyped-def]
    typing,
    neurons,
    vectors,
    no_tiny_inputs,
    rows,
    start,
    stride,
    weights,
    first,
    count,
    sums,
    place,
):
    """sums[place + 64 n + r] = the sum over i of rows[start + r * stride + i] * weights[at + i].

    For r < 8, n < neurons, and i < 8 * vectors, 1 to 4; of 4, i < count, a multiple of 32. A
    neuron's weights begin `count` after the last one's. Neurons, vectors and `no_tiny_inputs` are
    constants.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, weights, sums = (
            _pointer(context, builder, signature.args[i], arguments[i]) for i in (3, 6, 9)
        )
        *_, start, stride, _, first, count, _, place = arguments
        neurons, width, none_is_tiny = (signature.args[i].literal_value for i in range(3))
        weight_rows = [builder.add(first, builder.mul(count, _INT(n))) for n in range(neurons)]

        def products(some_rows: list[Any], offset: Any) -> list[list[Any]]:
            """Return those of each row and neuron, a vector after the other."""
            places = [builder.add(offset, _INT(WIDTH * vector)) for vector in range(width)]
            x, w = (
                [[_load(builder, array, builder.add(row, i)) for i in places] for row in first]
                for array, first in ((rows, some_rows), (weights, weight_rows))
            )
            return [
                [_multiply(builder, *pair, none_is_tiny) for pair in zip(a, b, strict=True)]
                for a in x
                for b in w
            ]

        def sum_eighths(numbers: list[int]) -> list[Any]:
            """Sum rows into 32 lanes, and halve them twice; lanes that are not there are 0."""
            some = [builder.add(start, builder.mul(stride, _INT(r))) for r in numbers]
            found = products(some, _INT(0))
            if width == LANES // WIDTH:
                lanes = [[cgutils.alloca_once(builder, _VECTOR) for _ in row] for row in found]
                _store_all(builder, found, lanes)
                with cgutils.for_range_slice(builder, _INT(LANES), count, _INT(LANES)) as (at, _):
                    more = _add_all(builder, _load_all(builder, lanes), products(some, at))
                    _store_all(builder, more, lanes)
                found = _load_all(builder, lanes)
            return [_halve_twice(builder, row) for row in found]

        # two rows and two neurons at a time: four loads for four products, and all in registers;
        # of one neuron row after row, as memory is read soonest
        groups = [sum_eighths(list(range(r, r + neurons))) for r in range(0, WIDTH, neurons)]
        for n in range(neurons):
            eighths = [vector for group in groups for vector in group[n::neurons]]
            at = builder.add(place, _INT(LEAF * n))
            builder.store(
                _transpose_and_add(builder, eighths), _address(builder, sums, at), align=8
            )
        return context.get_dummy_value()

    int_ = types.int64
    constants = neurons, vectors, no_tiny_inputs
    return types.void(*constants, rows, int_, int_, weights, int_, int_, sums, int_), code


def _load_all(builder: Any, places: list[list[Any]]) -> list[list[Any]]:
    return [[builder.load(place) for place in row] for row in places]


def _store_all(builder: Any, vectors: list[list[Any]], places: list[list[Any]]) -> None:
    for row in zip(vectors, places, strict=True):
        for vector, place in zip(*row, strict=True):
            builder.store(vector, place)


def _add_all(builder: Any, a: list[list[Any]], b: list[list[Any]]) -> list[list[Any]]:
    rows = zip(a, b, strict=True)
    return [[builder.fadd(*pair) for pair in zip(*row, strict=True)] for row in rows]


def _halve_twice(builder: Any, lanes: list[Any]) -> Any:
    """Add the upper half of 32 lanes to the lower, twice; of fewer vectors the last are 0."""
    half = [builder.fadd(*pair) for pair in zip(lanes, lanes[2:], strict=False)]
    half += lanes[len(half) : 2]
    return builder.fadd(*half) if len(half) == 2 else half[0]


def _transpose_and_add(builder: Any, eighths: list[Any]) -> Any:
    """Sum the lanes of each of eight vectors: one vector."""
    groups = 1
    while len(eighths) > 1:
        pairs = zip(eighths[::2], eighths[1::2], strict=True)
        eighths, groups = [_add_halves(builder, a, b, groups) for a, b in pairs], groups * 2
    return eighths[0]


@intrinsic(prefer_literal=True)
def column_sums(  # type: ignore[no-untyped-def]
    typing, neurons, no_tiny_inputs, rows, start, stride, deltas, first, count, sums
):
    """sums[8 n + i] = the sum over r of rows[start + r * stride + i] * deltas[first + 64 n + r].

    For i < 8, n < neurons, and r < 64: rows from `count` on are multiplied by 0, or left out.
    Neurons and `no_tiny_inputs` are constants.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, deltas, sums = (
            _pointer(context, builder, signature.args[i], arguments[i]) for i in (2, 5, 8)
        )
        _, _, _, start, stride, _, first, count, _ = arguments
        neurons, none_is_tiny = (signature.args[i].literal_value for i in range(2))
        far = builder.mul(stride, _INT(WIDTH))
        with builder.goto_entry_block():  # Numba's `alloca_once` fills with zeros at each call
            buffers = [builder.alloca(ir.ArrayType(_VECTOR, WIDTH)) for _ in range(neurons)]

        def products(row: Any, eighth: int) -> list[Any]:
            """Return each neuron's of the row that is eight times `eighth` after this one."""
            far_row = builder.add(builder.mul(stride, row), builder.mul(far, _INT(eighth)))
            inputs = _load(builder, rows, builder.add(start, far_row))
            found = []
            for n in range(neurons):
                place = builder.add(builder.add(first, row), _INT(LEAF * n + WIDTH * eighth))
                delta = _spread(builder, builder.load(builder.gep(deltas, [place])))
                found.append(_multiply(builder, inputs, delta, none_is_tiny))
            return found

        def store(row: Any, vectors: Iterable[Any]) -> None:
            for buffer, vector in zip(buffers, vectors, strict=True):
                builder.store(vector, builder.gep(buffer, [_INT(0), row]))

        def store_sums(row: Any, most: int) -> None:
            """Store the sums of the row and those eight, 16 ... after it: `most` in all."""
            of_neurons = zip(*(products(row, eighth) for eighth in range(most)), strict=True)
            store(row, (_add_in_order(builder, terms) for terms in of_neurons))

        with cgutils.for_range(builder, _INT(WIDTH)) as loop:
            is_short = builder.icmp_signed("<=", count, _INT(WIDTH))
            is_half = builder.icmp_signed("<=", count, _INT(LEAF // 2))
            with builder.if_else(is_short) as (short, longer):
                with short:
                    store_sums(loop.index, 1)
                with longer, builder.if_else(is_half) as (half, whole):
                    with half:
                        store_sums(loop.index, WIDTH // 2)
                    with whole:
                        store_sums(loop.index, WIDTH)
        for n, buffer in enumerate(buffers):
            terms = [builder.load(builder.gep(buffer, [_INT(0), _INT(r)])) for r in range(WIDTH)]
            total, place = _add_in_order(builder, terms), _INT(WIDTH * n)
            builder.store(total, _address(builder, sums, place), align=8)
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(neurons, no_tiny_inputs, rows, int_, int_, deltas, int_, int_, sums), code


def _spread(builder: Any, number: Any) -> Any:
    """Return a vector of the number."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(empty, number, ir.IntType(32)(0))
    return _pick(builder, one, one, [0] * WIDTH)


@intrinsic
def standardize_eight(typing, inputs, start, mean, inverse_scale, first, found, place):  # type: ignore[no-untyped-def]
    """Standardize the numbers from inputs[start] on by the columns from `first` on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = [_pointer(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 3, 5)]
        inputs, mean, inverse_scale, found = arrays
        _, start, _, _, first, _, place = arguments
        x = builder.fsub(_load(builder, inputs, start), _load(builder, mean, first))
        centred = _flush(builder, x, SMALLEST_PRODUCT)
        scaled = builder.fmul(centred, _load(builder, inverse_scale, first))
        numbers = _flush(builder, scaled, TINY_INPUT)
        builder.store(numbers, _address(builder, found, place), align=8)
        return context.get_dummy_value()

    int_ = types.int64
    return types.void(inputs, int_, mean, inverse_scale, int_, found, int_), code


@intrinsic
def power_of_two(typing, exponent):  # type: ignore[no-untyped-def]
    """2^exponent for an integer from -1022 to 1023: its bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(arguments[0], _INT(1023))
        return builder.bitcast(builder.shl(biased, _INT(52)), _DOUBLE)

    return types.float64(types.int64), code


@intrinsic
def bits_of(typing, number):  # type: ignore[no-untyped-def]
    """The bits of a float64, as an int64."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _INT)

    return types.int64(types.float64), code
