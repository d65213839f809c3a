"""The CUDA kernels compiled for the host, as a library: see cuda_on_host.cpp."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.backends.cuda_kernels.problem import Device

HOST_PROGRAM = Path(__file__).parent / "cuda_on_host.cpp"
COMPILE = ["g++", "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
DEVICE = Device(xp, None, lambda *_: None, lambda array: array.ctypes.data, 1, 227 * 1024)


@cache
def load_host_library(source="training.cu", options=()):
    """Compile the text that devices compile, and load it."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        built = str(Path(folder, "cuda_on_host.so"))
        Path(folder, source).write_text(cuda.read_source(source), "utf-8")
        told = [f'-DKERNELS="{source}"', *options, "-I", folder]
        subprocess.run([*COMPILE, *told, HOST_PROGRAM, "-o", built], check=True)
        library = ctypes.CDLL(built)
    library.launch.restype = library.sum_by_warp.restype = ctypes.c_bool
    library.sum_by_thread.restype = library.exact_sum.restype = ctypes.c_double
    pointers = [array.ctypes.data for array in DEVICE.tables.values()]
    library.use_tables((ctypes.c_void_p * len(pointers))(*pointers))
    return library


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def same_bits(a, b):
    """NaN has many bit patterns, and the contract names none."""
    a, b = (np.where(np.isnan(x), np.nan, x) for x in map(np.asarray, (a, b)))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
