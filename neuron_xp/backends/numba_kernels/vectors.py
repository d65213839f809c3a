"""What training spends its time in, two sums above all, as LLVM vectors of eight float64.

LLVM's own search for vectors does not find it. It turns them into what the processor
has: one AVX-512 register, two of AVX, four of SSE or NEON. A product is rounded before it
is added, because nothing here says that it need not be.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuron_xp.neuron.reproducible.elementary import LANES, SMALLEST_PRODUCT, TINY_INPUT

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


def _add_in_order(builder: Any, terms: list[Any]) -> Any:
    """Add eight terms as `exact_sum.leaf_sums` halves them: 0 + 4, 2 + 6, 1 + 5, 3 + 7, ..."""

    def tree(term: int, step: int) -> Any:
        if step == len(terms):
            return terms[term]
        return builder.fadd(tree(term, 2 * step), tree(term + step, 2 * step))

    return tree(0, 1)


@intrinsic(prefer_literal=True)
def row_sums(  # type: ignore[no-untyped-def]
    typing, vectors, no_tiny_inputs, rows, start, stride, weights, first, count, sums, place
):
    """sums[place + r] = the sum over i of rows[start + r * stride + i] * weights[first + i].

    For r < 8, and i < 8 * vectors: 1 to 4, a constant. Of 4, i < count, a multiple of 32.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = 2, 5, 8
        rows, weights, sums = (
            _pointer(context, builder, signature.args[i], arguments[i]) for i in places
        )
        _, _, _, start, stride, _, first, count, _, place = arguments
        width = signature.args[0].literal_value
        none_is_tiny = signature.args[1].literal_value

        def products(row: Any, offset: Any) -> list[Any]:
            places = [builder.add(offset, _INT(WIDTH * vector)) for vector in range(width)]
            inputs = [_load(builder, rows, builder.add(row, i)) for i in places]
            factors = [_load(builder, weights, builder.add(first, i)) for i in places]
            pairs = zip(inputs, factors, strict=True)
            return [_multiply(builder, a, b, none_is_tiny) for a, b in pairs]

        def sum_eighths(number: int) -> Any:
            """Sum a row into 32 lanes, and halve them twice; lanes that are not there are 0."""
            row = builder.add(start, builder.mul(stride, _INT(number)))
            found = products(row, _INT(0))
            if width == LANES // WIDTH:
                lanes = [cgutils.alloca_once(builder, _VECTOR) for _ in found]
                for lane, product in zip(lanes, found, strict=True):
                    builder.store(product, lane)
                with cgutils.for_range_slice(builder, _INT(LANES), count, _INT(LANES)) as (at, _):
                    for lane, product in zip(lanes, products(row, at), strict=True):
                        builder.store(builder.fadd(builder.load(lane), product), lane)
                found = [builder.load(lane) for lane in lanes]
            half = [builder.fadd(*pair) for pair in zip(found, found[2:], strict=False)]
            half += found[len(half) : 2]
            return builder.fadd(*half) if len(half) == 2 else half[0]

        eighths, groups = [sum_eighths(number) for number in range(WIDTH)], 1
        while len(eighths) > 1:
            pairs = zip(eighths[::2], eighths[1::2], strict=True)
            eighths, groups = [_add_halves(builder, a, b, groups) for a, b in pairs], groups * 2
        builder.store(eighths[0], _address(builder, sums, place), align=8)
        return context.get_dummy_value()

    int_ = types.int64
    arguments = vectors, no_tiny_inputs, rows, int_, int_, weights, int_, int_, sums, int_
    return types.void(*arguments), code


@intrinsic(prefer_literal=True)
def column_sums(typing, no_tiny_inputs, rows, start, stride, delta, count, sums, place):  # type: ignore[no-untyped-def]
    """sums[place + i] = the sum over r of rows[start + r * stride + i] * delta[r].

    For i < 8, and r < 64: the rows from `count` on are multiplied by 0, or left out.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, delta, sums = (
            _pointer(context, builder, signature.args[i], arguments[i]) for i in (1, 4, 6)
        )
        _, _, start, stride, _, count, _, place = arguments
        none_is_tiny = signature.args[0].literal_value
        far = builder.mul(stride, _INT(WIDTH))
        buffer = cgutils.alloca_once(builder, ir.ArrayType(_VECTOR, WIDTH))
        is_short = builder.icmp_signed("<=", count, _INT(WIDTH))

        def term(first: Any, row: Any, eighth: int) -> Any:
            """The product of the row, which is the eighth one after it, times eight."""
            offset = builder.mul(far, _INT(eighth))
            inputs = _load(builder, rows, builder.add(first, offset))
            place = builder.add(row, _INT(WIDTH * eighth))
            factor = builder.load(builder.gep(delta, [place]))
            empty = ir.Constant(_VECTOR, ir.Undefined)
            one = builder.insert_element(empty, factor, ir.IntType(32)(0))
            factors = _pick(builder, one, one, [0] * WIDTH)
            return _multiply(builder, inputs, factors, none_is_tiny)

        with cgutils.for_range(builder, _INT(WIDTH)) as loop:
            row = loop.index
            first = builder.add(start, builder.mul(stride, row))
            found = builder.gep(buffer, [_INT(0), row])
            with builder.if_else(is_short) as (then, otherwise):
                with then:
                    builder.store(term(first, row, 0), found)
                with otherwise:
                    terms = [term(first, row, eighth) for eighth in range(WIDTH)]
                    builder.store(_add_in_order(builder, terms), found)
        eighths = [builder.load(builder.gep(buffer, [_INT(0), _INT(r)])) for r in range(WIDTH)]
        total = _add_in_order(builder, eighths)
        builder.store(total, _address(builder, sums, place), align=8)
        return context.get_dummy_value()

    int_ = types.int64
    arguments = no_tiny_inputs, rows, int_, int_, delta, int_, sums, int_
    return types.void(*arguments), code


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
