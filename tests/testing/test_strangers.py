"""Projects that have the plugin installed and do not use it: they notice nothing."""

import pytest
from kit_runs import run_pytest, write_files

import neuron_xp.testing
from neuron_xp.testing import assertions

LIBRARIES = (
    "numpy",
    "torch",
    "jax",
    "cupy",
    "array_api_compat",
    "array_api_strict",
    "neuron_xp.errors",
)
CONFTEST = f"""
import sys
import pytest

def pytest_addoption(parser):
    parser.addoption("--backends", OPTION)

def pytest_configure(config):
    config.addinivalue_line("markers", "skip_backends(*names): of this project")

@pytest.fixture(params=["sql", "files"])
def backend(request):
    return request.param

@pytest.fixture
def xp(backend):
    return f"experience with {{backend}}"

def pytest_unconfigure(config):
    print("given:", config.option.backends)
    print("imported:", [name for name in {LIBRARIES} if name in sys.modules])
"""
TESTS = """
import pytest

@pytest.mark.skip_backends("files")
def test_experience(xp, backend):
    assert xp.endswith(backend)
"""


@pytest.mark.parametrize(
    ("option", "options", "given"),
    [
        ("action='store_true'", [], "False"),
        ("action='store_true'", ["--backends", "tests"], "True"),
        ("action='store_true'", ["--help", "--backends"], "False"),
        ("default=2, type=int", ["-n", "1"], "2"),
        ("default=2, type=int", ["--backends", "3"], "3"),
        ("choices=['sql', 'files']", ["--backends=sql", "tests"], "sql"),
    ],
)
def test_a_project_with_fixtures_marks_and_an_option_of_these_names(
    tmp_path, option, options, given
):
    (tmp_path / "tests").mkdir()
    files = {"tests/conftest.py": CONFTEST.replace("OPTION", option), "tests/test_it.py": TESTS}
    write_files(tmp_path, files)
    write_files(tmp_path, {"pytest.ini": "[pytest]\ntestpaths = tests\n"})
    run = run_pytest(tmp_path, "--strict-markers", "-W", "error", "-v", *options)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"\ngiven: {given}\n" in run.stdout
    assert "\nimported: []\n" in run.stdout
    assert "version" not in run.stdout.partition("collected")[2]  # no table
    if "--help" not in options:
        assert "test_experience[sql] PASSED" in run.stdout or "-n" in options
        assert "2 passed" in run.stdout


def test_a_test_may_have_a_fixture_of_its_own_on_top(tmp_path):
    """An `xp` of the project's that asks for the plugin's `backend`, as SciPy's might."""
    conftest = """
import pytest

@pytest.fixture
def xp(backend):
    return backend.xp
"""
    write_files(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(xp):\n    pass\n"})
    run = run_pytest(tmp_path, "--backends=numpy", "-v")
    assert "test_it[numpy:cpu] PASSED" in run.stdout


def test_the_option_is_found_with_its_value_apart_and_with_testpaths(tmp_path):
    """pytest takes the value for a folder, before the conftests are read."""
    (tmp_path / "checks").mkdir()
    conftest = """
def pytest_addoption(parser):
    parser.addoption("--mine", action="store_true")
"""
    files = {"checks/conftest.py": conftest, "checks/test_it.py": "def test_it(xp):\n    pass\n"}
    write_files(tmp_path, {**files, "pytest.ini": "[pytest]\ntestpaths = checks\n"})
    run = run_pytest(tmp_path, "--mine", "--backends", "numpy")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
    assert "--backends=NAMES" in run_pytest(tmp_path, "--help").stdout


def test_the_room_hands_on_its_names():
    assert {"assert_same_bits", "assert_within_ulp"} <= set(dir(neuron_xp.testing))
    message = "module 'neuron_xp.testing' has no attribute 'assert_same'"
    with pytest.raises(AttributeError, match=message):
        neuron_xp.testing.assert_same  # noqa: B018
    assert neuron_xp.testing.assert_within_ulp is assertions.assert_within_ulp
