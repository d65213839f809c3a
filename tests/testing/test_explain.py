"""Explanations of faults that are planted in libraries: each is to be found, and named rightly."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from planted_faults import exp_one_ulp_off, facts_of, learn, plant

import neuron_xp
from neuron_xp.backends.backend import map_arrays
from neuron_xp.backends.libraries import open_backend
from neuron_xp.random_start import draw_start
from neuron_xp.testing.explaining.explain import explain, explain_function
from neuron_xp.testing.explaining.trying import ways

LIBRARIES = ["numpy", "torch", "jax", "array_api_strict"]


@pytest.fixture(params=LIBRARIES)
def library(request):
    """A backend of each library that is installed."""
    pytest.importorskip(request.param)
    return open_backend(request.param)


def add_backwards(operation, x):
    total = np.zeros(x.shape[1])
    for row in x[::-1]:
        total = total + row
    return total


def multiply_in_float32(operation, x, y):
    if np.asarray(x).dtype != np.float64:
        return None
    return (np.asarray(x, "float32") * np.asarray(y, "float32")).astype("float64")


def flush_products(operation, x, y):
    product = np.asarray(x * y)
    return np.where(abs(product) < 2.0**-1022, 0.0, product)


def round_once(operation, x, y):
    """Compute x + y, one of which is a product that is not rounded, in exact fractions."""
    if not operation.products:
        return None
    number, factors = next(iter(operation.products.items()))
    a, b, c = np.broadcast_arrays(*factors, (x, y)[1 - number])
    exact = [
        float(Fraction(float(p)) * Fraction(float(q)) + Fraction(float(r)))
        for p, q, r in zip(a.ravel(), b.ravel(), c.ravel(), strict=True)
    ]
    return np.reshape(exact, a.shape)


def divide_by_reciprocal(operation, x, y):
    return x * (1.0 / y)


def divide_by_newton(operation, x, y):
    r = (1 / y.astype("float32")).astype("float64")
    r = r + r * (1.0 - y * r)
    return x * r


def test_another_order_is_named(library):
    found = learn(library, plant(library, sum=add_backwards))
    assert facts_of(found) == ("column_sums", "sum", ways.ORDER)
    assert found.parting.cause.words[1] == (
        f"the second {library.name} adds from the last to the first"
    )
    assert found.parting.when == "iteration 1"


def test_a_fused_multiply_add_is_named(library):
    found = learn(library, plant(library, add=round_once), learning_rate=0.1)
    assert facts_of(found) == ("move", "add", ways.FUSED)
    assert "old + arithmetic.multiply" in found.parting.line.text


def test_another_exp_is_named(library):
    found = learn(library, plant(library, exp=exp_one_ulp_off), hidden=(3,))
    assert facts_of(found) == ("exp", "exp", ways.OWN)
    assert (found.parting.layer, found.parting.ulp) == (" of layer 1", 1)


def test_a_reciprocal_is_named(library):
    def normalize(xp, x):
        return x / xp.sum(x, axis=1, keepdims=True)

    (x,) = draw_start([(50, 3)], seed=1)
    # against NumPy: XLA divides by a column so by itself
    found = explain_function(normalize, "numpy", plant(library, divide=divide_by_reciprocal), x**2)
    assert facts_of(found) == ("normalize", "divide", ways.RECIPROCAL)
    assert "a * (1 / b)" in found.parting.cause.words[1]


def test_a_reciprocal_by_newton_is_named(library):
    found = learn(library, plant(library, divide=divide_by_newton))
    assert facts_of(found) == ("sigmoid", "divide", ways.RECIPROCAL)
    assert "after 1 of Newton's steps" in found.parting.cause.words[1]


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])  # XLA flushes itself
def test_flushed_subnormals_are_named(library):
    pytest.importorskip(library)
    backend = open_backend(library)
    rates = {"scale": 2.0**-500, "learning_rate": 2.0**-530, "bias": False}
    found = learn(backend, plant(backend, multiply=flush_products), **rates)
    assert facts_of(found) == ("multiply", "multiply", ways.FLUSHED)
    assert "takes subnormal results for 0" in found.parting.cause.words[1]


def test_subnormals_that_xla_flushes_are_named():
    pytest.importorskip("jax")
    inputs, targets = draw_start([(70, 5), (70, 2)], seed=3)
    found = explain(
        "numpy", "jax", inputs * 2.0**-500, abs(targets),
        arithmetic="native", learning_rate=2.0**-530, iterations=1,
    )  # fmt: skip
    assert facts_of(found) == ("multiply", "multiply", ways.FLUSHED)
    assert found.parting.cause.words == (
        "numpy gives what IEEE 754 asks for", "jax takes subnormal results for 0",
    )  # fmt: skip


def test_float32_in_between_is_named(library):
    found = learn(library, plant(library, multiply=multiply_in_float32))
    assert facts_of(found) == ("multiply", "multiply", ways.SINGLE)
    assert "float32" in found.parting.cause.words[1]


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"multiply": multiply_in_float32}, ("weighted_sum", "multiply", ways.SINGLE)),
        ({"add": round_once}, ("exp", "add", ways.FUSED)),
        ({"divide": divide_by_newton}, ("sigmoid", "divide", ways.RECIPROCAL)),
    ],
    ids=["float32", "fused", "reciprocal"],
)
def test_a_library_that_is_refused_can_be_explained(library, faults, expected):
    pytest.importorskip(library)
    backend = plant(open_backend(library), **faults)
    with pytest.raises(neuron_xp.UnusableBackendError, match="cannot be reproducible"):
        neuron_xp.train(backend=backend)
    found = learn(library, backend, arithmetic="reproducible")
    assert facts_of(found) == expected


# --- real libraries ------------------------------------------------------------------------


def test_reproducible_runs_do_not_part(library):
    settings = {} if library.name == "jax" else {"hidden": (3,), "standardize": True}
    found = learn("numpy", library, arithmetic="reproducible", iterations=3, **settings)
    assert not found.parts
    assert found.parting is None
    assert found.compared.iterations == 3
    assert found.compared.operations > 100
    assert f"numpy and {library.name} do not part" in str(found).replace("the first ", "").replace(
        "the second ", ""
    )


def test_what_torch_does_otherwise_than_numpy_is_found_on_real_data():
    pytest.importorskip("torch")
    load = pytest.importorskip("sklearn.datasets").load_breast_cancer
    inputs, targets = load(return_X_y=True)
    settings = {"arithmetic": "native", "learning_rate": "auto", "standardize": True}
    found = explain("numpy", "torch", inputs, targets, **settings)
    parting = found.parting
    assert (parting.function, parting.operation) == ("column_sums", "sum")
    assert parting.cause.name == ways.ORDER
    assert parting.cause.words[0].startswith("numpy adds ")
    assert parting.cause.words[1].startswith("torch adds ")
    assert not any("of these ways" in words for words in parting.cause.words)


def test_a_compiler_that_changes_bits_is_told_from_the_operations():
    """XLA's own last bits, one operation at a time, are no other than those of its compiler."""
    pytest.importorskip("jax")
    backend = open_backend("jax")
    found = learn(backend, dataclasses.replace(backend, name="other"), hidden=(4,), iterations=3)
    assert not found.parts

    def spoil(step):
        return lambda count, weights, *data: map_arrays(
            lambda x: x * 1.5, backend.loop(step)(count, weights, *data)
        )

    spoilt = dataclasses.replace(backend, loop=spoil, name="spoilt")
    found = learn(backend, spoilt, hidden=(4,), iterations=3)
    assert found.parts
    assert found.parting is None
    assert "spoilt ends on other bits where train compiles" in found.notes[-1]
    assert str(found).startswith("jax and spoilt part")
