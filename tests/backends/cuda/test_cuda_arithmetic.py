"""The arithmetic of the CUDA kernels: compiled without a device, and run on the host."""

import ctypes
import re
from functools import partial

import array_api_compat.numpy as xp
import numpy as np
import pytest
from cuda_host import load_host_library, pointer, same_bits
from ptx_host import compile_ptx

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.backends.cuda_kernels.problem import ADD_LEAVES, TRAIN, Kernel
from neuron_xp.neuron.activations import sigmoid, softmax
from neuron_xp.neuron.arithmetic import reproducible_arithmetic
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible import elementary, exact_sum
from neuron_xp.neuron.step import Scaling, adjust, standardize

ARITHMETIC = reproducible_arithmetic(xp)


@pytest.fixture(scope="module")
def library():
    return load_host_library()


# --- compiled for devices that need not be there ---------------------------------------


def may_round_once(code):
    """Instructions that are fused, or that the assembler may fuse: those without .rn."""
    return re.findall(r"\b(?:fma|mad)\S*f64|\b(?:add|sub|mul)\.f64|\bdiv\.(?!rn)\S*f64", code)


ONE_NEURON = Kernel(
    "one_neuron.cu", "add_leaves", ("-DFEATURES=20", "-DNO_TINY_INPUTS=1", "-DSCALED=1")
)


@pytest.mark.parametrize("architecture", ["80", "90"])
@pytest.mark.parametrize("kernel", [TRAIN, ADD_LEAVES, ONE_NEURON], ids=str)
def test_compiled_code_rounds_every_product_and_sum(kernel, architecture):
    code = compile_ptx(kernel, f"compute_{architecture}")
    assert f".target sm_{architecture}" in code
    assert f".entry {kernel.name}(" in code
    assert {"mul.rn.f64", "add.rn.f64", "rcp.rn.f64"} <= set(re.findall(r"\w+\.rn\.f64", code))
    assert may_round_once(code) == []


def test_without_the_option_products_are_fused():
    options = tuple(option for option in cuda.OPTIONS if not option.startswith("--fmad"))
    assert "fma.rn.f64" in may_round_once(compile_ptx(TRAIN, "compute_90", options))


# --- on the host ------------------------------------------------------------------------


def special():
    powers = 2.0 ** np.arange(-1074, 1024)
    near = [np.nextafter(powers, 0.0), np.nextafter(powers, np.inf), 1 - powers, 1 + powers]
    return np.concatenate([powers, *near, [0.0, np.inf, np.nan, 700.0, 745.2]])


def assert_bits(library, name, definition, *numbers):
    arrays = [np.ascontiguousarray(np.resize(x, numbers[0].shape)) for x in (*numbers, 0.0, 0.0)]
    found = np.empty_like(arrays[0])
    library.apply(name.encode(), ctypes.c_int64(found.size), *map(pointer, (*arrays[:3], found)))
    with np.errstate(all="ignore"):
        assert same_bits(found, definition(*numbers))


def test_functions_have_the_definitions_bits(library):
    generator = np.random.RandomState(1)
    random = [generator.uniform(-width, width, 200_000) for width in (1, 40, 720)]
    x = np.concatenate([special(), -special(), *random])
    assert_bits(library, "exp", ARITHMETIC.exp, -np.abs(x))
    assert_bits(library, "log1p", ARITHMETIC.log1p, np.abs(x)[~(np.abs(x) > 1)])
    assert_bits(library, "log", ARITHMETIC.log, np.abs(x)[~(np.abs(x) >= 2**16)])
    between = np.append(np.exp2(np.random.RandomState(4).uniform(0, 16, 100_000)), BORDERS)
    assert_bits(library, "log", ARITHMETIC.log, between)
    assert_bits(library, "sigmoid", partial(sigmoid, arithmetic=ARITHMETIC), x)
    z = np.abs(random[2])
    assert_bits(library, "loss", SMALL_STEPS["loss"], z, z, z / z)


def test_a_softmax_has_the_definitions_bits(library):
    generator = np.random.RandomState(5)
    for width in (1, 40, 720, 1e300):
        z, other, target = generator.uniform(-width, width, (3, 100_000))
        z[: ODD.size**2], other[: ODD.size**2] = map(np.ravel, np.meshgrid(ODD, ODD))
        assert_bits(library, "softmax", SMALL_STEPS["softmax"], z, other)
        assert_bits(library, "softmax loss", SMALL_STEPS["softmax loss"], z, other, target)


