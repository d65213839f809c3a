"""The matrix of backends, in this project's own variants, and the slow tests.

NEURON_XP_TEST_BACKENDS=numpy,torch names what must be usable: see neuron_xp/testing/README.md.
Tests marked slow are left out, and counted, unless --all or a -m of one's own is given.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import pytest

from neuron_xp.backends.backend import Backend
from neuron_xp.testing.places import Place
from neuron_xp.training.data import training_set
from neuron_xp.training.data.npy_stream import open_npy_stream

# in a checkout that is not installed; without --backends, as options come before conftests
if not entry_points(group="pytest11", name="neuron_xp"):
    pytest_plugins = ["neuron_xp.testing.plugin"]

collect_ignore = [] if find_spec("distributed") else ["cluster"]
LEFT_OUT = pytest.StashKey[int]()
_other_skips: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests, too")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = 0


def pytest_neuron_xp_places(metafunc: pytest.Metafunc, places: list[Place]) -> list[Place]:
    """Each library on each device: with kernels or compiled where it can be, and without."""
    ways = [way for place in places for way in _list_ways(place)]
    return [way for way in ways if "library" not in metafunc.fixturenames or _is_own(way)]


def _list_ways(place: Place) -> Iterator[Place]:
    yield place
    if place.backend is not None and place.backend.compiled:
        yield place.vary("eager", place.backend.eager())
    if place.backend is not None and place.backend.make_kernels is not None:
        yield place.vary("arrays", place.backend.without_kernels())


def _is_own(place: Place) -> bool:
    """Tell whether the place is a library as `train` uses it, or has kernels that it lends."""
    return place.variant == "" or (place.variant == "arrays" and place.name in {"numpy", "cupy"})


@pytest.fixture
def library(backend: Backend) -> Backend:
    """Each library on each device, as `train` uses it, and the lenders of kernels without them."""
    return backend


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is streamed in blocks of two leaves of `parts_data.examples`, so that there are many."""
    open_small = partial(open_npy_stream, largest_block=2 * 64 * 8 * 9)
    monkeypatch.setattr(training_set, "open_npy_stream", open_small)


def pytest_itemcollected(item: pytest.Item) -> None:
    callspec = getattr(item, "callspec", None)  # of a test with parameters
    place = None if callspec is None else callspec.params.get("neuron_xp_place")
    if place is None:
        return
    slow = any(place.name in mark.args for mark in item.iter_markers("slow_on"))
    if slow or place.variant == "eager":  # one operation after the other takes ten times as long
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
    other = not hasattr(report, "neuron_xp_place")  # the table has those
    if report.skipped and other and isinstance(report.longrepr, tuple):
        _other_skips[report.longrepr[2].removeprefix("Skipped: ")] += 1


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    for name in collect_ignore:
        terminalreporter.line(f"left out, as dask.distributed is not installed: tests/{name}")
    for reason, count in sorted(_other_skips.items()):
        terminalreporter.line(f"{count} more skipped: {reason}")
    if slow := terminalreporter.config.stash[LEFT_OUT]:
        tests = "test" if slow == 1 else "tests"
        line = f"{slow} slow {tests} left out; to run them type: python3 ci/test --all"
        terminalreporter.line(line)
