"""Extremes: all that training has to know of its data before it begins, found in one look."""

import math
from typing import NamedTuple

from neuron_xp.neuron.types import Array, Namespace


class Extremes(NamedTuple):
    """Ends of the numbers in a matrix.

    low, high : (columns,), the smallest and the largest number of each, -0.0 taken for 0.0; one
        of them is not finite where a number of its column is not
    smallest : the smallest magnitude that is not 0; infinity where all numbers are 0
    """

    low: Array
    high: Array
    smallest: Array


def find_extremes(x: Array, *, xp: Namespace) -> Extremes:
    """Find the extremes of (rows, columns) of floats, on their device."""
    magnitude = xp.abs(x)
    return Extremes(
        low=xp.min(x, axis=0) + 0.0,
        high=xp.max(x, axis=0) + 0.0,
        smallest=xp.min(xp.where(magnitude > 0.0, magnitude, math.inf)),
    )


def merge_extremes(a: Extremes, b: Extremes, *, xp: Namespace) -> Extremes:
    """Return the extremes of the rows of both."""
    return Extremes(*map(xp.minimum, a, b))._replace(high=xp.maximum(a.high, b.high))
