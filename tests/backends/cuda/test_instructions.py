"""How many instructions the CUDA kernels take for a leaf: what makes them fast, and counts exactly.

They are counted in the PTX that runs on the host: each warp's are those of its busiest lane. The
assembler of a device makes others of them, about as many.
"""

import ctypes
from itertools import pairwise

import numpy as np
import pytest
from cuda_host import host_kernels
from ptx_host import HOPPER, load_ptx_program

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples

pytestmark = pytest.mark.xdist_group("ptx")

# A bound for a leaf of each network, some percent above what was counted: lower it when you can.
BOUNDS = {
    (20, 1): 3_500,
    (100, 1): 22_400,
    (1000, 1): 80_300,
    (30, 16, 1): 222_000,
}
FEW, MORE = 16, 16  # leaves, and how many more: blocks may have eight at a time


def count_instructions(sizes, leaves):
    """Of an iteration in one block, by all its warps."""
    program = load_ptx_program(HOPPER, cuda.OPTIONS)

    def start(name, launch, problem):
        address = ctypes.c_void_p(problem.ctypes.data)
        program.launch(name, launch._replace(blocks=1), False, address)

    generator = np.random.RandomState(1)
    rows = 64 * leaves
    inputs = generator.standard_normal((rows, sizes[0]))
    targets = generator.randint(0, 2, (rows, 1)).astype(np.float64)
    pairs = pairwise(sizes)
    weights = tuple(generator.uniform(-1, 1, pair) * 0.1 for pair in pairs)
    kernels = host_kernels(start, "many blocks").for_rule("cross_entropy", True)
    program.instructions.clear()
    kernels.run(1, Parameters(weights), Examples(inputs, targets), 2.0**-10, None)
    return program.instructions.total()


@pytest.mark.parametrize("sizes", BOUNDS, ids=lambda sizes: "-".join(map(str, sizes)))
def test_a_leaf_takes_few_instructions(sizes, record_property):
    few, more = count_instructions(sizes, FEW), count_instructions(sizes, FEW + MORE)
    a_leaf = (more - few) / MORE
    record_property("instructions_a_leaf", a_leaf)
    assert 0 < a_leaf <= BOUNDS[sizes], f"{a_leaf:,.0f} warp-instructions a leaf"
