"""The CUDA kernels: compiled without a device, run on the host, and run where there is one.

On the host the kernels themselves run, a block's threads in turn: `cuda_on_host.cpp`.
"""

import ctypes
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.neuron.activations import sigmoid
from neuron_xp.neuron.arithmetic import reproducible_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible import elementary, exact_sum
from neuron_xp.neuron.step import Examples, Method, Scaling, adjust, loss, standardize, step

HOST_PROGRAM, SOURCES = Path(__file__).parent / "cuda_on_host.cpp", Path(cuda.__file__).parent
COMPILE = ["g++", "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-I", SOURCES]


def same_bits(a, b):
    """NaN has many bit patterns, and the contract names none."""
    a, b = (np.where(np.isnan(x), np.nan, x) for x in map(np.asarray, (a, b)))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


# --- compiled for devices that need not be there ---------------------------------------


def ptx(architecture, *options):
    pytest.importorskip("cupy", reason="needs CuPy, which reaches the compiler NVRTC")
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:  # the loader's own class
        pytest.skip(f"needs the library NVRTC (pip install nvidia-cuda-nvrtc): {error}"[:120])
    return cuda.compile_ptx(architecture, *options)


def may_round_once(code):
    """Instructions that are fused, or that the assembler may fuse: those without .rn."""
    return re.findall(r"\b(?:fma|mad)\S*f64|\b(?:add|sub|mul)\.f64|\bdiv\.(?!rn)\S*f64", code)


@pytest.mark.parametrize("architecture", ["80", "90"])
def test_compiled_code_rounds_every_product_and_sum(architecture):
    code = ptx(f"compute_{architecture}")
    assert f".target sm_{architecture}" in code
    assert all(f".entry {name}(" in code for name in ("train", "add_leaves", "finish"))
    assert {"mul.rn.f64", "add.rn.f64", "div.rn.f64"} <= set(re.findall(r"\w+\.rn\.f64", code))
    assert may_round_once(code) == []


def test_without_the_option_products_are_fused():
    options = tuple(option for option in cuda.OPTIONS if not option.startswith("--fmad"))
    assert "fma.rn.f64" in may_round_once(ptx("compute_90", options))


# --- on the host: the arithmetic -------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    built = str(tmp_path_factory.mktemp("kernels") / "cuda_on_host.so")
    subprocess.run([*COMPILE, HOST_PROGRAM, "-o", built], check=True)
    library = ctypes.CDLL(built)
    library.launch.restype = library.sum_by_warp.restype = ctypes.c_bool
    library.sum_by_thread.restype = library.exact_sum.restype = ctypes.c_double
    pointers = [array.ctypes.data for array in DEVICE.tables.values()]
    library.use_tables((ctypes.c_void_p * len(pointers))(*pointers))
    return library


DEVICE = cuda.Device(xp, None, lambda *_: None, lambda array: array.ctypes.data, 1)
ARITHMETIC = reproducible_arithmetic(xp)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


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
    assert_bits(library, "sigmoid", partial(sigmoid, arithmetic=ARITHMETIC), x)
    z = np.abs(random[2])
    assert_bits(library, "loss", SMALL_STEPS["loss"], z, z, z / z)


