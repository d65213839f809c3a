"""Ways to compute an operation on the host, one of which may give the bits that were recorded."""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from neuron_xp.testing.explaining.recording import Recorded
from neuron_xp.testing.explaining.trying.rounding import (
    DECIMALS,
    flush_subnormals,
    fuse,
    round_by,
    round_correctly,
)
from neuron_xp.testing.explaining.trying.sums import Terms, list_orders
from neuron_xp.testing.explaining.watching import BINARY, COMPARISONS, NAMES, UNARY

ORDER = "order of the sum"
FUSED = "fused multiply-add"
OWN = "the library's own function"
FLUSHED = "flushed subnormals"
RECIPROCAL = "division by reciprocal"
SINGLE = "float32 in between"
TWICE = "rounded twice"
OTHER_RULE = "another rule of rounding"
PLAIN = ""

OPERATORS = {
    NAMES.get(name, name): function for name, function in (BINARY | COMPARISONS | UNARY).items()
}
ELEMENTWISE = {
    *OPERATORS, "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "square", "sign",
    "floor", "ceil", "trunc", "round", "where", "maximum", "minimum", "copysign", "isnan",
    "isfinite", "isinf", "reciprocal", "clip", "hypot", "atan2", "logaddexp",
} - {"matmul"}  # fmt: skip
MOST_PLACES = 4096
MOST_TERMS = 2**21


@dataclass(frozen=True, eq=False)
class Way:
    """A way to compute an operation.

    cause : what it would be called as a cause; `PLAIN` for what IEEE 754 asks for
    words : what it does, after the name of whoever does it: "adds one after another"
    compute(found) : what it gives; `found` is what was recorded, for ways that only look at that
    """

    cause: str
    words: str
    compute: Callable[[np.ndarray], np.ndarray]