BORDERS = np.nextafter(2.0 ** np.arange(1, 17), 0.0)
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 700.0, -700.0, 665.0, 1e-300, -3.0])
ARTICLE, RULE, SOFTMAX_RULE = RULES.values()


def of_two_classes(function):
    """function(z, targets), of the first of two classes whose targets are equal."""

    def of_first(z, other, target=0.0):
        rows = np.stack([z, other], axis=1)
        return function(rows, np.stack(np.broadcast_arrays(target, target, z)[:2], axis=1))[:, 0]

    return of_first


SMALL_STEPS = {
    "standardized": lambda x, mean, by: standardize(x, Scaling(mean, by), arithmetic=ARITHMETIC),
    "article delta": partial(ARTICLE.delta, arithmetic=ARITHMETIC),
    "delta": partial(RULE.delta, arithmetic=ARITHMETIC),
    "hidden delta": lambda error, y: ARITHMETIC.flush(error * (y * (1 - y))),
    "weighted": lambda x, weight: ARITHMETIC.flush(x * weight),
    "article loss": partial(ARTICLE.loss, arithmetic=ARITHMETIC),
    "loss": partial(RULE.loss, arithmetic=ARITHMETIC),
    "softmax": of_two_classes(lambda z, _: softmax(z, arithmetic=ARITHMETIC)),
    "softmax loss": of_two_classes(
        lambda z, targets: SOFTMAX_RULE.loss(z, None, targets, arithmetic=ARITHMETIC)
    ),
    "adjusted": lambda *x: adjust(([x[0]], []), [x[1]], x[2], None, arithmetic=ARITHMETIC)[0][0],
    "shrunk": lambda *x: adjust(([x[0]], []), [x[1]], 2.0**100, x[2], arithmetic=ARITHMETIC)[0][0],
}


@pytest.mark.parametrize("name", SMALL_STEPS)
def test_what_counts_as_0_does_so_at_every_step(library, name):
    generator, count = np.random.RandomState(2), 300_000
    exponents = generator.randint(-1000, 5, (3, count))
    exponents[:, ::2] = generator.randint(-1000, -850, (3, (count + 1) // 2))
    exponents[2, ::3] = generator.randint(-100, 1000, (count + 2) // 3)
    numbers = list(generator.standard_normal((3, count)) * 2.0**exponents)
    wanted = 3 if "loss" in name or name in {"standardized", "adjusted", "shrunk"} else 2
    assert_bits(library, name, SMALL_STEPS[name], *numbers[:wanted])


@pytest.mark.parametrize("count", [*range(1, 71), 1000, 1024, 1025, 2500, 2**20 + 1025])
def test_sums_are_added_in_the_defined_order(library, count):
    generator = np.random.RandomState(count)
    for spread in (1, 60):
        terms = generator.standard_normal(count) * 2.0 ** generator.randint(0, spread, count)
        expected = elementary.ordered_sum(terms[None, :], xp=xp)
        totals = np.empty(elementary.LANES)
        assert library.sum_by_warp(count, pointer(terms), pointer(totals))
        assert same_bits(totals, np.repeat(expected, elementary.LANES))
        by_thread = library.sum_by_thread(count, pointer(terms)) if count <= 1024 else totals[0]
        assert same_bits([by_thread], expected)


def magnitudes():
    generator = np.random.RandomState(3)
    x = generator.standard_normal(300)
    for low, high in ((0, 1), (-500, 500), (-1022, -900), (900, 1023), (-40, 40), (60, 70)):
        yield x * 2.0 ** generator.randint(low, high, x.size)
    yield from ((np.arange(300) + 0.5) * 2.0**-961, np.zeros(3), 2.0 ** np.arange(-1022, 1023))
    for broken in (np.inf, -np.inf, np.nan, 2.0**1023 * 1.5):
        yield np.append(x, broken)


@pytest.mark.parametrize("sums", list(magnitudes()))
def test_exact_sums_are_the_definitions(library, sums):
    grid = exact_sum.grid(xp=xp)
    with np.errstate(all="ignore"):
        expected = exact_sum.accumulate(sums[:, None], xp=xp, grid=grid)
        total = exact_sum.total(expected, xp=xp, grid=grid)
    for order in (slice(None), slice(None, None, -1)):
        x, digits = np.ascontiguousarray(sums[order]), np.empty(4, dtype=np.int64)
        found = library.exact_sum(ctypes.c_int64(x.size), pointer(x), pointer(digits))
        assert same_bits([found], total)
        assert digits[0] == expected.level
        if expected.level < exact_sum.BROKEN:
            assert digits.tolist() == np.concatenate(expected).tolist()
