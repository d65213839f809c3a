"""Status of every backend: usable here, or why not."""

import importlib.util
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from neuron_xp.backends.backend import name_device
from neuron_xp.backends.libraries import LIBRARIES, open_library
from neuron_xp.errors import INSTALL_KERNELS, MissingBackendError, UnusableBackendError, one_line


@dataclass(frozen=True)
class Status:
    """A row of `neuron-xp backends`: usable, or the reason why not."""

    name: str
    version: str
    device: str
    usable: bool
    reason: str


def list_statuses(names: Collection[str] | None = None) -> Iterator[Status]:
    """Yield the status of every known library, or of those of these names, on each device."""
    for name, library in LIBRARIES.items():
        if names is not None and name not in names:
            continue
        try:
            open_library(name, None)
            devices = library.devices()
        except MissingBackendError:
            reason = f"not installed; type: {library.install_command}"
            yield Status(name=name, version="", device="", usable=False, reason=reason)
            continue
        except UnusableBackendError as error:
            yield _say_unusable(name, "", error)
            continue
        for device in devices:
            try:
                backend = open_library(name, device)
                yield Status(
                    name=name,
                    version=backend.version,
                    device=name_device(backend.device),
                    usable=True,
                    reason="",
                )
            except UnusableBackendError as error:
                yield _say_unusable(name, name_device(device), error)


def describe_kernels() -> str:
    """Say in a line whether the processor's arrays have kernels, compiled here already or not."""
    if importlib.util.find_spec("numba") is None:
        return f"kernels: none, as Numba is not installed; type: {INSTALL_KERNELS}"
    try:
        from neuron_xp.backends.numba_kernels.kernels import NumbaKernels

        kernels = NumbaKernels("cross_entropy", no_tiny_inputs=True, threads=1)
        if kernels.is_compiled():
            return "kernels: compiled on this machine"
    except Exception as error:  # of imports and compilers
        return f"kernels: cannot be used ({one_line(error)})"
    return "kernels: not yet compiled on this machine; the first training does it in ten seconds"


def _say_unusable(name: str, device: str, error: UnusableBackendError) -> Status:
    version = str(getattr(sys.modules.get(name), "__version__", ""))  # it may be imported by now
    reason = one_line(error.__cause__)
    return Status(name=name, version=version, device=device, usable=False, reason=reason)
