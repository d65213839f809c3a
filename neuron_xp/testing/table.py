"""The table at the end of a run: how tests ended on each backend, and which ran on none."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from neuron_xp.testing.places import Place

OUTCOMES = ("passed", "failed", "skipped", "xfailed")
RAN = {"passed", "failed", "xfailed"}
MOST_LINES = 20


class Recorder:
    """A plugin that counts how tests end on each place, also where pytest-xdist shares them out.

    named : names of backends that must be usable
    strict : whether each of them must have had a test
    """

    def __init__(self, named: Collection[str], *, strict: bool) -> None:
        self.named, self.strict = named, strict
        self.rows: dict[str, list[str]] = {}
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.reasons: defaultdict[str, dict[str, None]] = defaultdict(dict)  # in their order
        self.endings: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.why: dict[str, str] = {}

    def add_places(self, places: "Iterable[Place]") -> None:
        """Add rows to the table, those of a library beside each other."""
        for place in places:
            cells = place.name, place.device, place.variant, place.version, place.reason
            row = [str(cell) for cell in cells]  # a library's version may be a class of its own
            self.rows.setdefault(str(place), row)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test, if it ran on a place: in pytest-xdist's controller, too."""
        place = getattr(report, "neuron_xp_place", None)
        if place is None or (report.when != "call" and report.passed):
            return
        xfailed = report.skipped and hasattr(report, "wasxfail")
        outcome = "xfailed" if xfailed else report.outcome
        self.counts[place][outcome] += 1
        test = report.nodeid.partition("[")[0]
        self.endings[test][outcome] = None
        if report.skipped:
            reason = report.wasxfail if xfailed else _read_reason(report)
            self.reasons[place][reason] = None
            self.why.setdefault(test, reason)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that skips itself, with all its tests."""
        if report.skipped:
            self.endings[report.nodeid]["skipped"] = None
            self.why[report.nodeid] = _read_reason(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail if a named backend did nothing; a worker of pytest-xdist tells its rows."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["neuron_xp_rows"] = self.rows
        elif session.exitstatus == pytest.ExitCode.OK and self._find_idle(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take a worker's rows: the controller of pytest-xdist collects nothing itself."""
        self.rows |= getattr(node, "workeroutput", {}).get("neuron_xp_rows", {})

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Write the table, if a test has asked for a backend."""
        if self.rows:
            terminalreporter.section("backends")
            for line in self._list_rows():
                terminalreporter.line(line)
            for line in self._list_unrun():
                terminalreporter.line(line, yellow=True)
        for name in self._find_idle(terminalreporter.config):
            line = f"FAILED: backend {name} is named, and no test ran on it"
            terminalreporter.line(line, red=True)

    def _find_idle(self, config: pytest.Config) -> list[str]:
        """Find the names of backends on which no test ran, though one should have."""
        if config.option.collectonly:
            return []
        idle = []
        for name in self.named:
            endings = {
                ending
                for place, counts in self.counts.items()
                if f"{place}:".startswith(f"{name}:")
                for ending in counts
            }
            if not endings & RAN and (endings or self.strict):
                idle.append(name)
        return idle

    def _list_rows(self) -> list[str]:
        header = ["backend", "device", "variant", "version", *OUTCOMES, "reason"]
        libraries = list(dict.fromkeys(name for name, *_ in self.rows.values()))
        places = sorted(self.rows, key=lambda place: libraries.index(self.rows[place][0]))
        table = [header]
        for place in places:
            *cells, reason = self.rows[place]
            counts = [str(self.counts[place][outcome] or "-") for outcome in OUTCOMES]
            table.append([*cells, *counts, reason or "; ".join(self.reasons[place])])
        if not any(row[2] for row in table[1:]):
            table = [[*row[:2], *row[3:]] for row in table]  # no variants
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]

    def _list_unrun(self) -> list[str]:
        """List the tests, or whole files of them, that were skipped wherever they were to run."""
        files: defaultdict[str, list[str]] = defaultdict(list)
        for test in self.endings:
            files[test.partition("::")[0]].append(test)
        unrun = {test for test, endings in self.endings.items() if not RAN.intersection(endings)}
        lines = []
        for file, tests in files.items():
            if len(tests) > 1 and unrun.issuperset(tests):
                lines.append(f"{file} (all {len(tests)} tests): {self.why[tests[0]]}")
            else:
                lines += [f"{test}: {self.why[test]}" for test in tests if test in unrun]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
        return [f"ran on no backend: {line}" for line in lines]


def _read_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Read why it was skipped: pytest keeps file, line and reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
