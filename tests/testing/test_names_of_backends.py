"""Names of backends: what must be usable, what is then said, and what is no backend."""

import re

import pytest
from kit_runs import read_table, run_pytest, write_files

TESTS = """
def test_zero(backend, xp):
    x = backend.from_host(__import__("numpy").zeros(2))
    assert xp.sum(x) == 0
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    write_files(folder, {"test_zero.py": TESTS})
    return folder


NO_JAX = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "jax" else find_spec(name, *rest)
"""
BROKEN_CUPY = "raise ImportError('libcuda.so was not found')"


def test_a_named_backend_that_cannot_be_used_fails_each_of_its_tests(package):
    write_files(package, {"conftest.py": NO_JAX, "cupy.py": BROKEN_CUPY})
    names = "cupy,jax,numpy:gpu,array_api_strict"
    for names_it in ({"NEURON_XP_TEST_BACKENDS": names}, {}):
        options = [] if names_it else ["--backends", names]
        run = run_pytest(package, "-rE", *options, **names_it)
        assert run.returncode == 1
        for words in (
            r"cupy cannot be used: libcuda\.so was not found",
            r"jax cannot be used: not installed; type: \S+ -m pip install jax",
            r"numpy:gpu cannot be used: numpy has only cpu",
        ):
            assert re.search(rf"^backend {words} \(it is named\)$", run.stdout, re.MULTILINE)
        table = read_table(run.stdout)
        assert table["cupy"] == table["jax"] == table["numpy gpu"] == [0, 1, 0, 0]
        assert table["array_api_strict CPU_DEVICE"] == [1, 0, 0, 0]


def test_an_unnamed_backend_that_cannot_be_used_is_in_the_table(package):
    """Without a test, where it is not installed; otherwise each is skipped, with the reason."""
    write_files(package, {"conftest.py": NO_JAX, "cupy.py": BROKEN_CUPY})
    run = run_pytest(package, "--backends=numpy,others")
    assert run.returncode == 0
    table = read_table(run.stdout)
    assert table["numpy cpu"] == table["array_api_strict device1"] == [1, 0, 0, 0]
    assert (table["cupy"], table["jax"]) == ([0, 0, 1, 0], [0, 0, 0, 0])
    assert re.search(r"^cupy .* libcuda\.so was not found$", run.stdout, re.MULTILINE)
    assert re.search(r"^jax .* not installed; type: .* install jax$", run.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (
            ["--backends", "numpy,torhc"],
            {},
            "ERROR: --backends names the unknown backend 'torhc'; did you mean 'torch'?",
        ),
        (
            [],
            {"NEURON_XP_TEST_BACKENDS": "other"},
            "ERROR: NEURON_XP_TEST_BACKENDS names the unknown backend 'other'; "
            "did you mean 'others'?",
        ),
        (
            ["--backends="],
            {},
            "ERROR: --backends names no backend; type for example --backends=numpy",
        ),
    ],
)  # fmt: skip
def test_names_that_are_no_backends(package, options, variables, message):
    run = run_pytest(package, *options, **variables)
    assert (run.returncode, run.stderr.strip()) == (4, message)
