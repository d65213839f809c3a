"""How what was measured is said: a title and a table for each contest."""

from collections.abc import Sequence

from ci.benchmarks.cluster import reckon_costs
from ci.benchmarks.contest import find_faults
from ci.benchmarks.results import IDLE, Contest, First

HEADER = ("", "time", "x", "million rows/s", "GB/s", "from the disk", "memory MB", "first call s",
          "tasks")  # fmt: skip
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def report(contest: Contest) -> str:
    """Write a title, the table, and what reproducible contenders ended on."""
    if contest.too_large is not None:
        return f"{contest.title}: {contest.too_large}"
    lines = [
        f"{contest.title} ({contest.bytes / 1e6:,.3g} MB), x: to {contest.beside}",
        *format_table([HEADER, *(format_cells(contest, name) for name in contest.ways)]),
    ]
    if costs := reckon_costs(contest):
        a_task, a_round_trip = map(format_duration, costs)
        lines.append(f"a task takes {a_task}, a round trip {a_round_trip}")
    prints = {first.fingerprint for first in contest.firsts.values()} - {None}
    if prints and not find_faults(contest):
        lines.append(f"one fingerprint of the reproducible: {str(prints.pop())[:12]}")
    return "\n".join(lines)


def format_cells(contest: Contest, name: str) -> list[str]:
    """Write a line of the table; of ways with other rows than the contest's only the time."""
    way, seconds = contest.ways[name], contest.ways[name].median
    first = contest.firsts.get(name, First())
    alike = not name.startswith(IDLE)
    told = [fetched for fetched in way.from_disk or () if fetched is not None]
    numbers = (
        contest.ratio(name) if alike else None,
        contest.shape.rows / seconds / 1e6 if alike else None,
        contest.bytes / seconds / 1e9 if alike else None,
        sum(told) / len(way.rounds) / contest.bytes if told else None,
        None if way.peak_bytes is None else round(way.peak_bytes / 1e6),
        first.seconds,
        way.tasks,
    )
    return [name, format_duration(seconds), *map(format_number, numbers)]


def format_duration(seconds: float) -> str:
    """Write three digits and the unit that fits: '1.23 ms'."""
    unit, name = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / unit:.3g} {name}"


def format_number(number: float | None) -> str:
    """Write three digits, all that are before the point, or a dash where there is no number."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write lines with the first column to the left; columns that say nothing are left out."""
    columns = [column for column in zip(*rows, strict=True) if set(column[1:]) != {"-"}]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])])
        for first, *rest in zip(*columns, strict=True)
    ]
