"""Which backends are usable here, and why others are not."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from neuron_xp.backends.backend import device_name
from neuron_xp.backends.libraries import LIBRARIES, open_library
from neuron_xp.errors import MissingBackendError, UnusableBackendError, one_line


@dataclass(frozen=True)
class Status:
    """A row of `neuron-xp backends`: usable, or the reason why not."""

    name: str
    version: str
    device: str
    usable: bool
    reason: str


def statuses() -> Iterator[Status]:
    """Every known library on each of its devices."""
    for name, library in LIBRARIES.items():
        try:
            open_library(name, None)
            devices = library.devices()
        except MissingBackendError:
            yield Status(name, "", "", False, f"not installed; type: {library.how_to_install()}")
            continue
        except UnusableBackendError as error:
            yield Status(name, _imported_version(name), "", False, one_line(error.__cause__))
            continue
        for device in devices:
            try:
                backend = open_library(name, device)
                yield Status(name, backend.version, device_name(backend.device), True, "")
            except UnusableBackendError as error:
                reason = one_line(error.__cause__)
                yield Status(name, _imported_version(name), device_name(device), False, reason)


def _imported_version(name: str) -> str:
    return str(getattr(sys.modules.get(name), "__version__", ""))
