"""The plugin, by real runs of pytest on small packages, written as others write theirs."""

import re

import pytest
from kit_runs import read_table, run_pytest, write_files

SHARES = '''
import numpy as np
from array_api_compat import array_namespace

def is_strict(xp):
    return xp.__name__ == "array_api_strict"

def find_share(x):
    return x / array_namespace(x).sum(x)

def cut(x):
    """A bug on one library."""
    xp = array_namespace(x)
    return xp.clip(x, 0, 2 if is_strict(xp) else 1)

def sort(x):
    """It falls back to NumPy."""
    return np.sort(np.asarray(x))

def scale(x):
    """It differs in the last bit."""
    xp = array_namespace(x)
    return x * (1 / xp.max(x)) if is_strict(xp) else x / xp.max(x)
'''
TESTS = """
import numpy as np
import pytest
import shares
from neuron_xp.testing import assert_same_bits, assert_within_ulp

NUMBERS = np.asarray([0.3, 1.4, 0.5])

@pytest.mark.parametrize("name", ["find_share", "cut", "sort", "scale"])
def test_bits(backend, xp, name):
    function = getattr(shares, name)
    x = backend.from_host(NUMBERS)
    assert backend.xp is xp
    assert_same_bits(function(x), function(NUMBERS))

def test_nearly(backend):
    assert_within_ulp(shares.scale(backend.from_host(NUMBERS)), shares.scale(NUMBERS), 1)
"""
BOTH = "--backends=numpy,array_api_strict:CPU_DEVICE"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    write_files(folder, {"shares.py": SHARES, "test_shares.py": TESTS})
    return folder


WHERE = "actual (float64, array_api_strict on CPU_DEVICE) differs from expected in 1 of 3 numbers"
CUT = f"""
E       AssertionError: {WHERE}
E       first at [1], 1801439850948198 ulp apart:
E         actual    1.4  0x1.6666666666666p+0
E         expected  1.0  0x1.0000000000000p+0
"""
FALLEN = (
    "\nE       AssertionError: actual is of numpy on cpu, but this test runs on "
    "array_api_strict on CPU_DEVICE: something fell back to NumPy\n"
)
LAST_BIT = f"""
E       AssertionError: {WHERE}
E       first at [0], 1 ulp apart:
E         actual    0.21428571428571427  0x1.b6db6db6db6dbp-3
E         expected  0.2142857142857143  0x1.b6db6db6db6dcp-3
"""


def test_what_is_wrong_on_one_library_only_is_caught(package):
    run = run_pytest(package, BOTH, "-v")
    assert run.returncode == 1
    expected = {
        "numpy cpu": [5, 0, 0, 0],
        "cupy": [0, 0, 0, 0],
        "torch": [0, 0, 0, 0],
        "jax": [0, 0, 0, 0],
        "array_api_strict CPU_DEVICE": [2, 3, 0, 0],
        "array_api_strict device1": [0, 0, 0, 0],
    }
    table = read_table(run.stdout)
    assert {place: table[place] for place in expected} == expected
    for message in (CUT, FALLEN, LAST_BIT):
        assert message in run.stdout
    assert "test_shares.py::test_bits[numpy:cpu-cut] PASSED" in run.stdout
    assert "test_shares.py::test_bits[array_api_strict:CPU_DEVICE-cut] FAILED" in run.stdout
    assert "assertions.py" not in run.stdout  # the traceback ends in the test
    assert "not named" in run.stdout


def test_the_table_is_the_same_with_pytest_xdist(package):
    alone = run_pytest(package, BOTH, "-p", "no:xdist")
    shared = run_pytest(package, BOTH, "-n", "2")
    assert read_table(shared.stdout) == read_table(alone.stdout)
    assert shared.returncode == alone.returncode == 1


HIDDEN = """
import pytest
pytestmark = pytest.mark.skipif(not hasattr(pytest, "gpu"), reason="needs a GPU")

@pytest.mark.parametrize("n", [1, 2])
def test_a(xp, n):
    assert False

def test_b(xp):
    assert False
"""
HALF = """
import pytest

@pytest.mark.skip_backends("numpy", "array_api_strict", reason="not written")
def test_c(xp):
    assert False

def test_d(xp):
    if xp.__name__ == "numpy":
        pytest.skip("on NumPy only")

pytest.importorskip("no_such_module") if __name__ == "test_gone" else None
"""


def test_a_skip_that_hides_everything(tmp_path):
    write_files(tmp_path, {"test_hidden.py": HIDDEN, "test_half.py": HALF, "test_gone.py": HALF})
    run = run_pytest(tmp_path, BOTH, "test_hidden.py")
    assert run.returncode == 1
    for line in (
        "ran on no backend: test_hidden.py (all 2 tests): needs a GPU",
        "FAILED: backend numpy is named, and no test ran on it",
        "FAILED: backend array_api_strict:CPU_DEVICE is named, and no test ran on it",
    ):
        assert f"\n{line}\n" in run.stdout
    run = run_pytest(tmp_path, BOTH)
    assert run.returncode == 1
    found = re.findall("^(?:ran on no|FAILED: ).*", run.stdout, re.MULTILINE)
    assert found == [
        "ran on no backend: test_gone.py: could not import 'no_such_module': "
        "No module named 'no_such_module'",
        "ran on no backend: test_half.py::test_c: not written",
        "ran on no backend: test_hidden.py (all 2 tests): needs a GPU",
        "FAILED: backend numpy is named, and no test ran on it",
    ]
    with_others = run_pytest(tmp_path, "-n", "2", NEURON_XP_TEST_BACKENDS="numpy")
    assert with_others.returncode == 1
    assert "FAILED: backend numpy is named, and no test ran on it" in with_others.stdout


def test_a_backend_on_which_no_test_was_chosen(package):
    """The option is an order; the variable may stay set while a person runs a few tests."""
    chosen = ["-k", "CPU_DEVICE and find_share"]
    run = run_pytest(package, BOTH, *chosen)
    assert run.returncode == 1
    assert "FAILED: backend numpy is named, and no test ran on it" in run.stdout
    run = run_pytest(package, *chosen, NEURON_XP_TEST_BACKENDS=BOTH.partition("=")[2])
    assert (run.returncode, "FAILED" in run.stdout) == (0, False)
    run = run_pytest(package, BOTH, "--collect-only", "-q", *chosen)
    assert (run.returncode, "FAILED" in run.stdout) == (0, False)
