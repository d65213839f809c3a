"""The CUDA kernels' PTX, translated for the host's processor, as a library: see ptx_on_host.cpp."""

import ctypes
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from cuda_host import COMPILE, HERE, host_kernels
from ptx_to_cpp import translate

from neuron_xp.backends.cuda_kernels import kernels as cuda

HOPPER = "compute_90"
LAUNCHES = Counter()  # of all programs, by the kernel's name
# addresses are integers, integers wrap, and a thread's registers fit its stack
LIKE_A_DEVICE = [
    "-fwrapv",
    "-fno-strict-aliasing",
    "-Wno-overflow",
    "-Werror=frame-larger-than=200000",
]


@dataclass
class PtxProgram:
    """A program of kernels, and how many instructions it has executed.

    instructions : of each kernel, those of each warp's busiest lane
    """

    library: ctypes.CDLL
    instructions: Counter[str] = field(default_factory=Counter)

    def launch(self, name, launch, backwards, *values):
        """Run a kernel on values of ctypes, as many as it has parameters."""
        given = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        done = self.library.launch(name.encode(), *launch, backwards, given)
        assert done, f"{name}: {self.library.why_it_failed().decode()}"
        LAUNCHES[name] += 1
        self.instructions[name] += self.library.warp_instructions()


def build(ptx):
    """Translate PTX, and load it."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        built = str(Path(folder, "ptx_on_host.so"))
        Path(folder, "kernels.inc").write_text(translate(ptx), "utf-8")
        program = str(HERE / "ptx_on_host.cpp")
        subprocess.run([*COMPILE, *LIKE_A_DEVICE, "-I", folder, program, "-o", built], check=True)
        library = ctypes.CDLL(built)
    library.launch.restype = ctypes.c_bool
    library.why_it_failed.restype = ctypes.c_char_p
    library.warp_instructions.restype = ctypes.c_longlong
    return PtxProgram(library)


def need_nvrtc():
    pytest.importorskip("cupy", reason="needs CuPy, which reaches the compiler NVRTC")
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:  # the loader's own class
        pytest.skip(f"needs the library NVRTC (pip install nvidia-cuda-nvrtc): {error}"[:120])


def compile_ptx(kernel, architecture, options=cuda.OPTIONS):
    """Compile a kernel by NVRTC, or skip where there is none."""
    need_nvrtc()
    return cuda.compile_ptx(kernel, architecture, options)


def load_ptx_program(kernel, architecture, options=cuda.OPTIONS):
    """Return the program of a kernel: one for all kernels of its source."""
    return _load(kernel._replace(name=""), architecture, options)


@cache
def _load(kernel, architecture, options):
    return build(compile_ptx(kernel, architecture, options))


def ptx_kernels(way, backwards=False, architecture=HOPPER, options=cuda.OPTIONS):
    """Return kernels on the host, by what the compiler of devices makes of them."""

    def start(kernel, launch, problem, count):
        address = ctypes.c_void_p(problem.ctypes.data)
        program = load_ptx_program(kernel, architecture, options)
        for _ in range(count):
            program.launch(kernel.name, launch, backwards, address)

    return host_kernels(start, way)
