"""Orders of sums, and roundings, that explanations try: each is what it says."""

from fractions import Fraction

import numpy as np
import pytest

from neuron_xp.backends.libraries import open_backend
from neuron_xp.random_start import draw_start
from neuron_xp.testing.explaining.explain import explain_function
from neuron_xp.testing.explaining.trying import ways
from neuron_xp.testing.explaining.trying.revealing import add_in_order, reveal_order, spell_order
from neuron_xp.testing.explaining.trying.rounding import fuse, round_correctly
from neuron_xp.testing.explaining.trying.sums import Terms, list_orders
from neuron_xp.testing.explaining.watching import watch


def test_fused_multiply_adds_are_rounded_once():
    a, b, c = draw_start([(2000,)] * 3, seed=5)
    c[::2] = -(a * b)[::2]  # what is left is the product's error
    c[::5] *= 2.0**-60
    exact = [
        float(Fraction(x) * Fraction(y) + Fraction(z))
        for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]
    assert fuse(a, b, c).tolist() == exact
    assert (a * b + c).tolist() != exact


def test_fused_multiply_adds_of_float32_are_rounded_once():
    a, b, c = (x.astype("float32") for x in draw_start([(2000,)] * 3, seed=5))
    c[::2] = -(a * b)[::2]
    fused = fuse(a, b, c)
    assert fused.dtype == np.float32
    for x, y, z, found in zip(*(v.tolist() for v in (a, b, c, fused)), strict=True):
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        ulp = Fraction(float(np.spacing(np.float32(found))))
        assert abs(exact - Fraction(found)) <= abs(ulp) / 2


@pytest.mark.parametrize("name", ["exp", "log1p", "sqrt", "expm1", "log"])
def test_functions_are_rounded_correctly(name):
    (x,) = draw_start([(200,)], seed=2)
    x = abs(x)
    known = getattr(np, name)(x.astype("longdouble")).astype("float64")
    found = round_correctly(name, x)
    assert (abs(found - known) <= np.spacing(abs(known))).all()
    with np.errstate(all="ignore"):
        odd = np.asarray([0.0, np.inf, np.nan])
        assert np.array_equal(round_correctly(name, odd), getattr(np, name)(odd), equal_nan=True)
    assert round_correctly("exp", np.asarray([1.0, -800.0, 800.0])).tolist() == [
        2.718281828459045, 0.0, np.inf,
    ]  # fmt: skip


def test_orders_add_the_same_terms():
    x, y = draw_start([(37, 3), (37, 3)], seed=4)
    exact = [float(sum(Fraction(p) * Fraction(q) for p, q in zip(*c, strict=True)))
             for c in zip(x.T.tolist(), y.T.tolist(), strict=True)]  # fmt: skip
    orders = list(list_orders(Terms(x, y)))
    assert len(orders) > 100
    sums = np.asarray([order.add() for order in orders])
    assert abs(sums - exact).max() < 1e-13
    assert len(np.unique(sums, axis=0)) > 50  # each is another


@pytest.mark.parametrize(
    ("tree", "spelled"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "0+1+...+7"),
        ([0, [1, [2, [3, [4, [5, [6, 7]]]]]]], "0+(1+(2+(3+(4+(5+(6+7))))))"),
        ([0, 2, 4, 6, [1, 3, 5, 7]], "0+2+...+6+(1+3+...+7)"),
        ([0, 1, [2, 3], [4, 5, [6, 7]]], "0+1+(2+3)+(4+5+(6+7))"),
    ],
)
def test_an_order_is_revealed(tree, spelled):
    def add(values):
        return float(add_in_order(tree, Terms(values[:, None]), fused=False)[0])

    assert reveal_order(add, 8) == tree
    assert spell_order(tree) == spelled


def test_no_order_is_revealed_where_there_is_none():
    assert reveal_order(lambda values: float(sum(map(Fraction, values.tolist()))), 8) is None
    assert reveal_order(lambda values: 0.5, 8) is None
    assert reveal_order(lambda values: 0.0, 100_000) is None


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_an_order_that_nobody_would_guess_is_shown(library):
    pytest.importorskip(library)
    backend = open_backend(library)
    order = [0, 3, [1, 2, [4, 6]], 5]

    def intercept(operation):
        if operation.name != "sum":
            return operation.run()
        x = np.array(backend.to_host(operation.arguments[0]))
        return backend.from_host(add_in_order(order, Terms(x.T), fused=False)[:, None])

    (x,) = draw_start([(60, 7)], seed=6)
    found = explain_function(
        lambda xp, x: xp.sum(x, axis=1, keepdims=True), "numpy", watch(backend, intercept), x
    )
    assert found.parting.cause.name == ways.ORDER
    assert found.parting.cause.words[1].endswith("adds its terms as 0+3+(1+2+(4+6))+5")
