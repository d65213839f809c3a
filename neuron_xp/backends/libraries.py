"""The array libraries: the only file that names them.

A library enters as one row of `LIBRARIES`: how to import it, which devices it has, and a
small opener that returns a `Backend`. Anything else that speaks the Array API may be
given as its namespace or by its arrays. Optional libraries are imported when asked for.
"""

import copyreg
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from neuron_xp.backends.backend import Backend, Kernels, Loop, MakeKernels, name_device
from neuron_xp.errors import (
    MissingBackendError,
    UnknownBackendError,
    UnusableBackendError,
    did_you_mean,
    one_line,
)
from neuron_xp.neuron.types import Array, Namespace

# --- openers: from the device as the user spelled it to a Backend -----------------------


def _open_numpy(device: Any) -> Backend:
    import array_api_compat.numpy as xp

    if device not in (None, "cpu"):
        raise ValueError("numpy has only the device 'cpu'; for a GPU name another backend too")
    return Backend(
        name="numpy",
        version=np.__version__,
        xp=xp,
        device="cpu",
        to_host=np.asarray,
        context=partial(np.errstate, all="ignore"),
        block_elements=2**18,
        make_kernels=_make_numpy_kernels if importlib.util.find_spec("numba") else None,
        threaded=True,
        rounds_sqrt=True,
    )


def _make_numpy_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Kernels:
    from neuron_xp.backends.numba_kernels.kernels import NumbaKernels  # takes a while

    return NumbaKernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)


def _open_cupy(device: Any) -> Backend:
    import array_api_compat.cupy as xp
    import cupy

    if cupy.cuda.runtime.getDeviceCount() == 0:
        raise RuntimeError("found no CUDA device")
    if isinstance(device, str):
        device = int(device.removeprefix("cuda").removeprefix(":") or 0)
    number = cupy.cuda.Device(device).id  # None: the current one
    # not by themselves before their bits were seen to be right on a GPU
    wanted = os.environ.get("NEURON_XP_CUDA_KERNELS") == "1"
    return Backend(
        name="cupy",
        version=cupy.__version__,
        xp=xp,
        device=cupy.cuda.Device(number),
        to_host=cupy.asnumpy,
        context=lambda: cupy.cuda.Device(number),
        block_elements=2**26,
        rounds_sqrt=True,  # CUDA's sqrt of float64 is
        make_kernels=_prepare_cupy_kernels(xp, cupy.cuda.Device(number)) if wanted else None,
    )


def _prepare_cupy_kernels(xp: Namespace, device: Any) -> MakeKernels:
    """Return a function that compiles the kernels when it is first called."""

    @cache
    def compile_once() -> Any:
        from neuron_xp.backends.cuda_kernels.kernels import compile_kernels

        return compile_kernels(xp, device)

    def make_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Any:
        return compile_once().for_rule(rule, no_tiny_inputs)

    return make_kernels


def _open_torch(device: Any) -> Backend:
    import array_api_compat.torch as xp
    import torch

    device = torch.empty(0, device=device).device  # 'cuda' is now 'cuda:0'; None the default
    return Backend(
        name="torch",
        version=torch.__version__,
        xp=xp,
        device=device,
        to_host=lambda x: x.detach().cpu().resolve_neg().numpy(),
        context=torch.no_grad,
        block_elements=2**18 if device.type == "cpu" else 2**26,
    )


def _open_jax(device: Any) -> Backend:
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

        compiled: Loop = jax.jit(run)
        return compiled

    return Backend(
        name="jax",
        version=jax.__version__,
        xp=jax.numpy,
        device=device,
        to_host=np.asarray,
        context=partial(jax.enable_x64, True),
        compile=jax.jit,
        loop=loop,
        compiled=True,
        block_elements=2**26,
    )


def _open_array_api_strict(device: Any) -> Backend:
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


# --- the table -------------------------------------------------------------------------


def _list_cupy_devices() -> list[Any]:
    import cupy

    return [f"cuda:{number}" for number in range(cupy.cuda.runtime.getDeviceCount())]


