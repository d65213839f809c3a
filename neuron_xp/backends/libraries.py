"""The array libraries: the table of those that are known, and what finds them.

A library enters as one row of `LIBRARIES`, by a small opener in openers.py. Anything else that
speaks the Array API may be given as its namespace or by its arrays. Optional libraries are
imported when asked for.
"""

import copyreg
import importlib.util
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from neuron_xp.backends.backend import (
    Backend,
    name_device,
)
from neuron_xp.backends.opening import openers
from neuron_xp.errors import (
    MissingBackendError,
    UnknownBackendError,
    UnusableBackendError,
    did_you_mean,
    one_line,
)
from neuron_xp.neuron.types import Array, Namespace


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
    "numpy": Library(openers.open_numpy, lambda: ["cpu"], "numpy"),
    "cupy": Library(openers.open_cupy, openers.list_cupy_devices, "'cupy-cuda13x[ctk]'"),
    "torch": Library(openers.open_torch, openers.list_torch_devices, "torch"),
    "jax": Library(openers.open_jax, openers.list_jax_devices, "jax"),
    "array_api_strict": Library(
        openers.open_array_api_strict, lambda: ["cpu", "device1"], "array-api-strict"
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
    if name == "dask.array":
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
    return Backend(name=name, version=release, xp=xp, device=device, to_host=_copy_to_host)


def _copy_to_host(array: Array) -> np.ndarray:
    """Return an array of any library as a NumPy array: by DLPack, or as the library converts it.

    Raises what `__dlpack__` does if there is no other way.
    """
    ways: tuple[Callable[[Array], np.ndarray], ...] = (
        partial(np.from_dlpack, device="cpu"),  # from another device; not all know the keyword
        np.asarray,
    )
    try:
        return np.from_dlpack(array)
    except Exception:  # each library has its own
        for convert in ways:
            with suppress(Exception):
                on_host = convert(array)
                if on_host.dtype.kind != "O":  # it holds numbers, and not the array
                    return on_host
        raise


def _name_library(xp: Namespace) -> str:
    """Return 'torch' for array_api_compat.torch, 'jax' for jax.numpy; but 'numpy.ma' is its own."""
    name: str = getattr(xp, "__name__", "")
    return name.removeprefix("array_api_compat.").removesuffix(".numpy")


def is_array(x: object) -> bool:
    """Tell whether x is an array of a library that follows the Array API standard."""
    return isinstance(x, np.ndarray) or bool(array_api_compat.is_array_api_obj(x))


def find_backend(array: Array) -> Backend:
    """Find the backend of this array's library and device."""
    if isinstance(array, np.ndarray | np.generic):
        return open_host_backend()
    xp = array_api_compat.array_namespace(array)
    if hasattr(array, "devices") and len(array.devices()) > 1:
        raise UnusableBackendError("an array lies on several devices; give it on one")
    return open_backend(xp, array_api_compat.device(array))


# a network may be sent to another process: its backend is opened there
copyreg.pickle(Backend, lambda backend: (open_backend, (backend.name, name_device(backend.device))))
