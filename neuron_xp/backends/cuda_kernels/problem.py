"""Problems in a device's memory, as the kernels are given them, and launches that suit them."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from neuron_xp.neuron.layers import Parameters, flatten, unflatten
from neuron_xp.neuron.reproducible import elementary, exact_sum, logarithm
from neuron_xp.neuron.reproducible.exact_sum import BROKEN, LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array, Namespace

RULE_CODES = {"error_weighted_derivative": 0, "cross_entropy": 1, "softmax_cross_entropy": 2}
BINS = BROKEN + 2
FEW_THREADS, MANY_THREADS = 64, 256
SHARED_BYTES = 48 * 1024  # what a block has on every device
SCRATCH_BYTES = 2**30
BLOCKS_PER_PROCESSOR = 8
ITERATIONS_PER_LAUNCH = 10_000  # of a small problem: a fraction of a second

_TABLES = ("exp_high", "exp_low", "power", "log_high", "log_low", "limit", "units")


def _fields(names: str, kind: type[Any]) -> list[tuple[str, type[Any]]]:
    return [(name, kind) for name in names.split()]


class ProblemFields(ctypes.Structure):
    """`struct Problem` of problem.cuh."""

    _fields_ = [
        *_fields("inputs targets sample_weight mean inverse_scale", ctypes.c_void_p),
        *_fields("parameters totals sizes", ctypes.c_void_p),
        *_fields("layers rows weights sums first_loss", ctypes.c_longlong),
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
    start(kernel, launch, problem) : start the kernel of that name on `ProblemFields` in an array
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
        """Tables of the arithmetic, by their names in `ProblemFields`."""
        exp = elementary.exp_tables(xp=self.xp, device=self.device)
        log = logarithm.log_tables(xp=self.xp, device=self.device)
        grid = exact_sum.grid(xp=self.xp, device=self.device)
        arrays = (exp.high, exp.low, exp.power, log.high, log.low)
        return dict(zip(_TABLES, (*arrays, grid.limit, grid.units), strict=True))

    def copy_integers(self, values: list[int]) -> Array:
        """Copy integers to the device, 8 bytes each."""
        return self.xp.asarray(values, dtype=self.xp.int64, device=self.device)

    def make_zeros(self, count: int, dtype: Any = None) -> Array:
        """Make an array of zeros, 8 bytes each; integers without a dtype."""
        return self.xp.zeros((count,), dtype=dtype or self.xp.int64, device=self.device)


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


class ProblemOnDevice:
    """A problem in the device's memory, with every array that it points to.

    wants_parameters, wants_losses : which sums over the examples are asked for: those of the
        parameters, those of each output neuron's loss, or both
    """

    def __init__(
        self, device: Device, rule: str, parameters: Parameters, examples: Examples,
        *, wants_parameters: bool = True, wants_losses: bool = False,
    ) -> None:  # fmt: skip
        self._device, self._xp = device, device.xp
        self._kept: list[Array] = []
        self._like = parameters
        rows, features = examples.inputs.shape
        sizes = [features, *(weights.shape[1] for weights in parameters.weights)]
        flat = flatten(parameters, xp=self._xp)
        self._parameters = self._xp.asarray(flat, copy=True)  # also of one
        self._totals: Array = None  # until they are to be kept
        self.leaves = ceil(rows / LEAF)
        first_loss = flat.shape[0] if wants_parameters else 0
        sums = first_loss + (sizes[-1] if wants_losses else 0)
        scaled = examples.scaling is not None
        self._plan = _choose_plan(sizes, sums, self.leaves, scaled, device.processors)
        self.fields = ProblemFields(
            layers=len(sizes) - 1, rows=rows, sums=sums, first_loss=first_loss,
            weights=sum(n * m for n, m in pairwise(sizes)), has_biases=bool(parameters.biases),
            rule=RULE_CODES[rule], workspace_size=self._plan.size, staged=self._plan.staged,
        )  # fmt: skip
        mean, inverse_scale = examples.scaling or (None, None)
        self._point(
            inputs=examples.inputs, targets=examples.targets, mean=mean,
            sample_weight=examples.sample_weight, inverse_scale=inverse_scale,
            parameters=self._parameters, sizes=device.copy_integers(sizes), **device.tables,
        )  # fmt: skip

    def _point(self, **arrays: Array | None) -> None:
        """Put the addresses of arrays into the problem; an array with gaps is copied."""
        for name, array in arrays.items():
            if array is not None:
                self._kept.append(self._xp.reshape(array, (-1,)))
                setattr(self.fields, name, self._device.address(self._kept[-1]))

    def _make_workspace(self, blocks: int) -> None:
        if not self._plan.launch.shared_bytes:
            self._point(workspace=self._device.make_zeros(blocks * self._plan.size))

    def _copy_fields(self) -> Array:
        words = ctypes.c_longlong * (ctypes.sizeof(ProblemFields) // 8)
        return self._device.copy_integers(list(words.from_buffer_copy(self.fields)))

    def keep_totals(self) -> None:
        """Have the totals put into an array, and the parameters left as they are."""
        self._totals = self._device.make_zeros(self.fields.sums, self._xp.float64)
        self._point(totals=self._totals)

    def iterate_in_one_block(self, count: int) -> None:
        """Run all iterations in one launch, or in a few that do not last."""
        self._make_workspace(1)
        for start in range(0, count, ITERATIONS_PER_LAUNCH):
            self.fields.iterations = min(count - start, ITERATIONS_PER_LAUNCH)
            launch = self._plan.launch._replace(blocks=1)
            self._device.start("train", launch, self._copy_fields())

    def iterate_in_many_blocks(self, count: int) -> None:
        """Run each iteration in two launches."""
        self._make_workspace(self._plan.launch.blocks)
        sums = self.fields.sums
        levels, bins = map(self._device.make_zeros, (sums, BINS * sums))
        self._point(levels=levels, bins=bins)
        problem = self._copy_fields()
        finish = Launch(blocks=ceil(sums / MANY_THREADS), threads=MANY_THREADS)
        for _ in range(count):
            self._device.start("add_leaves", self._plan.launch, problem)
            self._device.start("finish", finish, problem)

    def read_parameters(self) -> Parameters:
        """Return the parameters as they are when the kernels are done."""
        return unflatten(self._parameters, self._like, xp=self._xp)

    def read_losses(self) -> Array:
        """Return the totals of the losses."""
        return self._totals[self.fields.first_loss :]

    def read_sums(self) -> tuple[Array, ...]:
        """Return the totals of the parameters, each in its parameter's shape."""
        weights, biases = unflatten(self._totals, self._like, xp=self._xp)
        return *weights, *biases
