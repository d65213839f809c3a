"""The CUDA kernels as NVRTC compiles them for devices: their PTX, run on the host's processor.

What the assembler of a driver, and a device, make of the PTX is not seen here.
"""

from dataclasses import replace

import pytest
from cuda_cases import CASES, by_kernels, definition
from cuda_host import WAYS, assert_same, same_bits
from ptx_host import HOPPER, LAUNCHES, need_nvrtc, ptx_kernels

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.backends.engine import has_right_kernels, name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.workflows import cases

pytestmark = pytest.mark.xdist_group("ptx")  # compiled once, which takes longer than they do

NEWEST = "compute_100"  # compiled by another generation of NVRTC's compiler
FUSED = tuple(option for option in cuda.OPTIONS if not option.startswith("--fmad"))
SAMPLE = CASES[::7]
SHORT = [case for case in cases.CASES if case.iterations <= 200]
LONG = [case for case in cases.CASES if case.iterations > 200]


def in_both_orders(function):
    orders = pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
    return orders(pytest.mark.parametrize("way", WAYS)(function))


def mostly_slow(all_cases, sample, name=str):
    """The cases of a sample, and the others marked slow."""
    marks = {True: [], False: [pytest.mark.slow]}
    return [pytest.param(c, id=name(c), marks=marks[c in sample]) for c in all_cases]


@in_both_orders
@pytest.mark.parametrize("case", mostly_slow(CASES, SAMPLE))
def test_compiled_kernels_have_the_definitions_bits(case, way, backwards):
    assert_same(by_kernels(case, ptx_kernels(way, backwards)), definition(case))


@pytest.mark.slow
@in_both_orders
@pytest.mark.parametrize("case", SAMPLE, ids=str)
@pytest.mark.parametrize("architecture", ["compute_80", NEWEST])
def test_other_devices_have_the_definitions_bits(architecture, case, way, backwards):
    kernels = ptx_kernels(way, backwards, architecture)
    assert_same(by_kernels(case, kernels), definition(case))


@pytest.mark.slow
def test_fused_products_would_be_seen():
    """Without the option that forbids them, trainings give other bits."""
    kernels = ptx_kernels("one block", options=FUSED)
    found = [by_kernels(case, kernels) for case in SAMPLE]
    pairs = list(zip(found, map(definition, SAMPLE), strict=True))
    same = [all(map(same_bits, *pair)) for pair in pairs]
    assert not all(same)


# --- through train ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend():
    """NumPy's arrays as the memory of a device."""
    kernels = ptx_kernels(None)

    def make_kernels(rule, *, no_tiny_inputs, threads):
        return kernels.for_rule(rule, no_tiny_inputs)

    found = replace(open_backend("numpy"), make_kernels=make_kernels)
    assert has_right_kernels(found)
    assert name_engine(found, "reproducible") == "kernels"
    return found


@pytest.mark.parametrize("case", mostly_slow(SHORT, SHORT[::3], lambda case: case.name))
def test_train_gives_the_published_bits(backend, case):
    before = LAUNCHES.total()
    assert case.train(backend=backend).fingerprint() == cases.published()[case.name]
    assert LAUNCHES.total() > before


@pytest.mark.parametrize("case", mostly_slow(LONG, LONG[:1], lambda case: case.name))
def test_long_trainings_give_the_published_bits(backend, case):
    assert case.train(backend=backend).fingerprint() == cases.published()[case.name]


# --- the compiler's options --------------------------------------------------------------


def test_options_are_those_that_cupy_adds(monkeypatch):
    """CuPy's own code, without a device: it is told the architecture, and to make PTX."""
    need_nvrtc()
    from cupy._core import core
    from cupy.cuda import compiler

    class SeenError(Exception):
        pass

    def compile_program(self, options=(), log_stream=None):
        raise SeenError(options)

    def no_device(architecture):
        return f"-arch=compute_{architecture}", "ptx"

    class Nothing:
        def load(self, name):
            return None

    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", no_device)
    monkeypatch.setattr(compiler, "_preprocess", lambda *_: "")
    monkeypatch.setattr(compiler, "_kernel_cache_backend", Nothing())
    monkeypatch.setattr(compiler._NVRTCProgram, "compile", compile_program)
    with pytest.raises(SeenError) as seen:
        core.compile_with_cache("", cuda.OPTIONS, arch="90", prepend_cupy_headers=False)
    assert seen.value.args[0] == cuda.list_options(HOPPER)
