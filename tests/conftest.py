"""The matrix of backends: one parametrised fixture, and a table at the end of the run.

NEURON_XP_TEST_BACKENDS=numpy,torch names what must be usable: a missing one fails. Tests marked
slow are left out, and counted, unless --all or a -m of one's own is given.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import pytest

from neuron_xp.backends import libraries as backends
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.probe.status import list_statuses
from neuron_xp.errors import did_you_mean
from neuron_xp.training.data import training_set
from neuron_xp.training.data.npy_stream import open_npy_stream

collect_ignore = [] if find_spec("distributed") else ["cluster"]
LEFT_OUT = pytest.StashKey[int]()


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
_other_skips: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests, too")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = 0
    for name in REQUIRED - set(backends.LIBRARIES):
        hint = did_you_mean(name, backends.LIBRARIES)
        raise pytest.UsageError(f"NEURON_XP_TEST_BACKENDS names the unknown backend {name!r}{hint}")


def _open(place: Place) -> Backend:
    if place.reason and place.name in REQUIRED:
        pytest.fail(f"{place} is required but {place.reason}")
    if place.reason:
        pytest.skip(f"{place}: {place.reason}")
    return place.open()


# the same operations one by one: each test takes ten times as long
EVERY_PLACE = [
    pytest.param(place, marks=[pytest.mark.slow] if place.mode == "eager" else [])
    for place in PLACES
]


@pytest.fixture(params=EVERY_PLACE, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each library on each device: with kernels or compiled where it can be, and without."""
    return _open(request.param)


def _is_own(place: Place) -> bool:
    """Tell whether the place is a library as `train` uses it, or has kernels that it lends."""
    return place.mode == "" or (place.mode == "arrays" and place.name in {"numpy", "cupy"})


@pytest.fixture(params=[place for place in PLACES if _is_own(place)], ids=str)
def library(request: pytest.FixtureRequest) -> Backend:
    """Each library on each device, as `train` uses it, and the lenders of kernels without them."""
    return _open(request.param)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is streamed in blocks of two leaves of `parts_data.examples`, so that there are many."""
    open_small = partial(open_npy_stream, largest_block=2 * 64 * 8 * 9)
    monkeypatch.setattr(training_set, "open_npy_stream", open_small)


def pytest_itemcollected(item: pytest.Item) -> None:
    callspec = getattr(item, "callspec", None)  # of a test with parameters
    values = [] if callspec is None else callspec.params.values()
    names = {value.name for value in values if isinstance(value, Place)}
    if any(names.intersection(mark.args) for mark in item.iter_markers("slow_on")):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)  # after -k and -m: what they leave out is not counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.all or config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.stash[LEFT_OUT] = len(slow)
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller of pytest-xdist, which collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Each worker has collected the same tests; one that crashed tells nothing."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[LEFT_OUT] = output.get("left_out", node.config.stash[LEFT_OUT])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        found = [p for p in _results if f"[{p}]" in report.nodeid or f"[{p}-" in report.nodeid]
        for place in found:
            _results[place][report.outcome] += 1
        if report.skipped and not found and isinstance(report.longrepr, tuple):
            _other_skips[report.longrepr[2].removeprefix("Skipped: ")] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _write_backends(terminalreporter)
    for reason, count in sorted(_other_skips.items()):
        terminalreporter.line(f"{count} more skipped: {reason}")
    if slow := terminalreporter.config.stash[LEFT_OUT]:
        tests = "test" if slow == 1 else "tests"
        line = f"{slow} slow {tests} left out; to run them type: python3 ci/test --all"
        terminalreporter.line(line)


def _write_backends(terminalreporter: pytest.TerminalReporter) -> None:
    header = ("backend", "device", "mode", "version", "result", "reason")
    rows = [header]
    for place in PLACES:
        counts = _results[str(place)]
        result = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
        place_ = (place.name, place.device, place.mode, place.version)
        rows.append((*place_, result or "no test", place.reason))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name in collect_ignore:
        terminalreporter.line(f"left out, as dask.distributed is not installed: tests/{name}")
    terminalreporter.section("backends")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.line("  ".join(cells).rstrip())
