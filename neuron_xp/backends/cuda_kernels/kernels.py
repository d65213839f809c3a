"""CUDA kernels, compiled and launched through CuPy: the bits of `neuron/`, sooner.

A launch starts a kernel in many blocks of threads; a block works off leaves, groups of 64
examples, one after the other.

Nothing here waits for the device: iterations follow each other on CuPy's current stream.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import pairwise
from math import ceil, prod
from typing import Any, NamedTuple

from neuron_xp.backends.backend import Summand
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.reproducible import elementary, exact_sum, logarithm
from neuron_xp.neuron.reproducible.exact_sum import BROKEN, LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array, Namespace

OPTIONS = ("--fmad=false", "-std=c++17")
"""A product is rounded before it is added."""

RULE_CODES = {"error_weighted_derivative": 0, "cross_entropy": 1}
BINS = BROKEN + 2
FEW_THREADS, MANY_THREADS = 64, 256
SHARED_BYTES = 48 * 1024  # what a block has on every device
SCRATCH_BYTES = 2**30
BLOCKS_PER_PROCESSOR = 8
ITERATIONS_PER_LAUNCH = 10_000  # of a small problem: a fraction of a second

_TABLES = ("exp_high", "exp_low", "power", "log_high", "log_low", "limit", "units")


def _fields(names: str, kind: type[Any]) -> list[tuple[str, type[Any]]]:
    return [(name, kind) for name in names.split()]


class _Problem(ctypes.Structure):
    """`struct Problem` of training.cu."""

    _fields_ = [
        *_fields("inputs targets sample_weight mean inverse_scale", ctypes.c_void_p),
        *_fields("parameters losses sizes", ctypes.c_void_p),
        *_fields("layers rows weights sums", ctypes.c_longlong),
        *_fields("has_biases rule no_tiny_inputs has_l2", ctypes.c_longlong),
        *_fields("learning_rate l2", ctypes.c_double),
        *_fields("iterations", ctypes.c_longlong),
        *((name, ctypes.c_void_p) for name in _TABLES),
        *_fields("levels bins workspace", ctypes.c_void_p),
        *_fields("workspace_size staged", ctypes.c_longlong),
    ]


class Launch(NamedTuple):
    """Number of blocks, of threads in a block, and of bytes of memory that a block shares."""

    blocks: int
    threads: int
    shared_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Device:
    """A device, as the kernels need it.

    xp, device : the namespace of its arrays, and the device as that spells it
    start(kernel, launch, problem) : start the kernel of that name on a `_Problem` in an array
    address(array) : return the address of its numbers
    processors : how many it has; each runs several blocks at a time
    """

    xp: Namespace
    device: Any
    start: Callable[[str, Launch, Array], None]
    address: Callable[[Array], int]
    processors: int

    @cached_property
    def tables(self) -> dict[str, Array]:
        """Tables of the arithmetic, by their names in `_Problem`."""
        exp = elementary.exp_tables(xp=self.xp, device=self.device)
        log = logarithm.log_tables(xp=self.xp, device=self.device)
        grid = exact_sum.grid(xp=self.xp, device=self.device)
        arrays = (exp.high, exp.low, exp.power, log.high, log.low)
        return dict(zip(_TABLES, (*arrays, grid.limit, grid.units), strict=True))

    def copy_integers(self, values: list[int]) -> Array:
        """Copy integers to the device, 8 bytes each."""
        return self.xp.asarray(values, dtype=self.xp.int64, device=self.device)

    def make_zeros(self, count: int) -> Array:
        """Make an array of zeros, 8 bytes each."""
        return self.xp.zeros((count,), dtype=self.xp.int64, device=self.device)


class _Plan(NamedTuple):
    """Workspace of a block, and the launch that goes with it.

    size : numbers of 8 bytes in the workspace
    staged : whether a leaf's inputs are copied into it
    """

    size: int
    staged: bool
    launch: Launch


def _choose_plan(sizes: list[int], sums: int, leaves: int, scaled: bool, processors: int) -> _Plan:
    """Choose shared memory where there is room, best with the inputs; else global memory."""
    size = 2 * LEAF * sum(neurons | 1 for neurons in sizes[1:]) + 4 * sums
    with_inputs = size + LEAF * (sizes[0] | 1)
    staged = scaled or 8 * with_inputs <= SHARED_BYTES
    size = with_inputs if staged else size
    shared_bytes = 8 * size if 8 * size <= SHARED_BYTES else 0
    threads = FEW_THREADS if max(*sizes, sums) <= FEW_THREADS else MANY_THREADS
    blocks = min(leaves, BLOCKS_PER_PROCESSOR * processors)
    if not shared_bytes:
        blocks = max(1, min(blocks, SCRATCH_BYTES // (8 * size)))
    return _Plan(size=size, staged=staged, launch=Launch(blocks, threads, shared_bytes))


class _ProblemOnDevice:
    """A problem in the device's memory, with every array that it points to."""

    def __init__(
        self, device: Device, rule: str, parameters: Parameters, examples: Examples, losses: bool
    ) -> None:
        self._device, self._xp = device, device.xp
        self._kept: list[Array] = []
        self._like = parameters
        rows, features = examples.inputs.shape
        sizes = [features, *(weights.shape[1] for weights in parameters.weights)]
        flat = [self._xp.reshape(x, (-1,)) for x in (*parameters.weights, *parameters.biases)]
        self._parameters = self._xp.asarray(self._xp.concat(flat), copy=True)  # also of one
        self.losses = self._xp.zeros_like(self._parameters[: sizes[-1]])
        self.leaves = ceil(rows / LEAF)
        self._sums = sizes[-1] if losses else self._parameters.shape[0]
        scaled = examples.scaling is not None
        self._plan = _choose_plan(sizes, self._sums, self.leaves, scaled, device.processors)
        self.problem = _Problem(
            layers=len(sizes) - 1, rows=rows, sums=self._sums, rule=RULE_CODES[rule],
            weights=sum(n * m for n, m in pairwise(sizes)), has_biases=bool(parameters.biases),
            workspace_size=self._plan.size, staged=self._plan.staged,
        )  # fmt: skip
        mean, inverse_scale = examples.scaling or (None, None)
        self._point(
            inputs=examples.inputs, targets=examples.targets, mean=mean,
            sample_weight=examples.sample_weight, inverse_scale=inverse_scale,
            parameters=self._parameters, losses=self.losses if losses else None,
            sizes=device.copy_integers(sizes), **device.tables,
        )  # fmt: skip

    def _point(self, **arrays: Array | None) -> None:
        """Put the addresses of arrays into the problem; an array with gaps is copied."""
        for name, array in arrays.items():
            if array is not None:
                self._kept.append(self._xp.reshape(array, (-1,)))
                setattr(self.problem, name, self._device.address(self._kept[-1]))

    def _make_workspace(self, blocks: int) -> None:
        if not self._plan.launch.shared_bytes:
            self._point(workspace=self._device.make_zeros(blocks * self._plan.size))

    def _copy_problem(self) -> Array:
        words = ctypes.c_longlong * (ctypes.sizeof(_Problem) // 8)
        return self._device.copy_integers(list(words.from_buffer_copy(self.problem)))

    def iterate_in_one_block(self, count: int) -> None:
        """Run all iterations in one launch, or in a few that do not last."""
        self._make_workspace(1)
        for start in range(0, count, ITERATIONS_PER_LAUNCH):
            self.problem.iterations = min(count - start, ITERATIONS_PER_LAUNCH)
            launch = self._plan.launch._replace(blocks=1)
            self._device.start("train", launch, self._copy_problem())

    def iterate_in_many_blocks(self, count: int) -> None:
        """Run each iteration in two launches."""
        self._make_workspace(self._plan.launch.blocks)
        levels, bins = map(self._device.make_zeros, (self._sums, BINS * self._sums))
        self._point(levels=levels, bins=bins)
        problem = self._copy_problem()
        finish = Launch(blocks=ceil(self._sums / MANY_THREADS), threads=MANY_THREADS)
        for _ in range(count):
            self._device.start("add_leaves", self._plan.launch, problem)
            self._device.start("finish", finish, problem)

    def read_parameters(self) -> Parameters:
        """Return the parameters as they are when the kernels are done."""
        start, parts = 0, []
        for old in (*self._like.weights, *self._like.biases):
            stop = start + prod(old.shape)
            parts.append(self._xp.reshape(self._parameters[start:stop], old.shape))
            start = stop
        layers = len(self._like.weights)
        return Parameters(tuple(parts[:layers]), tuple(parts[layers:]))


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
        kernels = self.kernels
        work = _ProblemOnDevice(kernels.device, self.rule, parameters, examples, losses=False)
        problem = work.problem
        problem.no_tiny_inputs, problem.learning_rate = self.no_tiny_inputs, learning_rate
        problem.has_l2, problem.l2 = l2 is not None, l2 or 0.0
        is_small = problem.rows * problem.weights <= kernels.few_products
        if is_small and work.leaves <= kernels.few_leaves:
            work.iterate_in_one_block(count)
        else:
            work.iterate_in_many_blocks(count)
        return work.read_parameters()

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """See `backend.Kernels`."""
        work = _ProblemOnDevice(self.kernels.device, self.rule, parameters, examples, losses=True)
        work.iterate_in_many_blocks(1)
        return work.losses

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        raise NotImplementedError

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        raise NotImplementedError

    def find_summand(self, function: Summand) -> None:
        """Return None: sums of a part, not yet totals, are left to array operations."""


def read_source() -> str:
    """Read the sources as one text."""
    header, kernels = (
        files(__package__).joinpath(name).read_text("utf-8")
        for name in ("arithmetic.cuh", "training.cu")
    )
    return kernels.replace('#include "arithmetic.cuh"', header)


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


def compile_ptx(architecture: str, options: tuple[str, ...] = OPTIONS) -> str:
    """Compile the kernels for an architecture, such as "compute_90"; no device is needed."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(read_source(), "training.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*options, f"--gpu-architecture={architecture}"))
        return bytes(nvrtc.getPTX(program)).decode()
    except nvrtc.NVRTCError as error:
        raise RuntimeError(nvrtc.getProgramLog(program)) from error
    finally:
        nvrtc.destroyProgram(program)
