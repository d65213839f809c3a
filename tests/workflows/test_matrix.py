"""The cross-backend matrix: equal bytes, whatever holds them and however they are cut."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.backend import name_device
from neuron_xp.backends.libraries import open_backend
from neuron_xp.workflows.cases import CASES, published
from neuron_xp.workflows.matrix import find_usable_backends, run_matrix

SHORT = [case for case in CASES if case.iterations <= 200]


def data(case):
    return pytest.param(case, id=case.name)


@pytest.mark.parametrize("case", [data(case) for case in SHORT])
def test_every_backend_gives_the_published_bits(backend, case):
    assert case.train(backend=backend).fingerprint() == published()[case.name]


def test_published_fingerprints_are_those_of_the_cases():
    assert list(published()) == [case.name for case in CASES]


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("elements", [1, 64 * 20 * 5, 2**31])
@pytest.mark.parametrize(
    "name", ["random", "wide", "magnitudes 2^-500 to 2^8", "deep", "standardized", "safe rate"]
)
def test_block_size_changes_nothing(library, name, elements):
    """From one leaf of 64 rows at a time to all rows at once."""
    (case,) = (case for case in CASES if case.name == name)
    if library.compiled:  # which unrolls the blocks: a few are enough
        elements = max(elements, 2**14)
    backend = dataclasses.replace(library, block_elements=elements)
    assert case.train(backend=backend).fingerprint() == published()[name]


def memory_orders(inputs):
    wide = np.zeros((inputs.shape[0] * 2, inputs.shape[1] * 3))
    wide[::2, 1::3] = inputs
    backwards = inputs[::-1, ::-1].copy()
    frozen = inputs.copy()
    frozen.flags.writeable = False
    return {
        "fortran": np.asfortranarray(inputs),
        "strided": wide[::2, 1::3],
        "backwards": backwards[::-1, ::-1],
        "read-only": frozen,
    }


@pytest.mark.parametrize("order", ["fortran", "strided", "backwards", "read-only"])
def test_memory_order_changes_nothing(library, order):
    (case,) = (case for case in CASES if case.name == "random")
    inputs, targets = case.make()
    view = memory_orders(inputs)[order]
    np.testing.assert_array_equal(view, inputs)
    settings = {"learning_rate": case.learning_rate, "iterations": case.iterations}
    network = neuron_xp.train(view, targets, backend=library, **settings)
    assert network.fingerprint() == published()["random"]


def test_integers_bools_and_float32_are_widened_exactly(library):
    inputs = np.random.RandomState(3).randint(0, 2, (100, 4))
    targets = inputs[:, :1].astype(bool)
    expected = neuron_xp.train(inputs.astype("float64"), targets.astype("float64"), iterations=9)
    for dtype in ("int8", "int64", "uint8", "bool", "float32"):
        with library.context():
            x = library.from_host(inputs.astype(dtype))
            y = library.from_host(targets)
        network = neuron_xp.train(x, y, iterations=9)
        assert network.backend.name == library.name
        assert network.fingerprint() == expected.fingerprint()


FINGERPRINTS = """
import json, sys
from neuron_xp.backends.libraries import open_backend
from neuron_xp.workflows.cases import CASES
name, device, kernels = sys.argv[1:]
backend = open_backend(name, device)
if kernels == "without":
    backend = backend.without_kernels()
