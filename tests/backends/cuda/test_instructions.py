"""What makes the CUDA kernels fast, as far as it can be counted: instructions, and registers.

Instructions are counted in the PTX that runs on the host: each warp's are those of its busiest
lane. The assembler of a device makes others of them, about as many. Registers are the assembler's.
"""

import ctypes
import re
from itertools import pairwise

import numpy as np
import pytest
from cuda_host import host_kernels
from ptx_host import HOPPER, load_ptx_program, need_nvrtc

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.backends.cuda_kernels.problem import TRAIN, Kernel
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples

pytestmark = pytest.mark.xdist_group("ptx")

# A bound for a leaf of each network, some percent above what was counted: lower it when you can.
BOUNDS = {
    (20, 1): 1_330,
    (100, 1): 3_800,
    (1000, 1): 32_500,  # NVRTC before 13.5 spells each address out
    (30, 16, 1): 41_000,
}
FEW, MORE = 16, 16  # leaves, and how many more: blocks may have eight at a time


def count_instructions(sizes, leaves):
    """Of an iteration in one block, by all its warps."""
    counted = 0

    def start(kernel, launch, problem, count):
        nonlocal counted
        program = load_ptx_program(kernel, HOPPER)
        program.instructions.clear()
        address = ctypes.c_void_p(problem.ctypes.data)
        program.launch(kernel.name, launch._replace(blocks=1), False, address)
        counted = program.instructions.total()

    generator = np.random.RandomState(1)
    rows = 64 * leaves
    inputs = generator.standard_normal((rows, sizes[0]))
    targets = generator.randint(0, 2, (rows, sizes[-1])).astype(np.float64)
    pairs = pairwise(sizes)
    weights = tuple(generator.uniform(-1, 1, pair) * 0.1 for pair in pairs)
    kernels = host_kernels(start, "many blocks").for_rule("cross_entropy", True)
    kernels.run(1, Parameters(weights), Examples(inputs, targets), 2.0**-10, None)
    return counted


@pytest.mark.parametrize("sizes", BOUNDS, ids=lambda sizes: "-".join(map(str, sizes)))
def test_a_leaf_takes_few_instructions(sizes, record_property):
    few, more = count_instructions(sizes, FEW), count_instructions(sizes, FEW + MORE)
    a_leaf = (more - few) / MORE
    record_property("instructions_a_leaf", a_leaf)
    assert 0 < a_leaf <= BOUNDS[sizes], f"{a_leaf:,.0f} warp-instructions a leaf"


def assemble(kernel):
    """Return what NVRTC's assembler says of the kernel on an H100."""
    need_nvrtc()
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(cuda.read_source(kernel.source), kernel.source, (), ())
    options = cuda.list_options("sm_90", (*cuda.OPTIONS, *kernel.options))
    nvrtc.compileProgram(program, (*options, "--ptxas-options=-v"))
    log = nvrtc.getProgramLog(program)
    nvrtc.destroyProgram(program)
    return log


def one_neuron(features, scaled):
    told = (f"-DFEATURES={features}", "-DNO_TINY_INPUTS=1", f"-DSCALED={scaled}")
    return Kernel("one_neuron.cu", "add_leaves", told)


# With 128 registers a processor of the device runs 512 threads, with 255 half as many.
@pytest.mark.parametrize(
    ("kernel", "most_registers", "most_spilled"),
    [
        (one_neuron(20, 0), 128, 0),
        (one_neuron(20, 1), 128, 16),
        (one_neuron(100, 0), 128, 0),
        (one_neuron(256, 1), 128, 0),
        (one_neuron(1000, 0), 255, 0),
        (one_neuron(1000, 1), 255, 0),
        pytest.param(TRAIN, 128, 0, marks=pytest.mark.slow),  # and ADD_LEAVES, of the same source
    ],
    ids=str,
)
def test_registers_hold_what_a_kernel_works_on(kernel, most_registers, most_spilled):
    log = assemble(kernel)
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", log)]
    spilled = [int(n) for n in re.findall(r"(\d+) bytes spill stores", log)]
    assert registers
    assert max(registers) <= most_registers
    assert len(spilled) == len(registers)
    assert max(spilled) <= most_spilled
