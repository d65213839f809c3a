"""Kernels of CUDA's language, as CuPy compiles and starts them: here the host runs them.

COMPILERS is the place for others: a function that is given the text and the options, and returns
what starts a kernel by its name.
"""

import ctypes
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cupy import _devices
from cupy._array import ndarray, unwrap

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / "build" / "stand-in"
WITHOUT_ASKING = _devices.ATTRIBUTES["MaxSharedMemoryPerBlock"]
MOST_SHARED = _devices.ATTRIBUTES["MaxSharedMemoryPerBlockOptin"]
MOST_THREADS = _devices.ATTRIBUTES["MaxThreadsPerBlock"]
_one_at_a_time = threading.Lock()  # compile or run: the host's program has one grid


class Program(Protocol):
    """Starts a kernel on the problem at an address; returns what went wrong, if anything."""

    def __call__(
        self, name: str, blocks: int, threads: int, shared_bytes: int, problem: int
    ) -> str: ...


@cache
def compile_by_host_program(code: str, options: tuple[str, ...]) -> Program:
    """Compile the text for the host, in the program of the CUDA kernels' own tests."""
    sys.path.append(str(ROOT / "tests" / "backends" / "cuda"))
    try:
        from cuda_host import COMPILE, HERE
    finally:
        sys.path.pop()
    program = HERE / "cuda_on_host.cpp"
    text = [file.read_text("utf-8") for file in (program, *sorted(HERE.glob("*.hpp")))]
    told = [
        "-O2",
        '-DKERNELS="kernels.cu"',
        *(option for option in options if option.startswith("-D")),
    ]
    digest = hashlib.sha256(repr((code, told, text, COMPILE)).encode()).hexdigest()[:16]
    library = BUILT / digest / "cuda_on_host.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        (library.parent / "kernels.cu").write_text(code, "utf-8")
        made = library.with_suffix(f".{os.getpid()}")  # whole, for processes side by side
        subprocess.run([*COMPILE, *told, "-I", library.parent, program, "-o", made], check=True)
        made.replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.launch.restype = ctypes.c_bool
    loaded.why_it_failed.restype = ctypes.c_char_p

    def start(name: str, blocks: int, threads: int, shared_bytes: int, problem: int) -> str:
        backwards = False
        sizes = map(ctypes.c_uint, (blocks, threads, shared_bytes))
        address = ctypes.c_void_p(problem)
        done = loaded.launch(name.encode(), *sizes, ctypes.c_bool(backwards), address)
        return "" if done else str(loaded.why_it_failed().decode())

    return start


COMPILERS: dict[str, Callable[[str, tuple[str, ...]], Program]] = {"host": compile_by_host_program}


class RawModule:
    """A text of CUDA, compiled when a kernel of it is first started."""

    def __init__(
        self, code: str | None = None, *, path: str | None = None, options: tuple[str, ...] = (),
        backend: str = "nvrtc", translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False, name_expressions: Any = None,
        jitify: bool = False,
    ) -> None:  # fmt: skip
        if code is None or path is not None or name_expressions is not None:
            raise NotImplementedError("the stand-in compiles a code, without name_expressions")
        if not isinstance(options, tuple):
            raise TypeError(f"options must be a tuple of str; got {type(options).__name__}")
        self.code, self.options = code, options

    def get_function(self, name: str) -> "RawKernel":
        return RawKernel(self.code, name, self.options)


class RawKernel:
    """A kernel by its name, and the launches of it."""

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc",
        **_: Any,
    ) -> None:  # fmt: skip
        if f" {name}(" not in code:
            raise _devices.CUDARuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        self.name, self.code, self.options = name, code, options
        self._most_shared = dict.fromkeys(range(_devices.COUNT), WITHOUT_ASKING)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._most_shared[_devices.current.device]

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, count: int) -> None:
        """Ask for as much; the current device keeps it."""
        if not 0 <= count <= MOST_SHARED:
            raise ValueError(f"CUDA_ERROR_INVALID_VALUE: {count} bytes; a block has {MOST_SHARED}")
        self._most_shared[_devices.current.device] = count

    def compile(self) -> None:
        with _one_at_a_time:
            self._program()

    def _program(self) -> Program:
        return COMPILERS[os.environ.get("NEURON_XP_STAND_IN", "host")](self.code, self.options)

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *,
        shared_mem: int = 0, stream: Any = None,
    ) -> None:  # fmt: skip
        blocks, threads = map(_one_dimension, (grid, block))
        if not 0 < blocks < 2**31 or not 0 < threads <= MOST_THREADS:
            raise ValueError(f"CUDA_ERROR_INVALID_VALUE: {blocks} blocks of {threads} threads")
        if not 0 <= shared_mem <= self.max_dynamic_shared_size_bytes:
            raise ValueError(f"CUDA_ERROR_INVALID_VALUE: {shared_mem} bytes of shared memory")
        [problem] = args
        if not isinstance(problem, ndarray):
            raise TypeError(f"the stand-in's kernels take one array; got {type(problem).__name__}")
        work = partial(self._run, blocks, threads, shared_mem, unwrap(problem))
        (stream or _devices.current_stream())._add(work)

    def _run(self, blocks: int, threads: int, shared_bytes: int, problem: np.ndarray) -> None:
        with _one_at_a_time:
            wrong = self._program()(self.name, blocks, threads, shared_bytes, problem.ctypes.data)
        if wrong:
            raise _devices.CUDARuntimeError(f"cudaErrorLaunchFailure: {self.name}: {wrong}")


def _one_dimension(shape: tuple[int, ...]) -> int:
    if not isinstance(shape, tuple) or any(size != 1 for size in shape[1:]):
        raise TypeError(f"the stand-in has grids and blocks of one dimension; got {shape!r}")
    return int(shape[0])
