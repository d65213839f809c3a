"""Weighted sums of small matrices for the host, whose time would go to calls of NumPy."""

import numpy as np

from neuron_xp.backends.numba_kernels.compiler import kept_small
from neuron_xp.backends.numba_kernels.functions import flush
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT, SMALLEST_PRODUCT

MOST_TERMS = SEGMENT
"""Terms of a sum, at most: longer ones are added in segments."""


@kept_small
def multiply_small(a, b):
    """Return a @ b; see `elementary.weighted_sum`."""
    rows, count, columns = a.shape[0], a.shape[1], b.shape[1]
    result, lanes = np.empty((rows, columns)), np.empty(LANES)
    for r in range(rows):
        for c in range(columns):
            used, half = min(count, LANES), LANES // 2
            for i in range(used):
                lanes[i] = flush(a[r, i] * b[i, c], SMALLEST_PRODUCT)
            for i in range(LANES, count):
                lanes[i % LANES] += flush(a[r, i] * b[i, c], SMALLEST_PRODUCT)
            while half > 0:
                for lane in range(half, used):
                    lanes[lane - half] += lanes[lane]
                used, half = min(used, half), half // 2
            result[r, c] = lanes[0]
    return result
