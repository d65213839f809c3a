"""Openers: how each array library is imported, and what its `Backend` is."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import numpy as np

from neuron_xp.backends.backend import (
    Backend,
    BoundedCompiler,
    Kernels,
    Loop,
    MakeKernels,
    name_device,
)
from neuron_xp.backends.opening.lent_kernels import Convert, Loan, lend
from neuron_xp.neuron.types import Namespace


def open_numpy(device: Any) -> Backend:
    """Open NumPy's, which has one device."""
    if device not in (None, "cpu"):
        raise ValueError("numpy has only the device 'cpu'; for a GPU name another backend too")
    return Backend(
        name="numpy",
        version=np.__version__,
        xp=np,  # which follows the standard; array_api_compat's would import all of NumPy first
        device="cpu",
        to_host=np.asarray,
        context=partial(np.errstate, all="ignore"),
        block_elements=2**18,
        make_kernels=_find_numpy_kernels(),
        threaded=True,
        rounds_sqrt=True,
    )


def _find_numpy_kernels() -> MakeKernels | None:
    return _make_numpy_kernels if importlib.util.find_spec("numba") else None


def _make_numpy_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Kernels:
    from neuron_xp.backends.numba_kernels.kernels import NumbaKernels  # takes a while

    return NumbaKernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)


def open_cupy(device: Any) -> Backend:
    """Open CuPy's, on a number such as 'cuda:0', or the current device."""
    import array_api_compat.cupy as xp
    import cupy

    if cupy.cuda.runtime.getDeviceCount() == 0:
        raise RuntimeError("found no CUDA device")
    if isinstance(device, str):
        device = int(device.removeprefix("cuda").removeprefix(":") or 0)
    number = cupy.cuda.Device(device).id  # None: the current one

    def free_bytes() -> int:
        free, _ = cupy.cuda.runtime.memGetInfo()  # of the current device
        return int(free) + int(cupy.get_default_memory_pool().free_bytes())

    return Backend(
        name="cupy",
        version=cupy.__version__,
        xp=xp,
        device=cupy.cuda.Device(number),
        to_host=cupy.asnumpy,
        context=lambda: cupy.cuda.Device(number),
        default_device=lambda: cupy.cuda.Device(number),
        block_elements=2**26,
        free_bytes=free_bytes,
        rounds_sqrt=True,  # CUDA's sqrt of float64 is
        make_kernels=(
            _prepare_cupy_kernels(xp, cupy.cuda.Device(number)) if _wants_cuda_kernels() else None
        ),
    )


def _wants_cuda_kernels() -> bool:
    """Tell whether they are switched on: not by themselves before their bits were seen right."""
    return os.environ.get("NEURON_XP_CUDA_KERNELS") == "1"


def _prepare_cupy_kernels(xp: Namespace, device: Any) -> MakeKernels:
    """Return a function that compiles the kernels when it is first called."""

    @cache
    def compile_once() -> Any:
        from neuron_xp.backends.cuda_kernels.kernels import compile_kernels

        return compile_kernels(xp, device)

    def make_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Any:
        return compile_once().for_rule(rule, no_tiny_inputs)

    return make_kernels


