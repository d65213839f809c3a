"""exp, sigmoid and ordered sums against mpmath, fractions and a scalar port."""

import csv
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scalar_functions
import scalar_port

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron.activations import sigmoid, sigmoid_gradient
from neuron_xp.neuron.reproducible import elementary

NUMPY = choose_arithmetic(open_backend("numpy"), "reproducible", no_tiny_inputs=False)
HARD_CASES = Path(__file__).parent.parent / "data" / "exp_hard_cases.csv"


def hard_cases():
    """(x, e^x rounded to nearest) for x <= 0 with a normal result."""
    lines = (line for line in HARD_CASES.read_text().splitlines() if not line.startswith("#"))
    pairs = [(float.fromhex(row["x_hex"]), float.fromhex(row["exp_rn_hex"]))
             for row in csv.DictReader(lines)]  # fmt: skip
    return [(x, y) for x, y in pairs if x <= 0 and y >= 2.0**-1022]


def random_inputs(count):
    generator = np.random.RandomState(5)
    spread = -generator.random_sample(count) * 700
    near = -generator.random_sample(count) * 2.0 ** generator.randint(-60, 6, count)
    # the worst found in 30 million
    worst = [float.fromhex(x) for x in ("-0x1.5e4f8226e9027p+5", "-0x1.940c03e4ec5dbp-1")]
    return np.concatenate([spread, near, [-0.0, 0.0, -5e-324, -700.0], worst])


def errors_in_ulp(computed, exact):
    """|computed - exact| in units of the last place of the exact value."""
    return [
        float(abs(mpmath.mpf(float(c)) - e) / mpmath.mpf(float(np.spacing(float(e)))))
        for c, e in zip(computed, exact, strict=True)
    ]


def test_exp_is_within_1_ulp_of_mpmath():
    x = random_inputs(20_000)
    with mpmath.workprec(200):
        exact = [mpmath.exp(mpmath.mpf(float(value))) for value in x]
        assert max(errors_in_ulp(NUMPY.exp(x), exact)) < 0.504


def test_exp_on_hard_cases():
    """Where exp lies as near as can be to the middle of two floats, or to a float."""
    cases = [(x, y) for x, y in hard_cases() if x >= elementary.SMALLEST_EXPONENT]
    assert len(cases) > 900
    x, rounded = np.asarray(cases).T
    computed = NUMPY.exp(x)
    assert np.max(np.abs(computed - rounded) / np.spacing(rounded)) <= 1
    with mpmath.workprec(400):
        exact = [mpmath.exp(mpmath.mpf(float(value))) for value in x]
        assert max(errors_in_ulp(computed, exact)) < 0.504


def test_exp_ends_at_minus_700():
    low = NUMPY.exp(np.asarray([-700.0, -700.1, -1e300, -np.inf]))
    assert set(low.tolist()) == {low[0]}
    assert low[0] == pytest.approx(9.8596765437597708e-305, rel=1e-15)


def test_exp_has_the_same_bits_everywhere(backend):
    x = np.concatenate([random_inputs(5000), [value for value, _ in hard_cases()]])
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=False)
    with backend.context():
        found = backend.to_host(backend.compile(arithmetic.exp)(backend.from_host(x)))
    assert found.tobytes() == NUMPY.exp(x).tobytes()


def test_exp_is_the_scalar_port():
    x = random_inputs(300)
    assert NUMPY.exp(x).tolist() == [scalar_functions.exp(float(value)) for value in x]


def test_sigmoid_is_within_3_ulp_of_mpmath():
    worst = [float.fromhex(x) for x in ("-0x1.098308a14025bp+2", "-0x1.5fde7c2cff275p+1")]
    x = np.concatenate([random_inputs(10_000), -random_inputs(10_000), worst])
    with mpmath.workprec(1200):
        exact = [1 / (1 + mpmath.exp(-mpmath.mpf(float(value)))) for value in x]
        assert max(errors_in_ulp(sigmoid(x, arithmetic=NUMPY), exact)) < 3


def test_sigmoid_keeps_nan_and_saturates():
    x = np.asarray([np.nan, np.inf, -np.inf, 0.0, -0.0])
    with np.errstate(invalid="ignore"):
        y = sigmoid(x, arithmetic=NUMPY)
    assert np.isnan(y[0])
    assert y[1:].tolist() == [1.0, scalar_functions.exp(-700.0), 0.5, 0.5]  # fmt: skip


def test_sigmoid_gradient_is_the_slope_of_the_sigmoid():
    x = np.linspace(-30, 30, 201)
    with mpmath.workdps(40):
        slope = [mpmath.diff(lambda t: 1 / (1 + mpmath.exp(-t)), float(value)) for value in x]
    output = sigmoid(x, arithmetic=NUMPY)
    gradient = sigmoid_gradient(output, arithmetic=NUMPY)
    # 1 - output is off by half an ulp of 1, which counts when the output is near 1
    np.testing.assert_allclose(gradient, [float(s) for s in slope], rtol=1e-14, atol=2.0**-51)


