"""The matrix of backends: one parametrised fixture, and a table at the end of the run.

NEURON_XP_TEST_BACKENDS=numpy,torch names what must be usable: a missing one fails.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

import pytest

from neuron_xp.backends import libraries as backends
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.status import list_statuses
from neuron_xp.errors import did_you_mean
from neuron_xp.training import training_set
from neuron_xp.training.npy_stream import open_npy_stream

DASK_TESTS = [
    "test_cluster.py",
    "test_cluster_faults.py",
    "test_cluster_tables.py",
    "test_distributed.py",
]
collect_ignore = [] if find_spec("distributed") else DASK_TESTS


@dataclass(frozen=True)
class Place:
    """A library on a device, or the reason why it cannot be used."""

    name: str
    device: str
    version: str
    reason: str = ""
    mode: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, [self.name, self.device, self.mode]))

    def open(self) -> Backend:
        backend = backends.open_backend(self.name, self.device)
        if self.mode == "arrays":
            return backend.without_kernels()
        return backend.eager() if self.mode == "eager" else backend


def _places() -> list[Place]:
    places = []
    for status in list_statuses():
        place = Place(status.name, status.device, status.version, status.reason)
        places.append(place)
        if status.usable and place.open().compiled:
            places.append(replace(place, mode="eager"))
        if status.usable and place.open().make_kernels is not None:
            places.append(replace(place, mode="arrays"))
    return places


PLACES = _places()
REQUIRED = frozenset(filter(None, os.environ.get("NEURON_XP_TEST_BACKENDS", "").split(",")))
_results: dict[str, Counter[str]] = {str(place): Counter() for place in PLACES}


def pytest_configure(config: pytest.Config) -> None:
    for name in REQUIRED - set(backends.LIBRARIES):
        hint = did_you_mean(name, backends.LIBRARIES)
        raise pytest.UsageError(f"NEURON_XP_TEST_BACKENDS names the unknown backend {name!r}{hint}")


def _open(place: Place) -> Backend:
    if place.reason and place.name in REQUIRED:
        pytest.fail(f"{place} is required but {place.reason}")
    if place.reason:
        pytest.skip(f"{place}: {place.reason}")
    return place.open()


@pytest.fixture(params=PLACES, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each library on each device: with kernels or compiled where it can be, and without."""
    return _open(request.param)


@pytest.fixture(params=[place for place in PLACES if place.mode != "eager"], ids=str)
def library(request: pytest.FixtureRequest) -> Backend:
    """Each library on each device, as `train` uses it."""
    return _open(request.param)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is streamed in blocks of two leaves of `parts_data.examples`, so that there are many."""
    open_small = partial(open_npy_stream, largest_block=2 * 64 * 8 * 9)
    monkeypatch.setattr(training_set, "open_npy_stream", open_small)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        for place, counts in _results.items():
            if f"[{place}]" in report.nodeid or f"[{place}-" in report.nodeid:
                counts[report.outcome] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    header = ("backend", "device", "mode", "version", "result", "reason")
    rows = [header]
    for place in PLACES:
        counts = _results[str(place)]
        result = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
        place_ = (place.name, place.device, place.mode, place.version)
        rows.append((*place_, result or "no test", place.reason))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name in collect_ignore:
        terminalreporter.line(f"left out, as dask.distributed is not installed: {name}")
    terminalreporter.section("backends")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.line("  ".join(cells).rstrip())
