"""Checks of single settings: each returns the value as plain Python, or raises one line.

Raised are TypeError for a value of the wrong kind and ValueError for one out of range; the line
says what was given and what was expected.
"""

import math
import operator
import os
import re
import sys
from collections.abc import Iterable
from reprlib import repr as short

from neuron_xp.errors import did_you_mean

SMALLEST_MEMORY = 2**24
"""Bytes: with less, files would be read in pieces too small to be worth it."""


def _shorten(value: object) -> str:
    """Return the value in a few words, on one line."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return f"an integer of {value.bit_length()} bits"
    return " ".join(short(value).split())


def check_whole_number(name: str, value: object, *, least: int = 0, most: float = math.inf) -> int:
    """Return the value as an int; raise unless it is a whole number from `least` to `most`."""
    if type(value) is int and least <= value <= most:  # words take longer than all the rest
        return value
    upper = "" if most >= 2**63 - 1 else f" to {most}"  # else it would only be puzzled over
    problem = f"{name} must be a whole number from {least}{upper}; got {_shorten(value)}"
    if isinstance(value, bool):
        raise TypeError(problem)
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(problem) from None
    if not least <= count <= most:
        raise ValueError(problem)
    return count


def check_number(name: str, value: object, *, zero: bool = False, hint: str = "") -> float:
    """Return the value as a float; raise unless it is finite and at least 2^-1022.

    zero : whether 0 is allowed too
    hint : words that follow the range in the message
    """
    if type(value) is float:
        is_usual = sys.float_info.min <= value < math.inf
        if is_usual or (zero and value == 0):
            return value
    low = "0 or more" if zero else "above 0"
    problem = f"{name} must be a finite number {low}{hint}; got {_shorten(value)}"
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


def check_yes_or_no(name: str, value: object, *, hint: str = "") -> bool:
    """Return the value; raise unless it is True or False. `hint` follows these in the message."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False{hint}; got {_shorten(value)}")
    return value


def check_choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return the option that the value equals; raise if there is none."""
    names = tuple(options)
    for option in names:
        if isinstance(value, str) and value == option:
            return option
    raise ValueError(f"unknown {name} {_shorten(value)}{did_you_mean(value, names)}")


def check_memory_size(name: str, value: object) -> int:
    """Return a size in bytes: a whole number, or text such as '500MB' (10^6) or '2GiB' (2^30).

    Raise for anything else, and for less than `SMALLEST_MEMORY`.
    """
    problem = f"{name} must be a number of bytes or text such as '500MB' or '2GiB'; got "
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", value.strip(), re.IGNORECASE)
        if not found:
            raise ValueError(problem + _shorten(value))
        digits, unit, binary = found.groups()
        base = 1024 if binary else 1000
        value = int(float(digits) * base ** " KMGT".index(unit.upper() or " "))
    try:
        return check_whole_number(name, value, least=SMALLEST_MEMORY)
    except TypeError:
        raise TypeError(problem + _shorten(value)) from None


def check_fits(what: str, shape: tuple[int, ...]) -> None:
    """Raise MemoryError, before they are asked for, for more float64 than this machine holds."""
    if not hasattr(os, "sysconf"):  # Windows refuses them itself
        return
    needed, there = 8 * math.prod(shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise MemoryError(
            f"{what} would take {shape[0]:,} rows of {shape[1]:,} columns, "
            f"{needed / 2**30:.1f} GiB, and this machine has {there / 2**30:.1f}"
        )
