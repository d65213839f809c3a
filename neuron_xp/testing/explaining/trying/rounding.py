"""Roundings on the host: what a processor or a library may do to a result on its way."""

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from math import inf, isfinite

import numpy as np


def add_exactly(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded sum, and its error: both together are a + b (Knuth's TwoSum)."""
    sum_ = a + b
    of_b = sum_ - a
    return sum_, (a - (sum_ - of_b)) + (b - of_b)


def multiply_exactly(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded product of float64, and its error (Dekker's product)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _split(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split float64 into two of 26 bits."""
    large = a * 134217729.0  # 2^27 + 1
    high = large - (large - a)
    return high, a - high


def _add_to_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Add, and round to the neighbour with an odd last bit, unless the sum is exact.

    A second rounding of such a sum to fewer digits is as if there had been one alone.
    """
    sum_, error = add_exactly(a, b)
    bits = sum_.view("int64")
    outward = (error > 0) == (sum_ > 0)
    step = np.where((error != 0) & (bits & 1 == 0), np.where(outward, 1, -1), 0)
    return (bits + step).view("float64")


def fuse(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return a * b + c, rounded once: a fused multiply-add of float32 or float64.

    Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on
    Computers, 2008. Magnitudes near overflow and underflow may be wrong.
    """
    if a.dtype == np.float32:
        product = a.astype("float64") * b.astype("float64")  # exact
        return _add_to_odd(product, c.astype("float64")).astype("float32")
    high, low = multiply_exactly(a, b)
    middle, rest = add_exactly(c, low)
    first, second = add_exactly(high, middle)
    fused: np.ndarray = first + _add_to_odd(second, rest)
    return np.where(np.isfinite(fused), fused, a * b + c)


def flush_subnormals(x: np.ndarray) -> np.ndarray:
    """Return x with 0 in place of subnormal numbers."""
    if x.dtype.kind != "f":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x)


def round_by(dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that rounds floats to a type, and back."""

    def round_(x: np.ndarray) -> np.ndarray:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return x.astype(dtype).astype(x.dtype)

    return round_


DECIMALS: dict[str, Callable[[Decimal, Context], Decimal]] = {
    "exp": lambda x, context: x.exp(context),
    "expm1": lambda x, context: x.exp(context) - 1,
    "log": lambda x, context: x.ln(context),
    "log1p": lambda x, context: (1 + x).ln(context),
    "log10": lambda x, context: x.log10(context),
    "sqrt": lambda x, context: x.sqrt(context),
}
"""Functions that are known to as many digits as one likes."""


def round_correctly(name: str, x: np.ndarray) -> np.ndarray:
    """Return the function of each x, rounded once, from 60 decimal digits."""
    with localcontext(prec=60, Emax=10**6, Emin=-(10**6)) as context:
        values = [_apply(name, value, context) for value in x.astype("float64").tolist()]
    return np.asarray(values, dtype=x.dtype)


def _apply(name: str, x: float, context: Context) -> float:
    if isfinite(x):
        try:
            return float(DECIMALS[name](Decimal(x), context))
        except (ArithmeticError, OverflowError):  # log(0), or a negative number
            pass
    if name in ("exp", "expm1") and not np.isnan(x):
        return inf if x > 0 else float(name == "expm1") * -1.0
    with np.errstate(all="ignore"):
        return float(getattr(np, name)(x))
