"""The stand-in refuses what CuPy refuses; run by ci/stand-in, which puts it on Python's path."""

import threading

import array_api_compat.cupy as xp
import cupy
import numpy as np
import pytest

CODE = (
    '#include "problem.cuh"\n__global__ void train(const Problem* p) { }\n'  # never compiled here
)


def test_numpy_arrays_are_no_operands():
    x = cupy.asarray([1.0, 2.0])
    for work in (
        lambda: x + np.ones(2),
        lambda: np.ones(2) + x,
        lambda: cupy.add(x, [1.0, 2.0]),
        lambda: cupy.maximum(x, np.ones(2)),
        lambda: xp.where(x > 1, np.ones(2), x),
        lambda: xp.concat([x, np.ones(2)]),
        lambda: np.asarray(x),
        lambda: np.concatenate([np.ones(2), x]),
    ):
        with pytest.raises(TypeError, match=r"Unsupported|NotImplemented|not allowed|no impl|Only"):
            work()
    with pytest.raises(IndexError, match="Unsupported"):
        x[np.asarray([0])]
    assert ((x + 1.0) * np.float64(2.0)).get().tolist() == [4.0, 6.0]
    assert x.sum().shape == x[0].shape == ()
    x.get()[0] = 7.0  # a copy
    assert float(x[0]) == 1.0


def test_an_array_is_worked_on_by_its_own_device():
    here = xp.asarray([1.0, 2.0])
    with cupy.cuda.Device(1) as device:
        assert (here.device, xp.ones(1).device) == (cupy.cuda.Device(0), device)
        with pytest.raises(ValueError, match=r"resides \(0\) is different .* \(1\)"):
            here + 1.0
        there = xp.asarray(here) + 1.0
        assert cupy.asnumpy(here).tolist() == [1.0, 2.0]
        found = []
        thread = threading.Thread(target=lambda: found.append(cupy.cuda.runtime.getDevice()))
        thread.start()
        thread.join()
        assert found == [0]  # a thread inherits no device
    with pytest.raises(ValueError, match="different from the current"):
        here + there
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="invalid device"):
        cupy.cuda.Device(2)


def test_a_stream_that_is_captured_keeps_kernels_and_refuses_all_else():
    work = []
    with cupy.cuda.Stream(non_blocking=True) as stream:
        x = cupy.ones(2)
        stream.begin_capture()
        stream._add(lambda: work.append(1))
        for refused in (lambda: x + 1.0, x.get, lambda: x.fill(0.0), stream.synchronize):
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="Capture"):
                refused()
        graph = stream.end_capture()
        assert not work
    graph.launch()
    graph.launch(stream)
    assert work == [1, 1]
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="null stream"):
        cupy.cuda.Stream.null.begin_capture()


def test_a_kernel_has_the_memory_that_it_asked_for():
    module = cupy.RawModule(code=CODE, options=("--fmad=false",))
    kernel, problem = module.get_function("train"), cupy.zeros(8, dtype=cupy.int64)
    with pytest.raises(ValueError, match="49153 bytes of shared memory"):
        kernel((1,), (64,), (problem,), shared_mem=48 * 1024 + 1)
    with pytest.raises(ValueError, match="a block has 232448"):
        kernel.max_dynamic_shared_size_bytes = 228 * 1024
    with pytest.raises(ValueError, match="1025 threads"):
        kernel((1,), (1025,), (problem,))
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="not found: absent"):
        module.get_function("absent")
    kernel.max_dynamic_shared_size_bytes = 100_000
    with cupy.cuda.Device(1):
        assert kernel.max_dynamic_shared_size_bytes == 48 * 1024
    with cupy.cuda.Stream() as stream:
        stream.begin_capture()
        kernel((1,), (64,), (problem,), shared_mem=100_000)
        stream.end_capture()
