"""Trust in a library: what it must show before it trains reproducibly."""

from functools import lru_cache, partial

import numpy as np

from neuron_xp.backends.backend import Backend, Engine, compile_engine
from neuron_xp.backends.probe.findings import (
    Finding,
    check_guarantees,
    examine_guarantees,
    fail,
)
from neuron_xp.backends.probe.guarantees import broken_error, check_float64, make_reproducible
from neuron_xp.backends.probe.rehearsal import (
    FOR_ARRAYS,
    FOR_COMPILERS,
    Scene,
    find_wrong_scene,
    rehearse,
)
from neuron_xp.backends.probe.rounding import check_rounding
from neuron_xp.errors import UnusableBackendError, one_line
from neuron_xp.neuron.arithmetic import Arithmetic, native_arithmetic
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Method


@lru_cache(maxsize=64)
def check_backend(backend: Backend) -> None:
    """Raise `UnusableBackendError` unless the backend gives the defined bits.

    It shows its guarantees, so that what it gets wrong can be named, and then trains. The error
    says so, too, where this thread does not round as it must.
    """
    check_rounding()
    with np.errstate(all="ignore"):  # a namespace of one's own may have no context for it
        _check_bits(backend)


def _check_bits(backend: Backend) -> None:
    check_guarantees(backend)
    try:
        scenes = _choose_scenes(backend)
        wrong = find_wrong_scene(scenes, backend, partial(_compile_arrays, backend))
    except Exception as error:  # each library has its own
        raise broken_error(backend, f"fails in its probe ({one_line(error)})") from error
    if wrong is not None:
        raise broken_error(backend, f"trains a small network ({wrong.rule}) to other bits")


def _choose_scenes(backend: Backend) -> tuple[Scene, ...]:
    return FOR_COMPILERS if backend.compiled else FOR_ARRAYS


def examine_backend(backend: Backend) -> list[Finding]:
    """Return a finding for everything that `check_backend` looks at.

    Without float64, or where the thread rounds otherwise, there is nothing more to look at.
    """
    findings = list[Finding]()
    for name, check in (
        ("the thread rounds to nearest, and keeps numbers below 2^-1022", check_rounding),
        ("has float64", partial(check_float64, backend)),
    ):
        try:
            check()
        except UnusableBackendError as error:
            return [*findings, fail(name, one_line(error.__cause__ or error))]
        findings.append(Finding(name=name, holds=True))
    with np.errstate(all="ignore"):
        findings += examine_guarantees(backend)
        return findings + [_examine_scene(scene, backend) for scene in _choose_scenes(backend)]


def _examine_scene(scene: Scene, backend: Backend) -> Finding:
    name = f"trains a small network ({scene.rule}) to the defined bits"
    try:
        given = rehearse(scene, backend, partial(_compile_arrays, backend))
    except Exception as error:  # each library has its own
        return fail(name, one_line(error))
    if given == scene.bits:
        return Finding(name=name, holds=True)
    formula = "SHA-256 of its weights and losses"
    return Finding(name=name, holds=False, formula=formula, expected=scene.bits, given=given)


def _compile_arrays(backend: Backend, rule: str, no_tiny_inputs: bool) -> Engine:
    arithmetic = make_reproducible(backend, no_tiny_inputs=no_tiny_inputs)
    return compile_engine(backend, Method(arithmetic, RULES[rule], 2 * LEAF))


@lru_cache(maxsize=64)
def choose_arithmetic(backend: Backend, name: str, *, no_tiny_inputs: bool) -> Arithmetic:
    """Return the arithmetic of that name on the backend; check a reproducible one first."""
    if name == "native":
        return native_arithmetic(backend.xp)
    check_backend(backend)
    with backend.context():
        return make_reproducible(backend, no_tiny_inputs=no_tiny_inputs)
