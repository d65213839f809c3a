"""CUDA kernels, compiled and launched through CuPy: the bits of `neuron/`, sooner.

A launch starts a kernel in many blocks of threads; a block works off leaves, groups of 64
examples, one after the other.

Nothing here waits for the device: iterations follow each other on CuPy's current stream, many
of them as one CUDA graph, so that the host has nothing to do for each.
"""

import ctypes
import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from importlib.resources import files
from threading import Lock
from typing import Any, NamedTuple

from neuron_xp.backends.backend import SUMMANDS, Summand, Think
from neuron_xp.backends.cuda_kernels.problem import (
    Device,
    Kernel,
    Launch,
    ProblemFields,
    ProblemOnDevice,
)
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.reproducible.exact_sum import Accumulator
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array, Namespace

OPTIONS = ("--fmad=false", "-std=c++17")
"""A product is rounded before it is added."""
LAUNCHES_PER_GRAPH = 32


@dataclass(frozen=True, eq=False)
class CudaKernels:
    """Kernels on a device, for every learning rule.

    A problem of at most `few_leaves` leaves and `few_products` rows times weights is worked
    on by one block, many iterations a launch; others by many blocks, a launch each.
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
        """See `backend.Kernels`: many blocks share any work."""
        return replace(self, kernels=replace(self.kernels, few_leaves=0))

    def find_summand(self, function: Summand) -> Summand | None:
        """See `backend.Kernels`."""
        return partial(self._sum, function) if function in SUMMANDS else None

    def find_think(self, *, logits: bool) -> Think | None:
        """See `backend.Kernels`: there is none."""
        return None

    def _sum(
        self, function: Summand, examples: Examples, parameters: Parameters
    ) -> tuple[Accumulator, ...]:
        losses, gradients = SUMMANDS[function]
        problem = self._place(parameters, examples, wants_parameters=gradients, wants_losses=losses)
        problem.keep_digits()
        self.kernels.iterate(problem, 1)
        return problem.read_accumulators()

    def _place(self, parameters: Parameters, examples: Examples, **wanted: bool) -> ProblemOnDevice:
        return ProblemOnDevice(
            self.kernels.device, self.rule, parameters, examples,
            no_tiny_inputs=self.no_tiny_inputs, **wanted,
        )  # fmt: skip

    def _total(self, problem: ProblemOnDevice) -> ProblemOnDevice:
        problem.keep_totals()
        self.kernels.iterate(problem, 1)
        return problem


@cache
def read_source(name: str) -> str:
    """Read a source, with the sources that it includes in their places."""
    text = files(__package__).joinpath(name).read_text("utf-8")
    return re.sub(r'#include "(.+)"', lambda found: read_source(found[1]), text)


def compile_kernels(xp: Namespace, device: Any) -> CudaKernels:
    """Compile the kernels for a CuPy device, which is to be the current one at every call."""
    shared_bytes = device.attributes["MaxSharedMemoryPerBlockOptin"]
    return CudaKernels(
        Device(
            xp=xp,
            device=device,
            start=_Starter(xp, shared_bytes).start,
            address=lambda array: int(array.data.ptr),
            processors=device.attributes["MultiProcessorCount"],
            shared_bytes=shared_bytes,
        )
    )


class _Graph(NamedTuple):
    """Launches of a kernel, recorded: `graph` runs them all on the problem in an array."""

    problem: Array
    graph: Any


def _compile_source(name: str, options: tuple[str, ...]) -> Any:
    import cupy

    return cupy.RawModule(code=read_source(name), options=(*OPTIONS, *options))


class _Starter:
    """Starts kernels through CuPy on the current stream, and keeps what that has compiled."""

    def __init__(self, xp: Namespace, shared_bytes: int) -> None:
        self._lock = Lock()
        self._xp, self._shared_bytes = xp, shared_bytes
        self._compile = lru_cache(maxsize=64)(_compile_source)
        self._find = lru_cache(maxsize=64)(self._find_function)
        self._record = lru_cache(maxsize=32)(self._record_graph)

    def start(self, kernel: Kernel, launch: Launch, problem: Array, count: int) -> None:
        """See `Device`."""
        import cupy

        stream = cupy.cuda.get_current_stream()
        graphs, others = divmod(count - 1, LAUNCHES_PER_GRAPH)
        for _ in range(1 + others):  # one at least: the driver loads the kernel
            self._launch(kernel, launch, problem)
        if graphs:
            with self._lock:  # two threads may share a stream, and so a graph and its problem
                recorded = self._record(kernel, launch, stream.ptr)
                recorded.problem[...] = problem
                for _ in range(graphs):
                    recorded.graph.launch(stream)

    def _launch(self, kernel: Kernel, launch: Launch, problem: Array) -> None:
        shape = (launch.blocks,), (launch.threads,)
        self._find(kernel)(*shape, (problem,), shared_mem=launch.shared_bytes)

    def _find_function(self, kernel: Kernel) -> Any:
        function = self._compile(kernel.source, kernel.options).get_function(kernel.name)
        function.max_dynamic_shared_size_bytes = self._shared_bytes  # 48 KB unless asked for more
        return function

    def _record_graph(self, kernel: Kernel, launch: Launch, _: int) -> _Graph:
        import cupy

        problem = self._xp.zeros(ctypes.sizeof(ProblemFields) // 8, dtype=self._xp.int64)
        with cupy.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            for _ in range(LAUNCHES_PER_GRAPH):
                self._launch(kernel, launch, problem)
            return _Graph(problem, stream.end_capture())


def list_options(architecture: str, options: tuple[str, ...] = OPTIONS) -> tuple[str, ...]:
    """List all that NVRTC is told when CuPy compiles a `RawModule` with these options.

    CuPy 14 adds the paths of headers in cupy/_core/core.pyx (`assemble_cupy_compiler_options`) and
    the rest in cupy/cuda/compiler.py (`_compile_with_cache_cuda` and what that calls).
    """
    from cupy._core.core import assemble_cupy_compiler_options

    with_headers = assemble_cupy_compiler_options(options)
    of_compiler = ("-ftz=true", f"-arch={architecture}", "--device-as-default-execution-space")
    return (*with_headers, *of_compiler)


def compile_ptx(kernel: Kernel, architecture: str, options: tuple[str, ...] = OPTIONS) -> str:
    """Compile a kernel for an architecture, such as "compute_90"; no device is needed."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(read_source(kernel.source), kernel.source, (), ())
    try:
        nvrtc.compileProgram(program, list_options(architecture, (*options, *kernel.options)))
        return bytes(nvrtc.getPTX(program)).decode()
    except nvrtc.NVRTCError as error:
        raise RuntimeError(nvrtc.getProgramLog(program)) from error
    finally:
        nvrtc.destroyProgram(program)