def _list_torch_devices() -> list[Any]:
    import torch

    return ["cpu"] + [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _list_jax_devices() -> list[Any]:
    import jax

    others = [device for device in jax.devices() if device.platform != "cpu"]
    return [*jax.devices("cpu")[:1], *others]


@dataclass(frozen=True)
class Library:
    """A row of the table: how to open it, how to list its devices, and what pip installs."""

    open: Callable[[Any], Backend]
    devices: Callable[[], list[Any]]
    package: str

    @property
    def install_command(self) -> str:
        """Return the command, for the Python that runs now."""
        return f"{sys.executable} -m pip install {self.package}"


LIBRARIES = {
    "numpy": Library(_open_numpy, lambda: ["cpu"], "numpy"),
    "cupy": Library(_open_cupy, _list_cupy_devices, "cupy-cuda13x"),
    "torch": Library(_open_torch, _list_torch_devices, "torch"),
    "jax": Library(_open_jax, _list_jax_devices, "jax"),
    "array_api_strict": Library(
        _open_array_api_strict, lambda: ["cpu", "device1"], "array-api-strict"
    ),
}


def open_backend(backend: str | ModuleType | Backend = "numpy", device: Any = None) -> Backend:
    """Open the backend of a name, or of an Array API namespace, on a device.

    Raises `UnknownBackendError`, `MissingBackendError` or `UnusableBackendError`.
    """
    if isinstance(backend, Backend):
        return backend if device is None else open_backend(backend.xp, device)
    if isinstance(backend, str):
        if backend not in LIBRARIES:
            hint = did_you_mean(backend, LIBRARIES)
            raise UnknownBackendError(f"unknown backend {backend!r}{hint}")
        return open_library(backend, device)
    if not hasattr(backend, "asarray"):
        raise TypeError(
            "backend must be a name such as 'numpy', or a module that follows the "
            f"Array API standard; got {type(backend).__name__}"
        )
    name = _name_library(backend)
    if name == "dask":
        raise UnusableBackendError("a dask array has no device: give it to train() or think()")
    return open_library(name, device) if name in LIBRARIES else _open_namespace(backend, device)


# One object for each name and device, so that what was probed and compiled is found again.
_opened: dict[tuple[str, str], Backend] = {}


def open_library(name: str, device: Any) -> Backend:
    """Open the backend of a name in the table; the same name and device give the same object."""
    key = (name, str(device))
    if device is not None and key in _opened:
        return _opened[key]
    backend = _open_afresh(name, device)  # without a device: on the one that is default now
    backend = _opened.setdefault((name, str(backend.device)), backend)
    if device is not None:
        _opened[key] = backend
    return backend


def open_host_backend() -> Backend:
    """Open NumPy's backend."""
    return open_library("numpy", "cpu")


def _open_afresh(name: str, device: Any) -> Backend:
    if importlib.util.find_spec(name) is None:
        raise MissingBackendError(
            f"backend {name!r} is not installed; type: {LIBRARIES[name].install_command}"
        )
    try:
        backend = LIBRARIES[name].open(device)
        with backend.context():
            backend.to_host(backend.from_host(np.ones(1, dtype="int32")) + 1)
    except Exception as error:  # each library has its own way to fail
        where = "" if device is None else f" on device {name_device(device)!r}"
        raise UnusableBackendError(
            f"backend {name!r} is installed but cannot be used{where}: {one_line(error)}; "
            "'neuron-xp backends' shows what can"
        ) from error
    return backend


def _open_namespace(xp: Namespace, device: Any) -> Backend:
    name = getattr(xp, "__name__", type(xp).__name__)
    release = str(getattr(xp, "__version__", ""))
    return Backend(name=name, version=release, xp=xp, device=device, to_host=np.from_dlpack)


def _name_library(xp: Namespace) -> str:
    """Return 'torch' for array_api_compat.torch, 'jax' for jax.numpy."""
    name: str = getattr(xp, "__name__", "")
    return name.removeprefix("array_api_compat.").partition(".")[0]


def is_array(x: object) -> bool:
    """Tell whether x is an array of a library that follows the Array API standard."""
    return bool(array_api_compat.is_array_api_obj(x))


def find_backend(array: Array) -> Backend:
    """Find the backend of this array's library and device."""
    xp = array_api_compat.array_namespace(array)
    if hasattr(array, "devices") and len(array.devices()) > 1:
        raise UnusableBackendError("an array lies on several devices; give it on one")
    return open_backend(xp, array_api_compat.device(array))


# a network may be sent to another process: its backend is opened there
copyreg.pickle(Backend, lambda backend: (open_backend, (backend.name, name_device(backend.device))))