ARTICLE, RULE = RULES.values()
SMALL_STEPS = {
    "standardized": lambda x, mean, by: standardize(x, Scaling(mean, by), arithmetic=ARITHMETIC),
    "article delta": partial(ARTICLE.delta, arithmetic=ARITHMETIC),
    "delta": partial(RULE.delta, arithmetic=ARITHMETIC),
    "hidden delta": lambda error, y: ARITHMETIC.flush(error * (y * (1 - y))),
    "weighted": lambda x, weight: ARITHMETIC.flush(x * weight),
    "article loss": partial(ARTICLE.loss, arithmetic=ARITHMETIC),
    "loss": partial(RULE.loss, arithmetic=ARITHMETIC),
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


# --- whole trainings -------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """The network's sizes, the rule, and the magnitudes of the inputs, as exponents of 2."""

    rows: int
    sizes: tuple[int, ...]
    rule: str
    options: tuple[str, ...] = ()
    magnitudes: tuple[int, int] = (-3, 3)
    learning_rate: float = 0.5
    weights: float = 1.0

    def __str__(self):
        options = "+".join(self.options) or "plain"
        return f"{self.rows}-{self.sizes}-{self.rule}-{options}-{self.magnitudes}".replace(" ", "")

    def make(self, array=lambda x: x):
        generator = np.random.RandomState(sum(self.sizes) + self.rows)
        features, neurons = self.sizes[0], self.sizes[-1]
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        weights = [array(generator.uniform(-1, 1, pair) * self.weights) for pair in pairs]
        biases = [array(generator.uniform(-1, 1, m)) for _, m in pairs if "bias" in self.options]
        inputs = generator.standard_normal((self.rows, features))
        inputs *= 2.0 ** generator.randint(*self.magnitudes, features)
        targets = generator.randint(0, 2, (self.rows, neurons)).astype(np.float64)
        if "uneven" in self.options:
            inputs *= 2.0**-60
            inputs[:128] = (2 * targets[:128] - 1) * 2.0**60
            inputs[64:128, 1] *= -1
        if "broken" in self.options:
            inputs[self.rows // 2, 0] = np.inf
        sample_weight, scaling = generator.random_sample((self.rows, 1)), None
        if "scaling" in self.options:
            scaling = Scaling(array(inputs.mean(axis=0)), array(1 / inputs.std(axis=0)))
        sample_weight = array(sample_weight) if "sample_weight" in self.options else None
        examples = Examples(array(inputs), array(targets), sample_weight, scaling)
        l2 = 0.01 if "l2" in self.options else None
        return Parameters(tuple(weights), tuple(biases)), (examples, self.learning_rate, l2)


NAMES, ALL = list(RULES), ("bias", "l2", "sample_weight", "scaling")
SIZES = [(4, (3, 1)), (1003, (20, 1)), (70, (1000, 1)), (5, (2500, 1)), (200, (7, 3))]
DEEP = [(100, (6, 5, 4, 3, 2)), (3, (5, 70, 67)), (2, (2, 1100, 2))]
CASES = [
    Case(rows, sizes, rule, options)
    for rows, sizes in (*SIZES, *DEEP)
    for rule in RULES
    for options in ((), ("no_tiny_inputs",), ALL)
]
CASES += [
    Case(130, (9, 2), NAMES[0], ("bias", "l2"), (-500, 500)),
    Case(130, (9, 2), "cross_entropy", ("scaling", "bias"), (-80, 20)),
    # two leaves that cancel at first and then add nothing, and one that is far below
    Case(192, (3, 1), NAMES[0], ("uneven",), weights=0.0),
    # products around 2^-960, and deltas around 2^-900, made visible by the learning rate
    Case(130, (3, 1), NAMES[0], (), (-961, -955), learning_rate=2.0**930, weights=0.0),
    Case(130, (3, 2), "cross_entropy", ("bias",), (-961, -955), learning_rate=2.0**930),
    Case(500, (3, 1), NAMES[0], (), (8, 10), learning_rate=2.0**900),
    Case(130, (3, 4, 1), NAMES[0], ("l2",), (8, 10), learning_rate=2.0**900),
    Case(130, (3, 1), NAMES[0], ("sample_weight",), (950, 1010)),
    Case(130, (3, 2), "cross_entropy", ("bias", "broken")),
]
ITERATIONS = 3


@cache
def definition(case):
    """The parameters after some iterations, and then the loss, by array operations."""
    parameters, data = case.make()
    arithmetic = reproducible_arithmetic(xp, no_tiny_inputs="no_tiny_inputs" in case.options)
    method = Method(arithmetic, RULES[case.rule], block_rows=128)
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            parameters = step(parameters, *data, method=method)
        return [*parameters.weights, *parameters.biases, loss(parameters, data[0], method=method)]


def by_kernels(case, kernels, array=lambda x: x, host=lambda x: x):
    parameters, data = case.make(array)
    given = (*parameters.weights, *parameters.biases)
    before = [host(x).copy() for x in given]
    of_rule = kernels.for_rule(case.rule, "no_tiny_inputs" in case.options)
    learned = of_rule.run(1, of_rule.run(ITERATIONS - 1, parameters, *data), *data)
    assert all(map(same_bits, before, map(host, given)))  # not written to
    found = (*learned.weights, *learned.biases, of_rule.loss(learned, data[0]))
    return list(map(host, found))


WAYS = {"one block": {"few_leaves": 99, "few_products": 10**9}, "many blocks": {"few_leaves": 0}}


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_on_the_host_has_the_definitions_bits(library, case, way, backwards):
    def start(name, launch, problem):
        assert library.launch(name.encode(), *launch, backwards, pointer(problem))

    kernels = cuda.CudaKernels(replace(DEVICE, start=start), **WAYS[way])
    assert all(map(same_bits, by_kernels(case, kernels), definition(case)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_on_a_device_has_the_definitions_bits(case, way):
    cupy = pytest.importorskip("cupy", reason="needs CuPy")
    try:
        cupy.cuda.runtime.getDeviceCount()  # at least 1, or it raises
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"needs a CUDA device: {error}"[:120])
    import array_api_compat.cupy as namespace

    kernels = replace(cuda.compile_kernels(namespace, cupy.cuda.Device()), **WAYS[way])
    found = by_kernels(case, kernels, cupy.asarray, cupy.asnumpy)
    assert all(map(same_bits, found, definition(case)))
