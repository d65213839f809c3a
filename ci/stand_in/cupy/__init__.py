"""A strict stand-in for CuPy, for tests on a machine without a GPU: its numbers are NumPy's.

It refuses what CuPy refuses on two GPUs that cannot read each other's memory. What CuPy has and
nothing here needs is missing. Kernels are compiled for the host.
"""

from cupy import _functions, cuda, fft, linalg
from cupy._array import ndarray
from cupy._functions import *
from cupy._kernels import RawKernel, RawModule
from cupy._reductions import *
from numpy import (
    bool_, broadcast_shapes, complex128, complex64, dtype, e, finfo, float32, float64, iinfo, inf,
    int16, int32, int64, int8, integer, intp, isdtype, issubdtype, nan, newaxis, pi, result_type,
    uint16, uint32, uint64, uint8,
)  # fmt: skip

__version__ = "14.2.0+stand.in"

globals().update(_functions.UFUNCS)


def get_default_memory_pool() -> cuda.MemoryPool:
    return cuda.MemoryPool()


def get_default_pinned_memory_pool() -> cuda.MemoryPool:
    return cuda.MemoryPool()
