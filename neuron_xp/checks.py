"""What a setting may be, and the one line that is said when it is not."""

import math
import operator
import re
import sys
from collections.abc import Iterable
from reprlib import repr as short

from neuron_xp.errors import did_you_mean

SMALLEST_MEMORY = 2**24
"""Bytes: with less, files would be read in pieces too small to be worth it."""


def _got(value: object) -> str:
    """The value in a few words, on one line."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return f"an integer of {value.bit_length()} bits"
    return " ".join(short(value).split())


def whole_number(name: str, value: object, *, least: int = 0, most: float = math.inf) -> int:
    """The value as an int, from `least` to `most`."""
    upper = "" if most == math.inf else f" to {most}"
    problem = f"{name} must be a whole number from {least}{upper}; got {_got(value)}"
    if isinstance(value, bool):
        raise TypeError(problem)
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(problem) from None
    if not least <= count <= most:
        raise ValueError(problem)
    return count


def number(name: str, value: object, *, zero: bool = False, hint: str = "") -> float:
    """The value as a float, finite and at least 2^-1022, or 0 if `zero` allows it."""
    low = "0 or more" if zero else "above 0"
    problem = f"{name} must be a finite number {low}{hint}; got {_got(value)}"
    if isinstance(value, bool | str | bytes):
        raise TypeError(problem)
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(problem) from None
    if 0 < result < sys.float_info.min:
        raise ValueError(f"{problem}, which is below the smallest normal float, 2.2e-308")
    if not (math.isfinite(result) and (result > 0 or (zero and result == 0))):
        raise ValueError(problem)
    return result


def yes_or_no(name: str, value: object) -> bool:
    """The value, if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {_got(value)}")
    return value


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """The option that the value equals."""
    names = tuple(options)
    for option in names:
        if isinstance(value, str) and value == option:
            return option
    raise ValueError(f"unknown {name} {_got(value)}{did_you_mean(value, names)}")


def memory_size(name: str, value: object) -> int:
    """A number of bytes, or text such as '500MB' (10^6 bytes each) or '2GiB' (2^30)."""
    problem = f"{name} must be a number of bytes or text such as '500MB' or '2GiB'; got "
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", value.strip(), re.IGNORECASE)
        if not found:
            raise ValueError(problem + _got(value))
        digits, unit, binary = found.groups()
        base = 1024 if binary else 1000
        value = int(float(digits) * base ** " KMGT".index(unit.upper() or " "))
    try:
        return whole_number(name, value, least=SMALLEST_MEMORY)
    except TypeError:
        raise TypeError(problem + _got(value)) from None
