"""Floats as bits: how far two arrays are apart, counted in floats."""

import numpy as np


def rank(x: np.ndarray) -> np.ndarray:
    """Return each float's number in their order, int64: neighbours differ by 1, and 0.0 is 0.

    x : float16, float32 or float64, any shape; an infinity is next to the largest number
    """
    bits = x.view(f"i{x.dtype.itemsize}").astype("int64")
    lowest = np.int64(-(2 ** (8 * x.dtype.itemsize - 1)))
    return np.where(bits < 0, lowest - bits, bits)


def count_ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many steps from float to float lead from each a to its b, uint64.

    0 is the same number, also for 0.0 and -0.0, and for two NaN; one NaN is 2^64 - 1 away.

    a, b : of one shape, and both float16, float32 or float64
    """
    of_a, of_b = rank(a), rank(b)
    with np.errstate(over="ignore"):  # modulo 2^64 the distance is right: it is less
        steps = (np.maximum(of_a, of_b) - np.minimum(of_a, of_b)).astype("uint64")
    neither, one = np.isnan(a) & np.isnan(b), np.isnan(a) != np.isnan(b)
    return np.where(neither, np.uint64(0), np.where(one, np.iinfo("uint64").max, steps))
