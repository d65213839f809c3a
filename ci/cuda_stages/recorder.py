"""A plugin of pytest that tells how each test has ended: pytest -p ci.cuda_stages.recorder.

It also leaves out the libraries that NEURON_XP_TEST_BACKENDS does not name: to open each of them
takes seconds, and one of them could take the GPU, or its memory, from the one that is tested.
"""

import os

import pytest

from ci.cuda_stages.lines import tell
from neuron_xp.backends.libraries import LIBRARIES

MISSING = "ModuleNotFoundError"
TELLING = ("workflows", "backends", "neuron", "training")
"""Rooms of tests that tell most: they are first, as the time may be up before the last."""


class Recorder:
    """What was collected and run; unlike pytest's status, a file that needs more is no failure."""

    failed = 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            why = find_reason(report.longreprtext)
            self.failed += MISSING not in why
            tell("test", name=report.nodeid, outcome="not collected", why=why)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=find_rank)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tell("collected", count=len(session.items))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.failed += report.failed
            why = find_reason(report.longreprtext) if report.failed else ""
            if report.skipped and isinstance(report.longrepr, tuple):
                why = report.longrepr[2].removeprefix("Skipped: ")
            tell("test", name=report.nodeid, outcome=report.outcome, why=why,
                 seconds=round(report.duration, 3))  # fmt: skip

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if (
            exitstatus == pytest.ExitCode.TESTS_FAILED
            and not self.failed
            and session.testscollected
        ):
            session.exitstatus = pytest.ExitCode.OK


def find_rank(item: pytest.Item) -> tuple[bool, int]:
    """Rank a test by whether it is slow, and by its room."""
    rooms = [rank for rank, room in enumerate(TELLING) if room in item.path.parts]
    return item.get_closest_marker("slow") is not None, min(rooms, default=len(TELLING))


def find_reason(text: str) -> str:
    """Find the line that says why in what pytest would show."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or [line.strip() for line in lines[-1:]] or ["?"])[0][:500]


def pytest_configure(config: pytest.Config) -> None:
    wanted = os.environ.get("NEURON_XP_TEST_BACKENDS", "").split(",")
    for name in [name for name in LIBRARIES if name not in wanted]:
        del LIBRARIES[name]
    config.pluginmanager.register(Recorder())
