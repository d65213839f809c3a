"""The probe refuses libraries that break a guarantee, and names it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from faulty_libraries import WRONG, broken_by

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.findings import check_guarantees
from neuron_xp.backends.probe.guarantees import GUARANTEES, draw_samples
from neuron_xp.backends.probe.trust import check_backend

NUMPY = open_backend("numpy")


def altered(**functions):
    """NumPy with some of its functions replaced."""
    xp = SimpleNamespace(**{**vars(NUMPY.xp), **functions})
    return dataclasses.replace(NUMPY, name="altered", xp=xp)


def test_every_backend_here_passes(backend):
    check_backend.__wrapped__(backend)


@pytest.mark.parametrize("guarantee", [g.name for g in GUARANTEES])
def test_each_broken_guarantee_is_named(guarantee):
    backend = broken_by(guarantee, WRONG[guarantee])
    with pytest.raises(neuron_xp.UnusableBackendError) as raised:
        neuron_xp.train(backend=backend)
    assert f"altered on cpu does not keep the rule: {guarantee}, so it" in str(raised.value)


def test_a_square_root_of_ones_own_is_not_trusted_but_shown():
    """An ulp too high at times, as PyTorch's is; where it is not said to be right, ours is used."""

    def sqrt(x):
        return np.where(x > 3, np.nextafter(np.sqrt(x), 9), np.sqrt(x))

    careless = altered(sqrt=sqrt)
    assert careless.rounds_sqrt
    with pytest.raises(neuron_xp.UnusableBackendError, match="rule: square roots are correctly"):
        check_guarantees(careless)
    check_guarantees(dataclasses.replace(careless, rounds_sqrt=False))


def test_the_samples_tell_fused_from_rounded():
    """x y + z is 0 when rounded twice; the exact product's rest is not."""
    from fractions import Fraction

    rests = [Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in draw_samples(1000)]
    assert all(x * y + z == 0 for x, y, z in draw_samples(1000))
    assert sum(rest != 0 for rest in rests) > 990
    assert all(1 <= v < 2 for x, y, _ in draw_samples(1000) for v in (x, y))


def test_a_compiler_that_fuses_is_refused():
    """XLA, told that it sees plain array operations: without the fence it fuses."""
    jax = pytest.importorskip("jax", reason="needs a compiler that fuses")
    backend = open_backend("jax", "cpu:0")
    assert jax.__version__ == backend.version
    careless = dataclasses.replace(backend, compiled=False)
    with pytest.raises(neuron_xp.UnusableBackendError, match="no fused multiply-add"):
        check_guarantees(careless)


def test_a_library_that_fails_in_the_probe_is_refused():
    def round_(x):
        raise NotImplementedError("no round here")

    with pytest.raises(neuron_xp.UnusableBackendError, match=r"its probe \(no round here\)"):
        neuron_xp.train(backend=altered(round=round_))


def test_native_needs_no_probe():
    guarantee = GUARANTEES[1].name
    backend = broken_by(guarantee, WRONG[guarantee])
    assert neuron_xp.train(backend=backend, arithmetic="native", iterations=1)
