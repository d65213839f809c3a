"""Places: an array library on a device, on which a test runs, or the reason why it cannot."""

import importlib.util
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import LIBRARIES, open_backend
from neuron_xp.backends.probe.status import Status, list_statuses
from neuron_xp.errors import did_you_mean

OTHERS = "others"
"""In a list of names: whatever else can be used here."""


@dataclass(frozen=True)
class Place:
    """A library on a device, and the reason why it cannot be used, if it cannot.

    variant : another way to use the same backend, which a project has added by the hook
    named : whether the user has asked for it, so that a test must not skip it
    tested : whether tests run on it; else it is a row of the table only
    backend : None if it cannot be used
    """

    name: str
    device: str = ""
    version: str = ""
    variant: str = ""
    reason: str = ""
    named: bool = False
    tested: bool = True
    backend: Backend | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, [self.name, self.device, self.variant]))

    def vary(self, variant: str, backend: Backend) -> "Place":
        """Return the same place with another backend, whose tests have ids such as torch:cpu:fast.

        backend : this place's, changed
        """
        return replace(self, variant=variant, backend=backend)

    def matches(self, name: str) -> bool:
        """Tell whether this is a place of that name: 'torch', 'torch:cuda:0'."""
        return f"{self}:".startswith(f"{name}:")

    def make_default(self) -> AbstractContextManager[object]:
        """Make the library put new arrays on this device, where it has such a setting."""
        assert self.backend is not None
        backend = self.backend
        if backend.device is None or backend.xp.empty(0).device == backend.device:
            return nullcontext()  # as it does by itself
        return backend.default_device()


def find_unknown(names: Iterable[str], *also: str) -> str:
    """Name the first that is of no known library, and the one that was meant; '' if all are known.

    also : names that are known, too
    """
    for name in names:
        if name.partition(":")[0] not in (*LIBRARIES, *also):
            return f"unknown backend {name!r}{did_you_mean(name, [*LIBRARIES, *also])}"
    return ""


def list_places(names: Collection[str]) -> list[Place]:
    """List every known library: on each of its devices, or unopened if it is not to be tested.

    names : what must be usable, as libraries or devices; nothing else is tested, unless `others`
        is among them or there are none
    """
    every = not names or OTHERS in names
    places: list[Place] = []
    for library in LIBRARIES:
        asked = [name for name in names if name.partition(":")[0] == library]
        if asked or every:
            places += _open_library(library, asked, every=every)
        else:
            places.append(Place(name=library, tested=False, reason="not named"))
    return places


def _open_library(library: str, asked: Collection[str], *, every: bool) -> Iterator[Place]:
    """Yield a library's places, and those that were asked for and are not there."""
    found = [_open_place(status) for status in list_statuses([library])]
    for place in found:
        if any(place.matches(name) for name in asked):
            yield replace(place, named=True)
        elif every:  # who has not installed a library knows it: no test is skipped for that
            yield replace(place, tested=importlib.util.find_spec(library) is not None)
        else:
            yield replace(place, tested=False, reason="not named")
    devices = ", ".join(place.device for place in found if place.device)
    reason = f"{library} has only {devices}" if devices else found[0].reason
    for name in asked:
        if not any(place.matches(name) for place in found):
            device = name.partition(":")[2]
            yield Place(name=library, device=device, reason=reason, named=True)


def _open_place(status: Status) -> Place:
    return Place(
        name=status.name,
        device=status.device,
        version=status.version,
        reason=status.reason,
        backend=open_backend(status.name, status.device) if status.usable else None,
    )