def choose_places(recorded: Recorded, differs: np.ndarray) -> np.ndarray:
    """Choose places, as flat indices, at which ways are tried: all, or about as many of both kinds.

    differs : where the results of two runs differ, flat
    """
    most = MOST_PLACES
    if recorded.name in ("matmul", "sum"):
        most = max(4, min(most, MOST_TERMS // max(1, _count_terms(recorded))))
    if len(differs) <= most:
        return np.arange(len(differs))
    halves = [_thin(np.flatnonzero(kind), most // 2) for kind in (differs, ~differs)]
    return np.sort(np.concatenate(halves))


def _thin(x: np.ndarray, most: int) -> np.ndarray:
    return x if len(x) <= most else x[np.linspace(0, len(x) - 1, most).astype("int64")]


def _count_terms(recorded: Recorded) -> int:
    x = recorded.arguments[0]
    if recorded.name == "matmul":
        return int(x.shape[-1])
    return int(x.size // max(1, recorded.results[0].size))


def list_ways(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List the ways that are tried at some places of an operation's first result."""
    if recorded.name in ("matmul", "sum"):
        yield from _list_sums(recorded, places)
    elif recorded.name in ELEMENTWISE:
        yield from _list_elementwise(recorded, places)
    else:
        yield from _list_moves(recorded, places)
    if recorded.results[0].dtype == np.float64:
        yield Way(SINGLE, "gives numbers of float32", round_by("float32"))


def on_host(recorded: Recorded) -> Callable[..., Any]:
    """Return NumPy's function for an operation, on arguments as they were recorded.

    Raises AttributeError or TypeError where it has none.
    """
    if recorded.name == "from_host":
        return np.array
    if recorded.name == "getitem":
        return operator.getitem
    if recorded.name == "transpose":
        return np.transpose
    options = {
        key: to_dtype(value) if key == "dtype" else value
        for key, value in recorded.options.items()
        if key != "device" and value is not None
    }
    function = OPERATORS.get(recorded.name) or getattr(np, recorded.name)
    return partial(function, **options)


def to_dtype(value: Any) -> Any:
    """Return a library's dtype as NumPy's; anything else as it is."""
    if isinstance(value, np.ndarray | str | int | float | slice | tuple | list):
        return value
    name = re.search(r"\b(bool|u?int\d+|float\d+|complex\d+)", str(value))
    return value if name is None else np.dtype(name[1])


# --- operations on each element ------------------------------------------------------------


def _list_elementwise(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    shape = recorded.results[0].shape

    def pick(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return np.broadcast_to(value, shape).reshape(-1)[places]

    name, function = recorded.name, on_host(recorded)
    given = [pick(argument) for argument in recorded.arguments]

    def through(change: Callable[[Any], Any], *, before: bool, after: bool) -> Any:
        def compute(found: np.ndarray) -> Any:
            result = function(*(map(change, given) if before else given))
            return change(result) if after else result

        return compute

    if name in DECIMALS:
        yield Way(OWN, "gives the correctly rounded value", lambda _: round_correctly(name, *given))
        yield Way(OWN, f"gives what numpy's {name} does", lambda _: function(*given))
    else:
        yield Way(PLAIN, "gives what IEEE 754 asks for", lambda _: function(*given))
    yield from _list_fused(recorded, pick)
    if name == "divide":
        yield from _list_reciprocals(*given)
    flush = flush_subnormals
    yield Way(FLUSHED, "takes subnormal results for 0", through(flush, before=False, after=True))
    yield Way(FLUSHED, "takes subnormal arguments for 0", through(flush, before=True, after=False))
    yield Way(FLUSHED, "takes all subnormals for 0", through(flush, before=True, after=True))
    if recorded.results[0].dtype == np.float64:
        single = round_by("float32")
        yield Way(SINGLE, "computes in float32", _compute_in(function, given, "float32"))
        yield Way(SINGLE, "rounds the result to float32", through(single, before=False, after=True))
        yield Way(SINGLE, "rounds its arguments to float32",
                  through(single, before=True, after=False))  # fmt: skip
        long = _compute_in(function, given, "longdouble")
        yield Way(TWICE, "rounds to 64 bits first, as x87", long)
    if name == "round":
        yield Way(OTHER_RULE, "rounds halves away from 0",
                  lambda _: np.copysign(np.floor(np.abs(given[0]) + 0.5), given[0]))  # fmt: skip


def _compute_in(
    function: Callable[..., Any], given: list[Any], dtype: str
) -> Callable[[np.ndarray], Any]:
    def convert(x: Any) -> Any:
        is_float = isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
        return np.asarray(x, dtype=dtype) if is_float else x

    return lambda found: np.asarray(function(*map(convert, given))).astype(found.dtype)


def _list_fused(recorded: Recorded, pick: Callable[[Any], Any]) -> Iterator[Way]:
    """List a sum or difference, one of whose two is a product, rounded once."""
    if recorded.name not in ("add", "subtract"):
        return
    for number, (x, y) in recorded.products.items():
        other = recorded.arguments[1 - number]
        factors = [np.array(pick(value), dtype="float64") for value in (x, y, other)]
        if recorded.name == "subtract":
            factors[2 if number == 0 else 0] *= -1.0
        three = np.broadcast_arrays(*factors)
        words = "does not round a product before it is added to"
        yield Way(FUSED, words, lambda _, three=three: fuse(*three))  # type: ignore[misc]


def _list_reciprocals(a: Any, b: Any) -> Iterator[Way]:
    yield Way(RECIPROCAL, "multiplies by the reciprocal: a * (1 / b)", lambda _: a * (1.0 / b))
    for steps in (1, 2, 3):
        for fused in (False, True):
            words = f"multiplies by a reciprocal of float32 and {steps} Newton steps"
            yield Way(
                RECIPROCAL, f"{words}, fused" if fused else words,
                partial(_refine, a, b, steps, fused),
            )  # fmt: skip


def _refine(a: Any, b: Any, steps: int, fused: bool, found: np.ndarray) -> Any:
    """Compute a * r, r = r + r (1 - b r) from a reciprocal of float32."""
    b = np.asarray(b, dtype=found.dtype)
    r = (np.float32(1) / b.astype("float32")).astype(found.dtype)
    one = np.ones_like(b)
    for _ in range(steps):
        rest = fuse(-b, r, one) if fused else 1.0 - b * r
        r = fuse(r, rest, r) if fused else r + r * rest
    return a * r


# --- operations that move numbers ------------------------------------------------------------


def _list_moves(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List ways of functions that are to give the numbers that they are given, or whole ones."""

    def compute(change: Callable[[Any], Any], found: np.ndarray) -> Any:
        given = (to_dtype(argument) for argument in recorded.arguments)
        result = np.asarray(on_host(recorded)(*given)).astype(found.dtype)
        return change(result).reshape(-1)[places]

    yield Way(PLAIN, "gives the right numbers", partial(compute, lambda x: x))
    yield Way(FLUSHED, "takes subnormals for 0", partial(compute, flush_subnormals))
    if recorded.results[0].dtype == np.float64:
        yield Way(SINGLE, "rounds to float32", partial(compute, round_by("float32")))


# --- sums ----------------------------------------------------------------------------------


def _list_sums(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    terms, dtype = _find_terms(recorded, places), recorded.results[0].dtype
    for order in list_orders(terms):
        fused = ", with fused multiply-add" if order.fused else ""
        yield Way(
            FUSED if order.fused else ORDER, f"adds {order.words}{fused}",
            lambda found, add=order.add: add(),  # type: ignore[misc]
        )  # fmt: skip
    single = terms.change(lambda x: x.astype("float32"))
    if dtype == np.float64:
        for order in (o for o in list_orders(single) if not o.words.startswith("exactly")):
            if order.fused or "lanes" in order.words or "blocks" in order.words:
                continue
            yield Way(SINGLE, f"adds in float32, {order.words}",
                      lambda found, add=order.add: add().astype(found.dtype))  # type: ignore[misc]  # fmt: skip
        yield Way(SINGLE, "rounds the sum to float32",
                  lambda _: round_by("float32")(terms.values().sum(axis=0)))  # fmt: skip
    flushed = terms.change(flush_subnormals)

    def add_flushed(found: np.ndarray) -> np.ndarray:
        return flush_subnormals(flush_subnormals(flushed.values()).sum(axis=0))

    yield Way(FLUSHED, "takes subnormal terms for 0", add_flushed)
    if recorded.name == "matmul":
        a, b = recorded.arguments
        yield from _list_blas(a, b, places)


def _find_terms(recorded: Recorded, places: np.ndarray) -> Terms:
    """Return the terms of the sums at some places."""
    if recorded.name == "matmul":
        a, b = recorded.arguments
        columns = b.shape[1]
        return Terms(np.ascontiguousarray(a[places // columns].T),
                     np.ascontiguousarray(b[:, places % columns]))  # fmt: skip
    x, axis = recorded.arguments[0], recorded.options.get("axis")
    factors = recorded.products.get(0)
    if factors is None:
        return Terms(_move_terms(x, axis)[:, places])
    left, right = (np.broadcast_to(np.asarray(f, dtype=x.dtype), x.shape) for f in factors)
    return Terms(_move_terms(left, axis)[:, places], _move_terms(right, axis)[:, places])


def _move_terms(x: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """Return x as (terms, sums), where the terms lie along one or several axes."""
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = sorted(number % x.ndim for number in given)
    moved = np.moveaxis(x, axes, range(len(axes)))
    count = int(np.prod(moved.shape[: len(axes)]))
    return np.ascontiguousarray(moved.reshape(count, -1))


def _list_blas(a: np.ndarray, b: np.ndarray, places: np.ndarray) -> Iterator[Way]:
    """List NumPy's matmul, whose order is that of its BLAS: it depends on the layout."""

    def columns_alone() -> np.ndarray:
        return np.stack([a @ np.ascontiguousarray(column) for column in b.T], axis=1)

    layouts: dict[str, Callable[[], np.ndarray]] = {
        "as numpy's matmul does here": lambda: a @ b,
        "as numpy's matmul does of rows": lambda: np.ascontiguousarray(a) @ np.ascontiguousarray(b),
        "as numpy's matmul does of columns": lambda: np.asfortranarray(a) @ np.asfortranarray(b),
        "as numpy's matmul does of a column at a time": columns_alone,
        "as numpy's einsum does": lambda: np.einsum("ij,jk->ik", a, b),
    }
    for words, compute in layouts.items():
        yield Way(ORDER, f"adds {words}",
                  lambda _, compute=compute: compute().reshape(-1)[places])  # type: ignore[misc]  # fmt: skip
