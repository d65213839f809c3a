"""Kernels that cannot be imported, compiled or launched: one warning, then array operations."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends import engine
from neuron_xp.backends.engine import choose_host_arithmetic, name_engine
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.confidence import has_right_kernels

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

import numba

from neuron_xp.backends.numba_kernels.host import matrices
from neuron_xp.backends.numba_kernels.kernels import NumbaKernels

NUMPY = open_host_backend()
PROGRAM = """
import neuron_xp
from neuron_xp.backends import engine
from neuron_xp.backends.engine import choose_host_arithmetic, name_engine
from neuron_xp.backends.libraries import open_host_backend
for _ in range(2):
    print(neuron_xp.train(iterations=50).fingerprint())
choose_host_arithmetic(open_host_backend(), "reproducible")
print(name_engine(open_host_backend(), "reproducible"))
"""
OLD_NUMBA = "raise ImportError('Numba needs NumPy 2.3\\n or less. Got NumPy 2.4.')"
NO_LLVM = "raise OSError('Could not find/load shared object file')"


def run(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def check_that_arrays_do_it(reason, **environment):
    done = run("-c", PROGRAM, **environment)
    right = neuron_xp.train(iterations=50).fingerprint()
    assert done.stdout.split() == [right, right, "arrays"]
    (warning,) = [line for line in done.stderr.splitlines() if "Warning: " in line]
    assert f"the kernels of numpy on cpu cannot be used ({reason}), so array op" in warning


def test_numba_that_is_switched_off():
    check_that_arrays_do_it("NUMBA_DISABLE_JIT is set", NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize(
    ("library", "code", "reason"),
    [
        ("numba", OLD_NUMBA, "Numba needs NumPy 2.3 or less. Got NumPy 2.4."),
        ("llvmlite", NO_LLVM, "Could not find/load shared object file"),
    ],
)
def test_libraries_that_cannot_be_imported(tmp_path, library, code, reason):
    tmp_path.joinpath(library).mkdir()
    tmp_path.joinpath(library, "__init__.py").write_text(code, "utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    check_that_arrays_do_it(reason, PYTHONPATH=path)


def test_the_command_line_says_it_in_one_line():
    done = run("-m", "neuron_xp", "demo", NUMBA_DISABLE_JIT="1")
    (line,) = [line for line in done.stderr.splitlines() if "warning" in line]
    assert "the kernels of numpy on cpu cannot be used (NUMBA_DISABLE_JIT is set)" in line


def fail_to_compile(*_):
    return numba.njit(lambda x: x.no_such_name)(1)


def fail_to_launch(*_):
    raise MemoryError


@pytest.mark.parametrize(
    ("fail", "reason"),
    [(fail_to_compile, "Failed in nopython mode pipeline"), (fail_to_launch, "MemoryError")],
)
def test_kernels_that_fail_in_their_check(fail, reason):
    class Failing(NumbaKernels):
        run = fail

    broken = replace(NUMPY, make_kernels=Failing)
    with pytest.warns(RuntimeWarning, match=rf"cannot be used \({reason}.*\), so array"):
        assert not has_right_kernels(broken)
    assert name_engine(broken, "reproducible") == "arrays"
    network = neuron_xp.train(backend=broken, iterations=50)
    assert network.fingerprint() == neuron_xp.train(iterations=50).fingerprint()


def test_warnings_that_were_made_errors_are_raised_as_they_are():
    class Telling(NumbaKernels):
        def run(self, *_):
            warnings.warn("nothing can be kept", RuntimeWarning, stacklevel=1)

    with pytest.raises(RuntimeWarning, match=r"^nothing can be kept$"):
        has_right_kernels(replace(NUMPY, make_kernels=Telling))


def test_the_hosts_kernel_that_fails(monkeypatch):
    monkeypatch.setattr(matrices, "multiply_small", fail_to_compile)
    choose_host_arithmetic.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"small matrices cannot be used \(Failed in"):
            arithmetic = choose_host_arithmetic(NUMPY, "reproducible")
        assert arithmetic.weighted_sum(np.ones((2, 3)), np.ones((3, 1))).tolist() == [[3.0], [3.0]]
    finally:
        choose_host_arithmetic.cache_clear()


def test_the_hosts_kernel_that_fails_later(monkeypatch):
    """It compiles for what it is shown, and not for what comes then."""

    def multiply(a, b):
        return a @ b if a.shape == (3, 75) else fail_to_compile()

    a, b = np.ones((2, 3)), np.ones((3, 1))
    monkeypatch.setattr(matrices, "multiply_small", multiply)
    monkeypatch.setattr(engine, "draw_start", lambda *_, **__: (np.ones((3, 75)), np.ones((75, 2))))
    choose_host_arithmetic.cache_clear()
    try:
        arithmetic = choose_host_arithmetic(NUMPY, "reproducible")
        with pytest.warns(RuntimeWarning, match=r"small matrices cannot be used \(Failed in"):
            assert arithmetic.weighted_sum(a, b).tolist() == [[3.0], [3.0]]
        assert arithmetic.weighted_sum(a, b).tolist() == [[3.0], [3.0]]
    finally:
        choose_host_arithmetic.cache_clear()
