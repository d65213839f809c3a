"""The softmax and its loss against mpmath and fractions, within the bounds of the specification."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scalar_functions

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron.activations import softmax
from neuron_xp.neuron.losses import RULES

NUMPY = choose_arithmetic(open_backend("numpy"), "reproducible", no_tiny_inputs=False)
LOSS = RULES["softmax_cross_entropy"].loss
U = Fraction(1, 2**53)


def logits(seed, rows, classes, size):
    return size * (2 * np.random.RandomState(seed).random_sample((rows, classes)) - 1)


def hard_rows():
    """Rows of four: ties, far apart, one ulp apart, tiny, huge; then what is not finite."""
    inf, nan, tiny = np.inf, np.nan, 2.0**-1012
    return np.asarray([
        [0, 0, 0, 0], [700, 700, -700, -700], [-700, -700, -700, -699], [1, 1 + 2**-52, 1, 1],
        [0, -665.4, -665.5, -664], [tiny, 0, -tiny, 0], [2.0**1022, -(2.0**1022), 0, 1],
        [40, 0, 0, 0], [-0.0, 0.0, -37, -38], [1e-17, 1, 2, 3],
        [2.0**1023, -(2.0**1023), 0, 1], [nan, 0, 1, 2], [0, 1, 2, nan], [inf, 0, 1, 2],
        [inf, inf, 0, nan], [-inf, 0, 1, 2], [-inf, -inf, -inf, -inf],
    ])  # fmt: skip


def count_roundings(classes):
    return math.ceil(classes / 32) + 6


@pytest.mark.parametrize("classes", [2, 3, 10, 31, 32, 33, 64, 65, 100, 333, 999, 1000])
@pytest.mark.parametrize("size", [1e-9, 1, 30, 700])
def test_rows_sum_to_1(classes, size):
    n = count_roundings(classes)
    bound = n * U / (1 - n * U) + classes * Fraction(1, 2**960)
    assert bound < 39 * U
    outputs = softmax(logits(classes, 20, classes, size), arithmetic=NUMPY)
    for row in outputs.tolist():
        assert abs(sum(map(Fraction, row)) - 1) <= bound


@pytest.mark.parametrize("classes", [2, 4, 30, 300])
@pytest.mark.parametrize("size", [1e-9, 1, 30, 700])
def test_outputs_are_within_their_bound_of_mpmath(classes, size):
    z = logits(classes + 1, 8, classes, size)
    if classes == 4:
        z = np.concatenate([z, hard_rows()[:10]])
    outputs = softmax(z, arithmetic=NUMPY)
    roundings = math.log(classes) + count_roundings(classes) + 3
    with mpmath.workprec(300):
        for row, found in zip(z.tolist(), outputs.tolist(), strict=True):
            below = [mpmath.mpf(x) - max(row) for x in row]
            total = sum(map(mpmath.exp, below))
            for b, output in zip(below, found, strict=True):
                exact = mpmath.exp(b) / total
                bound = (abs(b) + roundings) * 2.0**-53 * exact
                if output == 0:
                    assert exact < 2.0**-960 + bound
                else:
                    assert abs(output - exact) <= bound


def test_losses_are_within_their_bound_of_mpmath():
    generator = np.random.RandomState(3)
    z = np.concatenate([logits(i, 100, 4, size) for i, size in enumerate([1e-9, 1, 30, 700])])
    z = np.concatenate([z, hard_rows()[:6], hard_rows()[7:10]])
    targets = generator.random_sample(z.shape) * 2.0 ** -generator.randint(0, 3, z.shape)
    targets[::3, 0] = 0.0
    losses = LOSS(z, None, targets, arithmetic=NUMPY)
    rows = zip(z.tolist(), targets.tolist(), losses.tolist(), strict=True)
    with mpmath.workprec(2100):  # so that e^-1400 counts beside 1
        for row, target, found in rows:
            below = [mpmath.mpf(x) - max(row) for x in row]
            total = mpmath.log(sum(map(mpmath.exp, below)))
            for t, b, loss in zip(target, below, found, strict=True):
                assert abs(loss - t * (total - b)) <= t * (3 * abs(b) + 74) * 2.0**-53


def test_one_target_that_is_certain_costs_nothing():
    z = np.asarray([[800.0, 0.0], [0.0, 800.0]])
    losses = LOSS(z, None, np.asarray([[1.0, 0.0], [1.0, 0.0]]), arithmetic=NUMPY)
    assert losses.tolist() == [[0.0, 0.0], [800.0, 0.0]]


def test_softmax_and_its_loss_are_the_scalar_ports():
    with np.errstate(all="ignore"):
        for z in (hard_rows(), logits(5, 5, 77, 5.0), logits(6, 2, 1000, 700.0)):
            targets = np.random.RandomState(7).random_sample(z.shape)
            losses = LOSS(z, None, targets, arithmetic=NUMPY)
            pairs = zip(z.tolist(), targets.tolist(), strict=True)
            np.testing.assert_array_equal(
                softmax(z, arithmetic=NUMPY), list(map(scalar_functions.softmax, z.tolist()))
            )
            np.testing.assert_array_equal(
                losses, [scalar_functions.softmax_loss(*pair) for pair in pairs]
            )


def test_softmax_and_its_loss_have_the_same_bits_everywhere(backend):
    arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=False)

    def both(z, targets):
        loss = LOSS(z, None, targets, arithmetic=arithmetic)
        return softmax(z, arithmetic=arithmetic), loss

    compiled = backend.compile(both)
    for z in (hard_rows(), logits(8, 50, 33, 30.0), logits(9, 3, 1000, 700.0)):
        targets = np.random.RandomState(7).random_sample(z.shape)
        with backend.context():
            found = compiled(*map(backend.from_host, (z, targets)))
            found = [backend.to_host(x) for x in found]
        with np.errstate(all="ignore"):
            expected = softmax(z, arithmetic=NUMPY), LOSS(z, None, targets, arithmetic=NUMPY)
        for x, y in zip(found, expected, strict=True):
            assert without_nan(x) == without_nan(y)


def without_nan(x):
    """The bytes, with one NaN and one zero in place of all: their bits carry no meaning."""
    return (np.where(np.isnan(x), np.nan, x) + 0.0).tobytes()