@pytest.mark.parametrize(
    "count", [1, 2, 3, 5, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1000, 1024, 1025, 2048, 5000]
)
def test_ordered_sum_is_the_scalar_port(backend, count):
    terms = np.random.RandomState(count).random_sample((2, count, 1)) - 0.5
    with backend.context():
        compiled = backend.compile(lambda x: elementary.ordered_sum(x, xp=backend.xp))
        found = backend.to_host(compiled(backend.from_host(terms)))
    assert found[:, 0].tolist() == [scalar_port.ordered_sum(row[:, 0].tolist()) for row in terms]


def test_products_are_rounded_on_their_own(backend):
    generator = np.random.RandomState(9)
    a, b, c = generator.random_sample((3, 4096)) - 0.5
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=True)
    with backend.context():
        function = backend.compile(lambda a, b, c: arithmetic.multiply(a, b) + c)
        found = backend.to_host(function(*map(backend.from_host, (a, b, c))))
    assert found.tobytes() == (a * b + c).tobytes()


@pytest.mark.parametrize("x", [0.0, 2.0**-900, -(2.0**-900), 2.0**-899, 1.0, 1e300])
def test_flush_keeps_what_is_large_enough(x):
    assert NUMPY.flush(np.asarray([x])).tolist() == [x]


@pytest.mark.parametrize("x", [2.0**-901, -(2.0**-901), 5e-324, -0.0])
def test_flush_makes_small_ones_zero(x):
    assert NUMPY.flush(np.asarray([x])).tolist() == [0.0]


def exact_dot(a, b):
    return sum((Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)), Fraction(0))


def magnitudes(generator, shape, lowest, highest):
    return np.ldexp(generator.random_sample(shape) - 0.5, generator.randint(lowest, highest, shape))


@pytest.mark.parametrize("features", [1, 3, 20, 100, 1000, 1500])
@pytest.mark.parametrize("span", [(0, 1), (-498, 499), (-1021, -900)])
def test_weighted_sum_is_no_worse_than_numpys_bound(features, span):
    """|error| <= n u / (1 - n u) sum |x w| + n 2^-960, with u = 2^-53 (Higham, section 3.1)."""
    generator = np.random.RandomState(features)
    inputs = magnitudes(generator, (5, features), *span)
    weights = generator.random_sample((features, 1)) - 0.5
    found = NUMPY.weighted_sum(inputs, weights)[:, 0]
    u = Fraction(1, 2**53)
    for row, value in zip(inputs, found, strict=True):
        bound = features * u / (1 - features * u) * exact_dot(abs(row), abs(weights[:, 0]))
        allowed = bound + features * Fraction(1, 2**960)
        assert abs(Fraction(float(value)) - exact_dot(row, weights[:, 0])) <= allowed


def on_backend(backend, name, x):
    """The function of that name of the backend's reproducible arithmetic, compiled."""
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=False)
    with backend.context():
        return backend.to_host(backend.compile(getattr(arithmetic, name))(backend.from_host(x)))


def test_log1p_is_within_1_05_ulp_of_mpmath(backend):
    generator = np.random.RandomState(6)
    near_0 = generator.random_sample(3000) * 2.0 ** -generator.randint(0, 1000, 3000)
    above_knot = 2.0**-8 * (1 + generator.random_sample(3000) * 2.0**-8)
    # the worst found in 70 million there
    worst = [float.fromhex(x) for x in ("0x1.0001be1fa2f63p-8", "0x1.0000003da875bp-8")]
    x = np.concatenate(
        [generator.random_sample(10_000), near_0, above_knot, worst, [0.0, 0.5, 1.0]]
    )
    found = on_backend(backend, "log1p", x)
    assert found.tobytes() == NUMPY.log1p(x).tobytes()
    if backend.name == "numpy":
        with mpmath.workprec(200):
            exact = [mpmath.log1p(mpmath.mpf(float(value))) for value in x]
            assert 1.04 < max(errors_in_ulp(found, exact)) < 1.05


def test_log_is_within_1_05_ulp_of_mpmath(backend):
    generator = np.random.RandomState(7)
    powers = 2.0 ** np.arange(16)
    near_1 = 1 + generator.random_sample(3000) * 2.0 ** -generator.randint(0, 52, 3000)
    # the worst found in 240 million: by each power, near it, and just above 1 + 1/256
    worst = [float.fromhex(x) for x in ("0x1.010000a86ae09p+0", "0x1.01005be1191e7p+0")]
    ends = [powers, np.nextafter(powers[1:], 0), np.nextafter(powers, np.inf), [65536 - 2.0**-37]]
    x = np.concatenate([2.0 ** (16 * generator.random_sample(10_000)), near_1, worst, *ends])
    found = on_backend(backend, "log", x)
    assert found.tobytes() == NUMPY.log(x).tobytes()
    if backend.name == "numpy":
        with mpmath.workprec(200):
            exact = [mpmath.log(mpmath.mpf(float(value))) for value in x]
            assert 1.03 < max(errors_in_ulp(found, exact)) < 1.05


def test_log_is_the_scalar_port():
    x = 2.0 ** (16 * np.random.RandomState(8).random_sample(300))
    assert NUMPY.log(x).tolist() == [scalar_functions.log(float(value)) for value in x]
    assert NUMPY.log(np.asarray([np.nan, 1.0])).tolist() == [0.0, 0.0]
