"""Problems in a device's memory, as the kernels are given them, and launches that suit them."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from neuron_xp.neuron.layers import Parameters, flatten, unflatten
from neuron_xp.neuron.reproducible import elementary, logarithm
from neuron_xp.neuron.reproducible.elementary import LANES, SEGMENT
from neuron_xp.neuron.reproducible.exact_sum import BROKEN, LEAF, Accumulator
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array, Namespace

RULE_CODES = {"error_weighted_derivative": 0, "cross_entropy": 1, "softmax_cross_entropy": 2}
BINS = BROKEN + 2
FEW_THREADS, MANY_THREADS = 64, 256
THREADS_PER_PROCESSOR = 512  # each has 128 registers
SCRATCH_BYTES = 2**30
LAYER_WORDS = 10  # `struct Layer` of problem.cuh
ITERATIONS_PER_LAUNCH = 10_000  # of a small problem: a fraction of a second


def _fields(names: str, kind: type[Any]) -> list[tuple[str, type[Any]]]:
    return [(name, kind) for name in names.split()]


class ProblemFields(ctypes.Structure):
    """`struct Problem` of problem.cuh."""

    _fields_ = [
        *_fields("inputs targets sample_weight mean inverse_scale last_leaf", ctypes.c_void_p),
        *_fields("parameters totals digits sizes", ctypes.c_void_p),
        *_fields("layers rows weights sums first_loss", ctypes.c_longlong),
        *_fields("has_biases rule no_tiny_inputs has_l2", ctypes.c_longlong),
        *_fields("learning_rate l2", ctypes.c_double),
        *_fields("iterations", ctypes.c_longlong),
        *_fields("exp_table log_table", ctypes.c_void_p),
        *_fields("levels depths bins arrived workspace", ctypes.c_void_p),
        *_fields("workspace_size staged", ctypes.c_longlong),
    ]


class Kernel(NamedTuple):
    """A kernel: its source, its name there, and what the compiler is told besides."""

    source: str
    name: str
    options: tuple[str, ...] = ()


class Launch(NamedTuple):
    """Number of blocks, of threads in a block, and of bytes of memory that a block shares."""

    blocks: int
    threads: int
    shared_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Device:
    """A device, as the kernels need it.

    xp, device : the namespace of its arrays, and the device as that spells it
    start(kernel, launch, problem, count) : start a kernel so many times, one after the other, on
        `ProblemFields` in an array
    address(array) : return the address of its numbers
    processors : how many it has; each runs several blocks at a time
    shared_bytes : of memory that a block can share
    """

    xp: Namespace
    device: Any
    start: Callable[[Kernel, Launch, Array, int], None]
    address: Callable[[Array], int]
    processors: int
    shared_bytes: int

    @cached_property
    def tables(self) -> dict[str, Array]:
        """Tables of the arithmetic, by their names in `ProblemFields`: pairs of high and low."""
        exp = elementary.exp_tables(xp=self.xp, device=self.device)
        log = logarithm.log_tables(xp=self.xp, device=self.device)
        pairs = {"exp_table": (exp.high, exp.low), "log_table": (log.high, log.low)}
        return {name: self.xp.stack(pair, axis=1) for name, pair in pairs.items()}

    def copy_integers(self, values: list[int]) -> Array:
        """Copy integers to the device, 8 bytes each."""
        return self.xp.asarray(values, dtype=self.xp.int64, device=self.device)

    def make_zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        """Make an array of zeros, 8 bytes each; integers without a dtype."""
        return self.xp.zeros(shape, dtype=dtype or self.xp.int64, device=self.device)


class _Plan(NamedTuple):
    """A kernel that adds leaves up in many blocks, and its launch.

    size : numbers of 8 bytes in a block's workspace
    staged : whether a leaf's inputs are copied into it
    """

    kernel: Kernel
    launch: Launch
    size: int = 0
    staged: bool = False


ADD_LEAVES = Kernel("training.cu", "add_leaves")
TRAIN = Kernel("training.cu", "train")


def _plan_network(sizes: list[int], sums: int, leaves: int, scaled: bool, device: Device) -> _Plan:
    """Choose shared memory where there is room, best with the inputs; else global memory."""
    size = LAYER_WORDS * (len(sizes) - 1) + 4 * sums
    size += 2 * LEAF * sum(neurons | 1 for neurons in sizes[1:])
    with_inputs = size + LEAF * (sizes[0] | 1)
    staged = scaled or 8 * with_inputs <= device.shared_bytes
    size = with_inputs if staged else size
    shared_bytes = 8 * size if 8 * size <= device.shared_bytes else 0
    threads = FEW_THREADS if max(*sizes, sums) <= FEW_THREADS else MANY_THREADS
    side_by_side = THREADS_PER_PROCESSOR // threads
    if shared_bytes:
        side_by_side = min(side_by_side, device.shared_bytes // shared_bytes)
    blocks = min(leaves, side_by_side * device.processors)
    if not shared_bytes:
        blocks = max(1, min(blocks, SCRATCH_BYTES // (8 * size)))
    return _Plan(ADD_LEAVES, Launch(blocks, threads, shared_bytes), size, staged)


def _plan_one_neuron(
    features: int, leaves: int, no_tiny_inputs: bool, scaled: bool, device: Device
) -> _Plan | None:
    """Plan one_neuron.cu, whose sizes these are; None where the features have no room.

    Standardized inputs are not tiny.
    """
    chunks, places = ceil(features / LANES), features + 2
    warps = MANY_THREADS // LANES
    sharing = 1 if features <= LANES else warps  # a leaf
    together = 32 if sharing == 1 else 8 if chunks <= 4 else 4 if chunks <= 16 else 2
    size = warps * together + chunks * LANES + 1 + (warps + 4 * warps // sharing) * places
    if features > SEGMENT or 8 * size > device.shared_bytes:
        return None
    blocks = min(leaves, (2 if chunks <= 8 else 1) * device.processors)
    told = (
        ("FEATURES", features),
        ("NO_TINY_INPUTS", no_tiny_inputs or scaled),
        ("SCALED", scaled),
    )
    options = tuple(f"-D{name}={int(value)}" for name, value in told)
    kernel = Kernel("one_neuron.cu", "add_leaves", options)
    return _Plan(kernel, Launch(blocks, MANY_THREADS, 8 * size))


class ProblemOnDevice:
    """A problem in the device's memory, with every array that it points to.

    wants_parameters, wants_losses : which sums over the examples are asked for: those of the
        parameters, those of each output neuron's loss, or both
    """

    def __init__(
        self, device: Device, rule: str, parameters: Parameters, examples: Examples,
        *, no_tiny_inputs: bool, wants_parameters: bool = True, wants_losses: bool = False,
    ) -> None:  # fmt: skip
        self._device, self._xp = device, device.xp
        self._kept: list[Array] = []
        self._like, self._inputs = parameters, examples.inputs
        rows, features = examples.inputs.shape
        sizes = [features, *(weights.shape[1] for weights in parameters.weights)]
        flat = flatten(parameters, xp=self._xp)
        if LEAF * max(sizes) >= 2**31 or flat.shape[0] >= 2**31:
            raise ValueError("the network is too large for kernels, which count with 32 bits")
        self._parameters = self._xp.asarray(flat, copy=True)  # also of one
        self._totals: Array = None  # until they or their digits are to be kept
        self.leaves = ceil(rows / LEAF)
        first_loss = flat.shape[0] if wants_parameters else 0
        sums = first_loss + (sizes[-1] if wants_losses else 0)
        scaled = examples.scaling is not None
        self._plan = plan = _plan_network(sizes, sums, self.leaves, scaled, device)
        self._plan_of_many = plan
        if sizes[1:] == [1] and rule != "softmax_cross_entropy":
            of_one = _plan_one_neuron(features, self.leaves, no_tiny_inputs, scaled, device)
            self._plan_of_many = of_one or plan
        self.fields = ProblemFields(
            layers=len(sizes) - 1, rows=rows, sums=sums, first_loss=first_loss,
            weights=sum(n * m for n, m in pairwise(sizes)), has_biases=bool(parameters.biases),
            rule=RULE_CODES[rule], no_tiny_inputs=no_tiny_inputs or scaled,
            workspace_size=plan.size, staged=plan.staged,
        )  # fmt: skip
        mean, inverse_scale = examples.scaling or (None, None)
        self._point(
            inputs=examples.inputs, targets=examples.targets, mean=mean,
            sample_weight=examples.sample_weight, inverse_scale=inverse_scale,
            parameters=self._parameters, sizes=device.copy_integers(sizes), **device.tables,
        )  # fmt: skip

    def _fill_last_leaf(self) -> Array | None:
        """Return the last leaf's inputs with rows of 0 up to a whole leaf; None if it is whole."""
        rows, features = self._inputs.shape
        rest = rows % LEAF
        if rest == 0:
            return None
        missing = self._device.make_zeros((LEAF - rest, features), self._xp.float64)
        return self._xp.concat([self._inputs[rows - rest :, :], missing], axis=0)

    def _point(self, **arrays: Array | None) -> None:
        """Put the addresses of arrays into the problem; an array with gaps is copied."""
        for name, array in arrays.items():
            if array is not None:
                self._kept.append(self._xp.reshape(array, (-1,)))
                setattr(self.fields, name, self._device.address(self._kept[-1]))

    def _make_workspace(self, plan: _Plan) -> None:
        if not plan.launch.shared_bytes:
            self._point(workspace=self._device.make_zeros(plan.launch.blocks * plan.size))

    def _copy_fields(self) -> Array:
        words = ctypes.c_longlong * (ctypes.sizeof(ProblemFields) // 8)
        return self._device.copy_integers(list(words.from_buffer_copy(self.fields)))

    def keep_totals(self) -> None:
        """Have the totals put into an array, and the parameters left as they are."""
        self._totals = self._device.make_zeros(self.fields.sums, self._xp.float64)
        self._point(totals=self._totals)

    def keep_digits(self) -> None:
        """Have the digits of the totals put into an array, and the parameters left as they are."""
        self._totals = self._device.make_zeros((4, self.fields.sums))
        self._point(digits=self._totals)

    def iterate_in_one_block(self, count: int) -> None:
        """Run all iterations in one launch, or in a few that do not last."""
        plan = self._plan._replace(launch=self._plan.launch._replace(blocks=1))
        self._make_workspace(plan)
        for start in range(0, count, ITERATIONS_PER_LAUNCH):
            self.fields.iterations = min(count - start, ITERATIONS_PER_LAUNCH)
            self._device.start(TRAIN, plan.launch, self._copy_fields(), 1)

    def iterate_in_many_blocks(self, count: int) -> None:
        """Run each iteration in a launch, whose last block takes the totals."""
        plan, zeros = self._plan_of_many, self._device.make_zeros
        if plan.kernel == ADD_LEAVES:
            self._make_workspace(plan)
        else:
            self._point(last_leaf=self._fill_last_leaf())
        sums = self.fields.sums
        self._point(levels=zeros(sums), depths=zeros(sums), bins=zeros(BINS * sums))
        self._point(arrived=zeros(1))
        self._device.start(plan.kernel, plan.launch, self._copy_fields(), count)

    def read_parameters(self) -> Parameters:
        """Return the parameters as they are when the kernels are done."""
        return unflatten(self._parameters, self._like, xp=self._xp)

    def read_losses(self) -> Array:
        """Return the totals of the losses."""
        return self._totals[self.fields.first_loss :]

    def read_sums(self) -> tuple[Array, ...]:
        """Return the totals of the parameters, each in its parameter's shape."""
        return self._cut(self._totals)

    def read_accumulators(self) -> tuple[Accumulator, ...]:
        """Return the exact sums: of the losses, if they are asked for, and of each parameter."""
        first_loss, sums = self.fields.first_loss, self.fields.sums
        rows = [self._totals[i, :] for i in range(4)]
        found = [[row[first_loss:] for row in rows]] if first_loss < sums else []
        if first_loss:
            found += [list(digits) for digits in zip(*map(self._cut, rows), strict=True)]
        return tuple(Accumulator(*digits) for digits in found)

    def _cut(self, flat: Array) -> tuple[Array, ...]:
        weights, biases = unflatten(flat, self._like, xp=self._xp)
        return *weights, *biases
