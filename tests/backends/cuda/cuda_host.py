"""The CUDA kernels on the host: as C++, compiled by its own compiler (see cuda_on_host.cpp)."""

import ctypes
import shutil
import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.backends.cuda_kernels.problem import Device

HERE = Path(__file__).parent
COMPILE = ["g++", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC"]
DEVICE = Device(xp, None, lambda *_: None, lambda array: array.ctypes.data, 1)
WAYS = {"one block": {"few_leaves": 99, "few_products": 10**9}, "many blocks": {"few_leaves": 0}}


@cache
def load_host_library():
    """Compile the text that devices compile, and load it."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        built = str(Path(folder, "cuda_on_host.so"))
        Path(folder, "training.cu").write_text(cuda.read_source(), "utf-8")
        program = str(HERE / "cuda_on_host.cpp")
        subprocess.run([*COMPILE, "-O2", "-I", folder, program, "-o", built], check=True)
        library = ctypes.CDLL(built)
    library.launch.restype = library.sum_by_warp.restype = ctypes.c_bool
    library.why_it_failed.restype = ctypes.c_char_p
    library.sum_by_thread.restype = library.exact_sum.restype = ctypes.c_double
    pointers = [array.ctypes.data for array in DEVICE.tables.values()]
    library.use_tables((ctypes.c_void_p * len(pointers))(*pointers))
    return library


def host_kernels(start, way=None):
    """Return kernels that `start` starts, in one block or in many, or in as many as they choose."""
    return cuda.CudaKernels(replace(DEVICE, start=start), **WAYS.get(way, {}))


def cpp_kernels(way, backwards=False):
    """Return kernels on the host, as their C++ is written."""

    def start(name, launch, problem):
        library = load_host_library()
        done = library.launch(name.encode(), *launch, backwards, pointer(problem))
        assert done, f"{name}: {library.why_it_failed().decode()}"

    return host_kernels(start, way)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def same_bits(a, b):
    """NaN has many bit patterns, and the contract names none."""
    a, b = (np.where(np.isnan(x), np.nan, x) for x in map(np.asarray, (a, b)))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def assert_same(found, expected):
    assert [same_bits(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(expected)
