"""What training spends its time in, two sums above all, as LLVM vectors of eight float64.

LLVM's own search for vectors does not find it. It turns them into what the processor
has: one AVX-512 register, two of AVX, four of SSE or NEON. A product is rounded before it
is added, because nothing here says that it need not be.
"""

from functools import partial
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


def _row_sums_code(
    context: Any, builder: Any, signature: Any, arguments: Any, no_tiny_inputs: bool
) -> Any:
    rows, start, stride, weights, first, count, sums, number = arguments
    rows = _pointer(context, builder, signature.args[0], rows)
    weights = _pointer(context, builder, signature.args[3], weights)
    sums = _pointer(context, builder, signature.args[6], sums)

    def products(row: Any, offset: Any) -> list[Any]:
        places = [builder.add(offset, _INT(lane)) for lane in range(0, LANES, WIDTH)]
        inputs = [_load(builder, rows, builder.add(row, i)) for i in places]
        factors = [_load(builder, weights, builder.add(first, i)) for i in places]
        pairs = zip(inputs, factors, strict=True)
        return [_multiply(builder, a, b, no_tiny_inputs) for a, b in pairs]

    def sum_eighths(number: int) -> Any:
        """Sum a row into 32 lanes, and halve them twice."""
        row = builder.add(start, builder.mul(stride, _INT(number)))
        lanes = [cgutils.alloca_once(builder, _VECTOR) for _ in range(0, LANES, WIDTH)]
        for lane, product in zip(lanes, products(row, _INT(0)), strict=True):
            builder.store(product, lane)
        with cgutils.for_range_slice(builder, _INT(LANES), count, _INT(LANES)) as (offset, _):
            for lane, product in zip(lanes, products(row, offset), strict=True):
                builder.store(builder.fadd(builder.load(lane), product), lane)
        a, b, c, d = map(builder.load, lanes)
        return builder.fadd(builder.fadd(a, c), builder.fadd(b, d))

    vectors, groups = [sum_eighths(number) for number in range(WIDTH)], 1
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors, groups = [_add_halves(builder, a, b, groups) for a, b in pairs], groups * 2
    builder.store(vectors[0], _address(builder, sums, number), align=8)
    return context.get_dummy_value()


def _column_sums_code(
    context: Any, builder: Any, signature: Any, arguments: Any, no_tiny_inputs: bool
) -> Any:
    rows, start, stride, delta, sums, number = arguments
    rows = _pointer(context, builder, signature.args[0], rows)
    delta = _pointer(context, builder, signature.args[3], delta)
    sums = _pointer(context, builder, signature.args[4], sums)

    def term(row: int) -> Any:
        inputs = _load(builder, rows, builder.add(start, builder.mul(stride, _INT(row))))
        factor = builder.load(builder.gep(delta, [_INT(row)]))
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), factor, ir.IntType(32)(0))
        return _multiply(builder, inputs, _pick(builder, one, one, [0] * WIDTH), no_tiny_inputs)

    def tree(row: int, step: int) -> Any:
        """Add the rows row, row + step, row + 2 step, ... in the defined order."""
        if step == LEAF:
            return term(row)
        return builder.fadd(tree(row, 2 * step), tree(row + step, 2 * step))

    builder.store(tree(0, 1), _address(builder, sums, number), align=8)
    return context.get_dummy_value()


def _row_sums(no_tiny_inputs: bool) -> Any:
    @intrinsic
    def row_sums(typing, rows, start, stride, weights, first, count, sums, place):  # type: ignore[no-untyped-def]
        """sums[place + r] = the sum over i of rows[start + r * stride + i] * weights[first + i].

        For r < 8 and i < count, which is a multiple of 32.
        """
        int_ = types.int64
        signature = types.void(rows, int_, int_, weights, int_, int_, sums, int_)
        return signature, partial(_row_sums_code, no_tiny_inputs=no_tiny_inputs)

    return row_sums


def _column_sums(no_tiny_inputs: bool) -> Any:
    @intrinsic
    def column_sums(typing, rows, start, stride, delta, sums, place):  # type: ignore[no-untyped-def]
        """sums[place + i] = the sum over r of rows[start + r * stride + i] * delta[r], i < 8."""
        int_ = types.int64
        signature = types.void(rows, int_, int_, delta, sums, int_)
        return signature, partial(_column_sums_code, no_tiny_inputs=no_tiny_inputs)

    return column_sums


row_sums, unflushed_row_sums = _row_sums(False), _row_sums(True)
column_sums, unflushed_column_sums = _column_sums(False), _column_sums(True)


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
