"""Sums over examples: accurate, and the same for every cut and order."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scalar_port
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron.reproducible import exact_sum

NUMPY = choose_arithmetic(open_backend("numpy"), "reproducible", no_tiny_inputs=False)
GRID = exact_sum.grid(xp=np)
U = Fraction(1, 2**53)


def total(leaf_sums):
    """The exact sum of (leaves,) numbers, as a float."""
    sums = np.asarray(leaf_sums, dtype="float64").reshape((-1, 1, 1))
    with np.errstate(all="ignore"):
        return float(exact_sum.total(accumulated(sums), xp=np, grid=GRID)[0, 0])


def accumulated(sums):
    return exact_sum.accumulate(sums, xp=np, grid=GRID)


def exact(inputs, delta):
    return sum((Fraction(x) * Fraction(d) for x, d in zip(inputs, delta, strict=True)), Fraction(0))


def scaled(seed, count, lowest, highest):
    generator = np.random.RandomState(seed)
    powers = generator.randint(lowest, highest + 1, count)
    return np.ldexp(generator.random_sample(count) - 0.5, powers)


LARGEST, SMALLEST = 2.0**1023 * (2 - 2.0**-52), 2.0**-1022
EXAMPLES = {
    "ordinary": (scaled(0, 1000, 0, 0), scaled(1, 1000, 0, 0)),
    "cancellation": (np.tile([1.0, -1.0 + 2.0**-50], 500), np.ones(1000)),
    "total cancellation": (np.repeat([1e100, -1e100], 64), np.ones(128)),
    "1e-150 to 1e150": (scaled(2, 1000, -498, 498), scaled(3, 1000, 0, 0)),
    "only 1e-150": (scaled(4, 1000, -500, -496), scaled(5, 1000, 0, 0)),
    "deltas of 1e-20": (scaled(6, 1000, 0, 0), 1e-20 * scaled(7, 1000, 0, 0)),
    "1e-200 by 1e-60": (scaled(8, 100, -664, -664), scaled(9, 100, -200, -200)),
    "near 2^-900": (scaled(10, 1000, -60, -50), scaled(11, 1000, -850, -840)),
    "zeros": (np.zeros(70), np.ones(70)),
    "negative zeros": (np.full(70, -0.0), np.ones(70)),
    "largest": (np.full(3, LARGEST), np.asarray([2.0**-2, 2.0**-3, -(2.0**-4)])),
    "smallest": (np.full(70, SMALLEST), np.ones(70)),
    "smallest and largest": (np.asarray([SMALLEST, LARGEST, -SMALLEST]), np.full(3, 0.25)),
    "one": (np.asarray([3.0]), np.asarray([1 / 3])),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_sum_over_examples_is_no_worse_than_numpys_bound(name):
    """|error| <= n u / (1 - n u) sum |x d| + 2^-900 a leaf, with u = 2^-53."""
    inputs, delta = EXAMPLES[name]
    sum_ = NUMPY.sum_over_examples(inputs[:, None], delta[:, None])
    found = Fraction(float(NUMPY.total(sum_)[0, 0]))
    rows = len(inputs)
    bound = rows * U / (1 - rows * U) * exact(abs(inputs), abs(delta))
    leaves = -(-rows // exact_sum.LEAF)
    assert abs(found - exact(inputs, delta)) <= bound + leaves * Fraction(1, 2**900)


def test_it_is_far_better_than_a_plain_sum_over_many_leaves():
    """Between leaves nothing is rounded: half an ulp at the end, whatever cancels."""
    leaf_sums = np.concatenate([scaled(12, 4000, 0, 40), [2.0**70, -(2.0**70)]])
    expected = sum(map(Fraction, leaf_sums.tolist()), Fraction(0))
    found = Fraction(total(leaf_sums))
    dropped = len(leaf_sums) * Fraction(2) ** (70 - 64)  # below the third digit of the largest
    assert abs(found - expected) <= abs(expected) * U * 2 + dropped


@pytest.mark.parametrize("name", EXAMPLES)
def test_total_is_the_scalar_port(name):
    leaf_sums = EXAMPLES[name][0] * 0.25
    leaf_sums[abs(leaf_sums) < 2.0**-960] = 0.0
    assert total(leaf_sums) == scalar_port.total(scalar_port.accumulate(leaf_sums.tolist()))


numbers = st.one_of(
    st.floats(-1e150, 1e150, allow_subnormal=False),
    st.sampled_from([0.0, -0.0, 2.0**1022, -(2.0**1022), 2.0**-960, 2.0**31, 2.0**31 + 1, 2.0**63]),
    st.integers(-28, 30).map(lambda t: 2.0 ** (32 * t + 31)),
    st.integers(-28, 30).map(lambda t: -(2.0 ** (32 * t + 31)) * (1 + 2.0**-52)),
).map(lambda g: g if abs(g) >= 2.0**-960 else 0.0)


@settings(deadline=None, max_examples=300)
@given(st.lists(numbers, min_size=1, max_size=30))
def test_total_of_any_numbers_is_the_scalar_port(leaf_sums):
    expected = scalar_port.total(scalar_port.accumulate(leaf_sums))
    found = total(leaf_sums)
    assert (found.hex(), found) == (expected.hex(), expected) or found == expected == 0


@settings(deadline=None, max_examples=300)
@given(st.lists(numbers, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_any_cut_merged_in_any_order_is_the_same(leaf_sums, random):
    sums = np.asarray(leaf_sums).reshape((-1, 1, 1))
    whole = accumulated(sums)
    cuts = sorted(random.sample(range(1, len(leaf_sums)), random.randint(0, len(leaf_sums) - 1)))
    bounds = itertools.pairwise([0, *cuts, len(leaf_sums)])
    parts = [accumulated(sums[a:b]) for a, b in bounds]
    while len(parts) > 1:
        random.shuffle(parts)
        a, b = parts.pop(), parts.pop()
        parts.append(exact_sum.merge(a, b, xp=np))
    assert [np.asarray(x).tolist() for x in parts[0]] == [x.tolist() for x in whole]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.0**1023 * (1 + 2.0**-52), LARGEST])
def test_what_cannot_be_summed_stays_nan(bad):
    good = np.ones((3, 1, 1))
    with np.errstate(all="ignore"):
        broken = accumulated(np.asarray([1.0, bad]).reshape((2, 1, 1)))
        for pair in ((broken, accumulated(good)), (accumulated(good), broken)):
            merged = exact_sum.merge(*pair, xp=np)
            assert np.isnan(exact_sum.total(merged, xp=np, grid=GRID)).all()


def test_many_leaves_do_not_overflow_a_digit():
    """2^31 leaves of the largest digit, reached by doubling."""
    sum_ = accumulated(np.full((1, 1, 1), 2.0**31))
    for _ in range(31):
        sum_ = exact_sum.merge(sum_, sum_, xp=np)
    assert exact_sum.total(sum_, xp=np, grid=GRID).tolist() == [[2.0**62]]


@pytest.mark.parametrize("rows", [1, 3, 63, 64, 65, 128, 200])
def test_leaf_sums_are_ordered_sums_of_64_rows(backend, rows):
    generator = np.random.RandomState(rows)
    inputs, delta = generator.random_sample((rows, 2)) - 0.5, generator.random_sample((rows, 3))
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=True)
    with backend.context():
        function = backend.compile(arithmetic.sum_over_examples)
        sum_ = function(backend.from_host(inputs), backend.from_host(delta))
        found = backend.to_host(arithmetic.total(sum_))
    for i, j in itertools.product(range(2), range(3)):
        terms = (inputs[:, i] * delta[:, j]).tolist()
        assert found[i, j] == scalar_port.sum_over_examples(terms)


@pytest.mark.parametrize("no_tiny_inputs", [False, True])
def test_subnormal_products_break_no_tie(backend, no_tiny_inputs):
    """Each number is half an ulp of the one before; a subnormal product would tip both ties.

    Compilers that replace subnormals by 0 would then give other bits than those that do not.
    That the data hold no tiny inputs says nothing of a hidden layer's inputs, which these may be.
    """
    inputs = np.zeros((8, 1))
    inputs[[0, 1, 3, 7], 0] = 2.0**-863, 2.0**-916, 2.0**-969, 1.5 * 2.0**-1022
    a, b, c, d = (inputs[[0, 1, 3, 7], 0] * 0.5).tolist()
    assert 0 < d < 2.0**-1022
    assert a + (b + (c + d)) > a + (b + c) == a
    delta = np.full((8, 1), 0.5)
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=no_tiny_inputs)
    with backend.context():
        function = backend.compile(arithmetic.sum_over_examples)
        sum_ = function(backend.from_host(inputs), backend.from_host(delta))
        found = float(backend.to_host(arithmetic.total(sum_))[0, 0])
    assert found.hex() == (2.0**-864).hex()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, LARGEST])
def test_one_bad_example_among_many_leaves_is_never_lost(backend, bad):
    """Whatever a library's max or search makes of NaN: training must see it."""
    inputs, delta = np.ones((300, 2)), np.full((300, 1), 0.5)
    inputs[130, 1] = bad
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=False)
    with backend.context():
        function = backend.compile(arithmetic.sum_over_examples)
        delta[130] = 1.0
        sum_ = function(backend.from_host(inputs), backend.from_host(delta))
        found = backend.to_host(arithmetic.total(sum_))
    assert found[0, 0] == 150.5
    assert np.isnan(found[1, 0])
