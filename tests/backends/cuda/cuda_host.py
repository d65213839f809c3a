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
DEVICE = Device(xp, None, lambda *_: None, lambda array: array.ctypes.data, 1, 227 * 1024)
WAYS = {"one block": {"few_leaves": 99, "few_products": 10**9}, "many blocks": {"few_leaves": 0}}


@cache
def load_host_library(source="training.cu", options=()):
    """Compile the text that devices compile, and load it."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        built = str(Path(folder, "cuda_on_host.so"))
        Path(folder, source).write_text(cuda.read_source(source), "utf-8")
        told = ["-O2", f'-DKERNELS="{source}"', *options, "-I", folder]
        program = str(HERE / "cuda_on_host.cpp")
        subprocess.run([*COMPILE, *told, program, "-o", built], check=True)
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

    def start(kernel, launch, problem, count):
        library = load_host_library(kernel.source, kernel.options)
        for _ in range(count):
            done = library.launch(kernel.name.encode(), *launch, backwards, pointer(problem))
            assert done, f"{kernel}: {library.why_it_failed().decode()}"

    return host_kernels(start, way)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def same_bits(a, b):
    """NaN has many bit patterns, and the contract names none."""
    a, b = (np.where(np.isnan(x), np.nan, x) for x in map(np.asarray, (a, b)))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def assert_same(found, expected):
    assert [same_bits(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(expected)
