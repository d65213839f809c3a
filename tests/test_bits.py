"""Distances in floats, beside the definition by integers of any size."""

import math

import numpy as np
import pytest

from neuron_xp.bits import count_ulps, rank

FARTHEST = 2**64 - 1


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (1.0, 1.0, 0),
        (1.0, 1.0 + 2**-52, 1),
        (0.0, -0.0, 0),
        (-5e-324, 5e-324, 2),
        (1.0, 2.0, 2**52),
        (1.7976931348623157e308, math.inf, 1),
        (-math.inf, math.inf, 2 * 0x7FF0000000000000),
        (math.nan, math.nan, 0),
        (math.nan, 1.0, FARTHEST),
        (math.inf, math.nan, FARTHEST),
    ],
)
def test_distances_are_counted_in_floats(a, b, distance):
    assert int(count_ulps(np.asarray(a), np.asarray(b))) == distance
    assert count_ulps(np.asarray([[b]]), np.asarray([[a]])).tolist() == [[distance]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_neighbours_are_one_apart(dtype):
    x = np.asarray([0.0, 1.0, -1.0, 3e-8, -3e-8, 60000.0], dtype=dtype)
    above = np.nextafter(x, np.asarray(np.inf, dtype=dtype))
    assert (rank(above) - rank(x)).tolist() == [1] * len(x)
    assert count_ulps(x, above).tolist() == [1] * len(x)
