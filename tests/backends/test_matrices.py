"""Weighted sums of small matrices by a kernel: the bits of the array operations."""

import numpy as np
import pytest

from neuron_xp.backends.engine import choose_host_arithmetic
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.trust import choose_arithmetic

matrices = pytest.importorskip("neuron_xp.backends.numba_kernels.host.matrices")
DEFINED = choose_arithmetic(open_host_backend(), "reproducible", no_tiny_inputs=False)
SHAPES = [(1, 1, 1), (20, 31, 1), (31, 20, 1), (3, 32, 2), (2, 33, 1), (5, 1000, 1), (1, 1024, 3)]


def draw(rows, count, columns):
    """Numbers of very different size, some so small that their products are flushed."""
    generator = np.random.RandomState(rows + count)
    a, b = generator.standard_normal((rows, count)), generator.standard_normal((count, columns))
    return np.ldexp(a, generator.randint(-520, 400, a.shape)), b


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
def test_sums_have_the_defined_bits(shape, order):
    a, b = draw(*shape)
    assert matrices.multiply_small(order(a), b).tobytes() == DEFINED.weighted_sum(a, b).tobytes()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, -0.0])
def test_what_is_not_finite_comes_out_as_it_is_defined(bad):
    a, b = draw(3, 40, 1)
    a[1, 7] = bad
    found, expected = matrices.multiply_small(a, b), DEFINED.weighted_sum(a, b)
    assert np.array_equal(found, expected, equal_nan=True)


def test_the_host_uses_them_for_short_sums_only():
    arithmetic = choose_host_arithmetic(open_host_backend(), "reproducible")
    assert arithmetic.xp is np
    assert arithmetic.weighted_sum is not DEFINED.weighted_sum
    for count in (matrices.MOST_TERMS, matrices.MOST_TERMS + 1):
        a, b = draw(2, count, 1)
        assert arithmetic.weighted_sum(a, b).tobytes() == DEFINED.weighted_sum(a, b).tobytes()


def test_wrong_sums_are_not_used(monkeypatch):
    monkeypatch.setattr(matrices, "multiply_small", np.matmul)
    choose_host_arithmetic.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="small matrices does not give the defined bits"):
            arithmetic = choose_host_arithmetic(open_host_backend(), "reproducible")
        a, b = draw(20, 75, 2)
        assert np.matmul(a, b).tobytes() != DEFINED.weighted_sum(a, b).tobytes()
        assert arithmetic.weighted_sum(a, b).tobytes() == DEFINED.weighted_sum(a, b).tobytes()
    finally:
        choose_host_arithmetic.cache_clear()
