"""The CUDA kernels, whole: on the host, a block's threads in turn, and on a device, if any."""

from dataclasses import replace

import array_api_compat.numpy as xp
import numpy as np
import pytest
from cuda_cases import CASES, by_kernels, definition
from cuda_host import WAYS, assert_same, cpp_kernels

from neuron_xp.backends.cuda_kernels import kernels as cuda
from neuron_xp.neuron.arithmetic import reproducible_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.step import Examples, Method, block_losses_and_sums, total


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_on_the_host_has_the_definitions_bits(case, way, backwards):
    assert_same(by_kernels(case, cpp_kernels(way, backwards)), definition(case))


Z = [
    [0.0, -0.0], [np.inf, 1.0, 2.0], [1.0, 2.0, -np.inf], [np.nan, 1.0, 2.0], [1.0, 2.0, np.nan],
    [-np.inf, -np.inf], [np.inf, np.inf, -np.inf, 0.0], [1e308, -1e308, 0.0], [0.0, 699.0, 750.0],
    [*range(33)], [*range(64), np.inf], [np.nan, *range(70)], [*range(70), np.nan], [-1e9] * 1000,
]  # fmt: skip


@pytest.mark.parametrize("z", Z, ids=lambda z: f"{len(z)} from {z[0]} to {z[-1]}")
def test_a_softmax_of_odd_numbers_has_the_definitions_bits(z):
    """Each class has sums of its own here, so that one that is not finite hides no other."""
    classes = len(z)
    examples = Examples(np.ones((3, 1)), np.eye(3, classes))
    parameters = Parameters((np.zeros((1, classes)),), (np.asarray(z),))
    method = Method(reproducible_arithmetic(xp), RULES["softmax_cross_entropy"], block_rows=64)
    with np.errstate(all="ignore"):
        expected = total(block_losses_and_sums, parameters, examples, method=method)
    kernels = cpp_kernels("one block").for_rule("softmax_cross_entropy", False)
    assert_same(kernels.losses_and_sums(parameters, examples), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_on_a_device_has_the_definitions_bits(case, way):
    cupy = pytest.importorskip("cupy", reason="needs CuPy")
    try:
        cupy.cuda.runtime.getDeviceCount()  # at least 1, or it raises
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"needs a CUDA device: {error}"[:120])
    import array_api_compat.cupy as namespace

    kernels = replace(cuda.compile_kernels(namespace, cupy.cuda.Device()), **WAYS[way])
    found = by_kernels(case, kernels, cupy.asarray, cupy.asnumpy)
    assert_same(found, definition(case))