cases = [case for case in CASES if case.iterations <= 200]
print(json.dumps({case.name: case.train(backend=backend).fingerprint() for case in cases}))
"""


def fingerprints_in_a_process(backend, **environment):
    kernels = "with" if backend.make_kernels else "without"
    place = backend.name, name_device(backend.device), kernels
    run = subprocess.run(
        [sys.executable, "-c", FINGERPRINTS, *place],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.slow_on("array_api_strict", "jax", "torch")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_thread_count_changes_nothing(library, threads):
    found = fingerprints_in_a_process(
        library,
        OMP_NUM_THREADS=threads,
        OPENBLAS_NUM_THREADS=threads,
        XLA_FLAGS=f"--xla_cpu_multi_thread_eigen={'true' if threads == '2' else 'false'}",
    )
    assert found == {case.name: published()[case.name] for case in SHORT}


def test_vector_instructions_change_nothing():
    """NumPy without AVX-512 and AVX2 (or what else it dispatches to here)."""
    features = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    numpy, without = open_backend("numpy"), " ".join(features)
    found = fingerprints_in_a_process(numpy, NPY_DISABLE_CPU_FEATURES=without)
    assert found == {case.name: published()[case.name] for case in SHORT}


@pytest.mark.parametrize("case", [data(case) for case in SHORT if not case.settings])
def test_one_native_step_is_near(library, case):
    """|difference| <= (2 n + 64) 2^-53 * rate * sum |input|, for n terms in the longer sum.

    The slope of delta = (y - o) o (1 - o) over the weighted sum is below 1/4; a weighted
    sum of n products is off by n 2^-53 times the sum of their magnitudes.
    """
    inputs, _ = case.make()
    exact = case.train(1).weights[0]
    network = case.train(1, backend=library, arithmetic="native")
    with library.context():
        native = library.to_host(network.weights[0])
    n, magnitudes = max(inputs.shape), np.abs(inputs)
    reach = 1 + np.minimum(magnitudes.sum(axis=1, keepdims=True), 2.0**60)
    bound = (2 * n + 64) * 2.0**-53 * case.learning_rate * (magnitudes * reach).sum(axis=0)
    bound = bound[:, None] + 2.0**-53 * np.abs(exact)
    assert np.all(np.abs(native - exact) <= bound)


def test_native_on_the_article_is_near_after_the_whole_run(library):
    iterations = min(10_000, library.patience)
    exact = neuron_xp.train(iterations=iterations).weights[0]
    network = neuron_xp.train(backend=library, arithmetic="native", iterations=iterations)
    with library.context():
        np.testing.assert_allclose(library.to_host(network.weights[0]), exact, rtol=1e-13)


def test_native_takes_float32_as_it_is(library):
    (case,) = (case for case in CASES if case.name == "random")
    inputs, targets = case.make()
    with library.context():
        x = library.from_host(inputs.astype("float32"))
    network = neuron_xp.train(x, targets.tolist(), arithmetic="native", iterations=5)
    exact = neuron_xp.train(inputs, targets, iterations=5)
    assert network.weights[0].dtype == library.xp.float32
    with library.context():
        assert network.think([0.0] * 20).dtype == library.xp.float32
        weights = library.to_host(network.weights[0])
    np.testing.assert_allclose(weights, exact.weights[0], atol=1e-4)


def test_run_matrix_compares_with_numpy():
    backends = [open_backend("numpy"), open_backend("array_api_strict")]
    results = list(run_matrix(backends, cases=CASES[:2]))
    names = [(r.backend, r.arithmetic, r.case) for r in results]
    assert len(set(names)) == len(names) == 6  # not the long case where it takes too long
    for r in results:
        if r.arithmetic == "reproducible":
            assert (r.ulp, r.fingerprint) == (0, published()[r.case])


def break_down(array):
    raise OSError("the device\nis lost")


def test_a_place_that_breaks_down_is_a_result_and_the_next_goes_on():
    strict = open_backend("array_api_strict")
    lost = dataclasses.replace(strict, name="lost", to_host=break_down)
    results = list(run_matrix([lost, strict], cases=CASES[1:3], arithmetics=["reproducible"]))
    assert [(r.backend, r.case) for r in results] == [
        (name, case.name) for name in ("lost", "array_api_strict") for case in CASES[1:3]
    ]
    for r in results[:2]:
        assert (r.fingerprint, r.ulp) == ("", None)
        assert re.fullmatch(r"UnusableBackendError: .*\(the device is lost\).*", r.failure)
    assert [r.fingerprint for r in results[2:]] == [published()[r.case] for r in results[2:]]


def test_array_operations_come_before_the_kernels_that_may_break_what_follows():
    ways = [(str(b), b.make_kernels is not None) for b in find_usable_backends()]
    assert ways == sorted(ways, key=lambda way: ([str(b) for b, _ in ways].index(way[0]), way[1]))
