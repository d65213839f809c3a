"""CUDA kernels, compiled and launched through CuPy: the bits of `neuron/`, sooner.

A launch starts a kernel in many blocks of threads; a block works off leaves, groups of 64
examples, one after the other.

Nothing here waits for the device: iterations follow each other on CuPy's current stream.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from neuron_xp.backends.backend import Summand
from neuron_xp.backends.cuda_kernels.problem import Device, Launch, ProblemOnDevice
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array, Namespace

OPTIONS = ("--fmad=false", "-std=c++17")
"""A product is rounded before it is added."""


@dataclass(frozen=True, eq=False)
class CudaKernels:
    """Kernels on a device, for every learning rule.

    A problem of at most `few_leaves` leaves and `few_products` rows times weights is worked
    on by one block, many iterations a launch; others by many blocks, two launches each.
    """

    device: Device
    few_leaves: int = 4
    few_products: int = 2**16

    def for_rule(self, rule: str, no_tiny_inputs: bool) -> "RuleKernels":
        """Return the kernels of one rule."""
        return RuleKernels(self, rule, no_tiny_inputs)

    def iterate(self, problem: ProblemOnDevice, count: int) -> None:
        """Start that many iterations, in one block or in many."""
        products = problem.fields.rows * problem.fields.weights
        if problem.leaves <= self.few_leaves and products <= self.few_products:
            problem.iterate_in_one_block(count)
        else:
            problem.iterate_in_many_blocks(count)


@dataclass(frozen=True)
class RuleKernels:
    """Kernels of one learning rule; see `backend.Kernels`."""

    kernels: CudaKernels
    rule: str
    no_tiny_inputs: bool

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """See `backend.Kernels`."""
        problem = self._place(parameters, examples)
        problem.fields.learning_rate = learning_rate
        problem.fields.has_l2, problem.fields.l2 = l2 is not None, l2 or 0.0
        self.kernels.iterate(problem, count)
        return problem.read_parameters()

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """See `backend.Kernels`."""
        problem = self._place(parameters, examples, wants_parameters=False, wants_losses=True)
        return self._total(problem).read_losses()

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        return self._total(self._place(parameters, examples)).read_sums()

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        problem = self._total(self._place(parameters, examples, wants_losses=True))
        return problem.read_losses(), *problem.read_sums()

    def share_all(self) -> "RuleKernels":
        """Return these: a device shares all of its work."""
        return self

    def find_summand(self, function: Summand) -> None:
        """Return None: sums of a part, not yet totals, are left to array operations."""

    def _place(self, parameters: Parameters, examples: Examples, **wanted: bool) -> ProblemOnDevice:
        device = self.kernels.device
        problem = ProblemOnDevice(device, self.rule, parameters, examples, **wanted)
        problem.fields.no_tiny_inputs = self.no_tiny_inputs
        return problem

    def _total(self, problem: ProblemOnDevice) -> ProblemOnDevice:
        problem.keep_totals()
        self.kernels.iterate(problem, 1)
        return problem


def read_source(name: str = "training.cu") -> str:
    """Read a source, with the sources that it includes in their places."""
    text = files(__package__).joinpath(name).read_text("utf-8")
    return re.sub(r'#include "(.+)"', lambda found: read_source(found[1]), text)


def compile_kernels(xp: Namespace, device: Any) -> CudaKernels:
    """Compile the kernels for a CuPy device, which is to be the current one at every call."""
    import cupy

    function = cache(cupy.RawModule(code=read_source(), options=OPTIONS).get_function)

    def start(name: str, launch: Launch, problem: Array) -> None:
        shape = (launch.blocks,), (launch.threads,)
        function(name)(*shape, (problem,), shared_mem=launch.shared_bytes)

    return CudaKernels(
        Device(
            xp=xp,
            device=device,
            start=start,
            address=lambda array: int(array.data.ptr),
            processors=device.attributes["MultiProcessorCount"],
        )
    )


def list_options(architecture: str, options: tuple[str, ...] = OPTIONS) -> tuple[str, ...]:
    """List all that NVRTC is told when CuPy compiles a `RawModule` with these options.

    CuPy 14 adds the paths of headers in cupy/_core/core.pyx (`assemble_cupy_compiler_options`) and
    the rest in cupy/cuda/compiler.py (`_compile_with_cache_cuda` and what that calls).
    """
    from cupy._core.core import assemble_cupy_compiler_options

    with_headers = assemble_cupy_compiler_options(options)
    of_compiler = ("-ftz=true", f"-arch={architecture}", "--device-as-default-execution-space")
    return (*with_headers, *of_compiler)


def compile_ptx(architecture: str, options: tuple[str, ...] = OPTIONS) -> str:
    """Compile the kernels for an architecture, such as "compute_90"; no device is needed."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(read_source(), "training.cu", (), ())
    try:
        nvrtc.compileProgram(program, list_options(architecture, options))
        return bytes(nvrtc.getPTX(program)).decode()
    except nvrtc.NVRTCError as error:
        raise RuntimeError(nvrtc.getProgramLog(program)) from error
    finally:
        nvrtc.destroyProgram(program)