def _borrow_cupy_kernels(
    number: int, give: Convert, context: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> MakeKernels | None:
    """Return CuPy's kernels of a CUDA device for another library's arrays; None without CuPy.

    give(array) : a CuPy array as one of that library
    context() : in which the library lends its arrays

    What keeps the order: `cupy.from_dlpack` has the library make CuPy's current stream wait for
    what computes the array (`__dlpack__(stream=)`; torch by an event on its current stream, JAX by
    the array's own), and the kernels follow on that stream. When it is waited for at the end, what
    they made is there for any stream, and nobody reads any longer what was borrowed, whose memory
    the library may use again as soon as it is let go.
    """
    if not _wants_cuda_kernels() or importlib.util.find_spec("cupy") is None:
        return None

    @cache
    def borrow() -> MakeKernels:
        import cupy

        device = f"cuda:{number}"

        @contextmanager
        def work() -> Iterator[None]:
            with cupy.cuda.Device(number), context():
                yield
                cupy.cuda.get_current_stream().synchronize()

        make_kernels = open_cupy(device).make_kernels
        assert make_kernels is not None  # they are switched on
        return lend(make_kernels, Loan(cupy.from_dlpack, give, work))

    def make_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Kernels:
        return borrow()(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)

    return make_kernels


def _borrow_numpy_kernels(borrow: Convert, give: Convert) -> MakeKernels | None:
    """Return NumPy's kernels for another library's arrays on the processor; None without Numba.

    borrow(array) : a NumPy array of the same memory, computed
    give(array) : a NumPy array as one of that library
    """
    kernels = _find_numpy_kernels()
    return None if kernels is None else lend(kernels, Loan(borrow, give, nullcontext))


def open_torch(device: Any) -> Backend:
    """Open PyTorch's."""
    import array_api_compat.torch as xp
    import torch

    device = torch.empty(0, device=device).device  # 'cuda' is now 'cuda:0'; None the default

    def free_bytes() -> int:
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + kept)

    if device.type == "cuda":
        current = partial(torch.cuda.device, device)  # torch lends only what lies on that
        kernels = _borrow_cupy_kernels(device.index, torch.from_dlpack, current)
    elif device.type == "cpu":
        kernels = _borrow_numpy_kernels(
            lambda x: np.from_dlpack(x.detach().resolve_neg()), torch.from_dlpack
        )
    else:
        kernels = None
    return Backend(
        name="torch",
        version=torch.__version__,
        xp=xp,
        device=device,
        to_host=lambda x: x.detach().cpu().resolve_conj().resolve_neg().numpy(),
        context=torch.no_grad,
        default_device=lambda: device,  # which is such a context
        make_kernels=kernels,
        block_elements=2**18 if device.type == "cpu" else 2**26,
        free_bytes=free_bytes if device.type == "cuda" else None,
    )


def open_jax(device: Any) -> Backend:
    """Open JAX's, compiled, on a device such as 'cpu:0'."""
    import jax

    if device is None:
        device = jax.numpy.zeros(()).device
    elif isinstance(device, str):
        platform, _, number = device.partition(":")
        found = jax.devices(platform)
        if int(number or 0) >= len(found):
            raise ValueError(f"jax has only {', '.join(map(name_device, found))}")
        device = found[int(number or 0)]

    def loop(step: Callable[..., Any]) -> Loop:
        def run(count: Any, weights: Any, *data: Any) -> Any:
            return jax.lax.fori_loop(0, count, lambda _, w: step(w, *data), weights)

        return compile_(run)

    @contextmanager
    def context() -> Iterator[None]:
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            yield

    def free_bytes() -> int:
        memory = device.memory_stats() or {}
        return int(memory.get("bytes_limit", 0) - memory.get("bytes_in_use", 0))

    def describe(arguments: Any) -> str:
        return str(jax.tree.map(jax.typeof, arguments))

    compile_ = BoundedCompiler(jax.jit, describe, jax.clear_caches)
    give = partial(jax.dlpack.from_dlpack, device=device)
    if device.platform == "gpu":
        kernels = _borrow_cupy_kernels(device.local_hardware_id, give)
    elif device.platform == "cpu":
        kernels = _borrow_numpy_kernels(lambda x: np.from_dlpack(jax.block_until_ready(x)), give)
    else:
        kernels = None

    return Backend(
        name="jax",
        version=jax.__version__,
        xp=jax.numpy,
        device=device,
        to_host=np.asarray,
        context=context,
        default_device=partial(jax.default_device, device),
        compile=compile_,
        loop=loop,
        put=partial(jax.device_put, device=device),  # its asarray compiles for every shape
        compiled=True,
        make_kernels=kernels,
        block_elements=2**26,
        free_bytes=None if device.platform == "cpu" else free_bytes,
    )


def open_array_api_strict(device: Any) -> Backend:
    """Open array_api_strict's, which holds programs to the standard."""
    import array_api_strict as xp

    if isinstance(device, str):
        device = xp.Device({"cpu": "CPU_DEVICE"}.get(device, device))
    return Backend(
        name="array_api_strict",
        version=xp.__version__,
        xp=xp,
        device=device or xp.Device("CPU_DEVICE"),
        to_host=np.from_dlpack,
        context=partial(np.errstate, all="ignore"),
        rounds_sqrt=True,  # NumPy's
        patience=3000,
    )


def list_cupy_devices() -> list[Any]:
    """List CuPy's devices."""
    import cupy

    return [f"cuda:{number}" for number in range(cupy.cuda.runtime.getDeviceCount())]


def list_torch_devices() -> list[Any]:
    """List PyTorch's devices."""
    import torch

    return ["cpu"] + [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def list_jax_devices() -> list[Any]:
    """List a device of JAX's processor, and all others."""
    import jax

    others = [device for device in jax.devices() if device.platform != "cpu"]
    return [*jax.devices("cpu")[:1], *others]
