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

WITH_FUSED = ", with fused multiply-add"
"""The end of what a way does, where it does otherwise what another does."""

OPERATORS = {
    NAMES.get(name, name): function for name, function in (BINARY | COMPARISONS | UNARY).items()
}
ELEMENTWISE = {
    *OPERATORS, "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "square", "sign",
    "floor", "ceil", "trunc", "round", "where", "maximum", "minimum", "copysign", "isnan",
    "isfinite", "isinf", "reciprocal", "clip", "hypot", "atan2", "logaddexp",
} - {"matmul"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Way:
    """A way to compute an operation.

    cause : what it would be called as a cause; `PLAIN` for what IEEE 754 asks for
    words : what it does, after the name of whoever does it: "adds one after another"
    compute(found) : what it gives; `found` is what was recorded, for ways that only look at that
    is_shown : whether the library has shown that it does so, and nobody has guessed it
    """

    cause: str
    words: str
    compute: Callable[[np.ndarray], np.ndarray]
    is_shown: bool = False


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


def list_elementwise(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List ways of a function of each element, or of a pair of them."""
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
        words = "adds to a product that it has not rounded"
        yield Way(FUSED, words, lambda _, three=three: fuse(*three))  # type: ignore[misc]


def _list_reciprocals(a: Any, b: Any) -> Iterator[Way]:
    yield Way(RECIPROCAL, "multiplies by the reciprocal: a * (1 / b)", lambda _: a * (1.0 / b))
    for steps in (1, 2, 3):
        for fused in (False, True):
            words = f"multiplies by a reciprocal of float32 after {steps} of Newton's steps"
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


def list_moves(recorded: Recorded, places: np.ndarray) -> Iterator[Way]:
    """List ways of functions that are to give the numbers that they are given, or whole ones."""

    def compute(change: Callable[[Any], Any], found: np.ndarray) -> Any:
        given = (to_dtype(argument) for argument in recorded.arguments)
        result = np.asarray(on_host(recorded)(*given)).astype(found.dtype)
        return change(result).reshape(-1)[places]

    yield Way(PLAIN, "gives the right numbers", partial(compute, lambda x: x))
    yield Way(FLUSHED, "takes subnormals for 0", partial(compute, flush_subnormals))
    if recorded.results[0].dtype == np.float64:
        yield Way(SINGLE, "rounds to float32", partial(compute, round_by("float32")))
