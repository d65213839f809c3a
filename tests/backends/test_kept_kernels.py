"""Machine code kept on disk: what is damaged is compiled again, and never run.

NEURON_XP_LARGE=1 tries 2,000 damaged files, and another number as many; one in ten of them by a
whole training, most on the small kernel, which is compiled sooner.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mutations import count_cases

import neuron_xp
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.confidence import has_right_kernels

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

import numba
from numba.core import caching

from neuron_xp.backends.numba_kernels import compiler, network

FLIPS = count_cases(default=20, large=2000)
LARGE = FLIPS > 20
TRAININGS = FLIPS // 10 if LARGE else 4
SMALL, LARGEST = network.list_totals, network.iterate
PROGRAM = """
import neuron_xp, sys
if limit := int(sys.argv[1]):
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print(neuron_xp.train(iterations=200).fingerprint())
"""


@pytest.fixture(scope="module")
def expected():
    """The fingerprint; and the kernels, in this process's own folder."""
    assert has_right_kernels(open_host_backend())
    return neuron_xp.train(iterations=200).fingerprint()


@pytest.fixture
def folder(expected, tmp_path, monkeypatch):
    """A copy of the folder with compiled kernels, which this process and others use now."""
    there = Path(LARGEST._cache.cache_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    here = Path(compiler._Cache(LARGEST.py_func).cache_path)
    for kernel in (SMALL, LARGEST):
        shutil.copy(name_file(kernel, there), here)
    monkeypatch.setattr(compiler, "_told", set())
    return here


def name_file(kernel, folder):
    key = kernel._cache._index_key(kernel.signatures[0], kernel.targetctx.codegen())
    return folder / kernel._cache._name_file(key).name


def load(kernel):
    """What a new process would load."""
    compiler._told.clear()
    return compiler._Cache(kernel.py_func).load_overload(kernel.signatures[0], kernel.targetctx)


def start_training(folder, limit=0):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(limit)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_training(process):
    """Return the fingerprint and the lines that warn."""
    printed, said = process.communicate()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return printed.strip(), [line for line in said.splitlines() if "Warning: " in line]


def flip_bits(content, seed):
    """Flip a bit, or five of them."""
    draw = random.Random(seed)
    flipped = bytearray(content)
    for bit in draw.sample(range(8 * len(content)), draw.choice([1, 5])):
        flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


@pytest.mark.parametrize("kernel", [SMALL, LARGEST], ids=["small", "largest"])
def test_flipped_bits_are_seen(folder, kernel):
    path = name_file(kernel, folder)
    content = path.read_bytes()
    for seed in range(FLIPS // 2):
        path.write_bytes(flip_bits(content, seed))
        with pytest.warns(RuntimeWarning, match="is damaged: its checksum differs.*compiled again"):
            assert load(kernel) is None
    path.write_bytes(content)
    assert load(kernel) is not None


@pytest.mark.parametrize("kernel", [SMALL, LARGEST], ids=["small", "largest"])
def test_files_that_were_cut_off_are_seen(folder, kernel):
    path = name_file(kernel, folder)
    content = path.read_bytes()
    for length in [0, 1, 31, 32, 33, 63, 64, 65, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.warns(RuntimeWarning, match="is damaged"):
            assert load(kernel) is None


def test_files_of_other_sources_or_functions_are_not_taken(folder, monkeypatch):
    """They are whole, so that nothing is said."""
    shutil.copyfile(name_file(SMALL, folder), name_file(LARGEST, folder))
    assert load(LARGEST) is None
    assert load(SMALL) is not None
    monkeypatch.setattr(compiler, "_SOURCES", b"changed")
    assert load(SMALL) is None


def test_a_machine_without_a_folder_is_said(folder, monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.warns(RuntimeWarning, match="cannot be kept on this machine .no folder.*the same"):
        kernel = compiler.kept(SMALL.py_func)
    compiler.kept(SMALL.py_func)  # once is enough
    assert kernel(np.zeros((4, 1), dtype="int64")).tolist() == [0.0]


@pytest.mark.parametrize("seed", range(TRAININGS))
def test_training_on_flipped_bits_gives_the_same_network(folder, expected, seed):
    path = name_file(LARGEST if LARGE and seed % 20 == 0 else SMALL, folder)
    path.write_bytes(flip_bits(path.read_bytes(), seed))
    found, (warning,) = end_training(start_training(folder))
    assert found == expected
    assert "RuntimeWarning: the kernel kept in" in warning
    assert "(it is damaged: its checksum differs) and is compiled again; the result is" in warning
    if seed < 4:
        assert end_training(start_training(folder)) == (expected, [])  # it was mended


def empty(path):
    path.write_bytes(b"")


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def take_for_a_folder(path):
    path.unlink()
    path.mkdir()


def forbid(path):
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    path.chmod(0)


@pytest.mark.parametrize("damage", [empty, cut_in_half, take_for_a_folder, forbid])
def test_training_on_a_damaged_file_gives_the_same_network(folder, expected, damage):
    damage(name_file(SMALL, folder))
    found, warnings = end_training(start_training(folder))
    assert found == expected
    assert len(warnings) == 1


@pytest.mark.slow
def test_training_goes_on_when_everything_is_damaged(folder, expected):
    for path in folder.glob("*.nbc"):
        empty(path)
    found, warnings = end_training(start_training(folder))
    assert found == expected
    assert len(warnings) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk_is_said_and_no_end(folder, expected):
    path = name_file(SMALL, folder)
    path.unlink()
    found, (warning,) = end_training(start_training(folder, limit=10_000))
    assert found == expected
    assert f"compiled kernels cannot be kept in {folder} (File too large)" in warning
    assert not path.exists()
    assert not list(folder.glob(".*"))  # nor anything half written


def test_processes_mend_a_file_at_the_same_time(folder, expected):
    empty(name_file(SMALL, folder))
    for process in [start_training(folder) for _ in range(4)]:
        found, warnings = end_training(process)
        assert found == expected
        assert len(warnings) <= 1
    assert end_training(start_training(folder)) == (expected, [])
