"""Marks of the plugin, its hook, and the device that is the default while a test runs."""

import pytest
from kit_runs import read_table, run_pytest, write_files

BOTH = "--backends=numpy,array_api_strict"
MARKED = """
import pytest

@pytest.mark.skip_backends("array_api_strict:device1", reason="no such memory")
def test_skipped(xp):
    pass

@pytest.mark.xfail_backends("array_api_strict", reason="issue 17")
def test_expected(xp):
    assert xp.__name__ == "numpy"

@pytest.mark.xfail_backends("numpy", reason="issue 18")
def test_better_than_expected(xp):
    pass
"""


def test_marks_skip_and_expect_failures_strictly(tmp_path):
    write_files(tmp_path, {"test_marked.py": MARKED})
    run = run_pytest(tmp_path, BOTH, "--strict-markers")
    assert run.returncode == 1
    table = read_table(run.stdout)
    assert table["numpy cpu"] == [2, 1, 0, 0]
    assert table["array_api_strict CPU_DEVICE"] == [2, 0, 0, 1]
    assert table["array_api_strict device1"] == [1, 0, 1, 1]
    assert "\n[XPASS(strict)] issue 18\n" in run.stdout
    assert "  no such memory; issue 17\n" in run.stdout


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (
            'skip_backends("jax")',
            "skip_backends needs names and a reason, "
            'such as @pytest.mark.skip_backends("torch", reason="why")',
        ),
        (
            'xfail_backends(reason="no names")',
            "xfail_backends needs names and a reason, "
            'such as @pytest.mark.xfail_backends("torch", reason="why")',
        ),
        (
            'xfail_backends("pytorch:cpu", reason="an unknown name")',
            "xfail_backends names the unknown backend 'pytorch:cpu'; did you mean 'torch'?",
        ),
    ],
)
def test_a_mark_that_means_nothing_is_an_error(tmp_path, mark, message):
    test = f"import pytest\n@pytest.mark.{mark}\ndef test_it(xp):\n    pass\n"
    write_files(tmp_path, {"test_it.py": test})
    run = run_pytest(tmp_path, BOTH)
    assert run.returncode == 2
    assert f"\n{message}\n" in run.stdout


def test_a_failure_that_is_expected_is_none_where_the_backend_is_missing(tmp_path):
    test = """
import pytest

@pytest.mark.xfail_backends("numpy", reason="issue 19")
def test_it(xp):
    assert False
"""
    write_files(tmp_path, {"test_it.py": test})
    run = run_pytest(tmp_path, "--backends=numpy:gpu")
    assert run.returncode == 1
    assert read_table(run.stdout)["numpy gpu"] == [0, 1, 0, 0]


CONFTEST = """
from dataclasses import replace

def pytest_neuron_xp_places(metafunc, places):
    if "slow" in metafunc.function.__name__:
        return [place for place in places if place.name == "numpy"]
    return [*places, *(place.vary("loud", replace(place.backend, version="9")) for place in places)]
"""
VARIED = """
def test_loud(backend):
    assert backend.version != "9"

def test_slow(backend):
    pass
"""


def test_a_project_chooses_what_its_tests_run_on(tmp_path):
    write_files(tmp_path, {"conftest.py": CONFTEST, "test_varied.py": VARIED})
    run = run_pytest(tmp_path, "--backends=numpy,array_api_strict:device1", "-rA")
    assert read_table(run.stdout)["numpy cpu"] == [2, 0, 0, 0]
    assert read_table(run.stdout)["numpy cpu loud"] == [0, 1, 0, 0]
    assert read_table(run.stdout)["array_api_strict device1"] == [1, 0, 0, 0]
    assert "FAILED test_varied.py::test_loud[array_api_strict:device1:loud]" in run.stdout


DEVICES = """
def test_arrays_lie_on_the_device_of_the_id(backend, xp):
    assert xp.asarray([1.0]).device == backend.device
"""


def test_the_device_of_the_id_is_the_default_of_pytorch(tmp_path):
    pytest.importorskip("torch")
    conftest = """
import torch

def pytest_collection_finish():
    torch.set_default_device("meta")
"""
    write_files(tmp_path, {"conftest.py": conftest, "test_devices.py": DEVICES})
    run = run_pytest(tmp_path, "--backends=torch")
    assert run.returncode == 0, run.stdout
    assert read_table(run.stdout)["torch cpu"] == [1, 0, 0, 0]


def test_the_device_of_the_id_is_the_default_of_jax(tmp_path):
    pytest.importorskip("jax")
    conftest = (
        "import jax\n"
        "jax.config.update('jax_num_cpu_devices', 2)\n"
        "jax.config.update('jax_default_device', jax.devices('cpu')[1])\n"
    )
    write_files(tmp_path, {"conftest.py": conftest, "test_devices.py": DEVICES})
    run = run_pytest(tmp_path, "--backends=jax:cpu:0")
    assert run.returncode == 0, run.stdout
    assert read_table(run.stdout)["jax cpu:0"] == [1, 0, 0, 0]
