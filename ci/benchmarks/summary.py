"""From what was measured to what is said: medians, ratios, agreement, tables. Pure."""

from collections.abc import Sequence
from math import isnan, nan
from statistics import median
from typing import Any

PLAIN = "plain NumPy"
BOUND = 1e-6
"""Weights of the others may differ from plain NumPy's by so much: a loose one, for float64."""

HEADER = ("contender", "time/iteration", "x plain NumPy", "GB/s", "memory MB", "first call s")
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """The result with median, ratio, GB/s and distance from plain NumPy's weights added."""
    measured = result["contenders"]
    plain = measured.get(PLAIN)
    rows = {}
    for name, row in measured.items():
        seconds = median(row["rounds"])
        rows[name] = {
            **{key: value for key, value in row.items() if key != "weights"},
            "median": seconds,
            "ratio": ratio(row["rounds"], plain["rounds"]) if plain else None,
            "gigabytes_per_second": result["shape"]["input_bytes"] / seconds / 1e9,
            "distance": distance(row["weights"], plain["weights"]) if plain else None,
        }
    return {**result, "contenders": rows}


def ratio(rounds: Sequence[float], plain: Sequence[float]) -> float:
    """The median of each round's ratio: what slows a whole round down falls out."""
    return median(a / b for a, b in zip(rounds, plain, strict=True))


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """The largest difference; NaN if there is one, which max alone may pass over."""
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return nan if any(map(isnan, gaps)) else max(gaps)


def faults(result: dict[str, Any]) -> list[str]:
    """What is not as it should be, in a line each."""
    title = result["shape"]["name"]
    said = [f"{title}: {name} is left out: {why}" for name, why in result["left_out"].items()]
    rows = result["contenders"]
    for name, row in rows.items():
        if row["distance"] is not None and not row["distance"] <= BOUND:
            said.append(f"{title}: {name} ends {row['distance']:.2g} from {PLAIN}")
    prints = {name: row["fingerprint"] for name, row in rows.items() if row["fingerprint"]}
    if len(set(prints.values())) > 1:
        each = ", ".join(f"{name} {value[:12]}" for name, value in prints.items())
        said.append(f"{title}: DIFFERENT fingerprints: {each}")
    return said


def report(result: dict[str, Any]) -> str:
    """A title, the table, and what reproducible contenders ended on."""
    shape = result["shape"]
    threads = "" if result["threads"] is None else f", {result['threads']} threads"
    lines = [f"{shape['name']}{threads} ({shape['input_bytes'] / 1e6:,.3g} MB of inputs)"]
    rows = result["contenders"]
    if result["too_large"]:
        return f"{lines[0]}: {result['too_large']}"
    lines += table([HEADER, *(cells(name, row) for name, row in rows.items())])
    prints = {row["fingerprint"] for row in rows.values()} - {None}
    if len(prints) == 1:
        lines.append(f"one fingerprint of the reproducible: {prints.pop()[:12]}")
    return "\n".join(lines)


def cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        duration(row["median"]),
        "-" if row["ratio"] is None else f"{row['ratio']:.3g}",
        f"{row['gigabytes_per_second']:.3g}",
        f"{row['peak_bytes'] / 1e6:,.0f}",
        f"{row['first_call']:.2f}",
    )


def duration(seconds: float) -> str:
    """Three digits and the unit that fits: '1.23 ms'."""
    unit, name = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / unit:.3g} {name}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def growth_table(results: Sequence[dict[str, Any]], what: str) -> str:
    """Time per iteration of each contender: a line for each number of rows, or of threads."""
    names = list(dict.fromkeys(name for result in results for name in result["contenders"]))
    lines = [(what, *names, "ratio")]
    for result in results:
        key = result["threads"] if what == "threads" else result["shape"]["rows"]
        rows = result["contenders"]
        times = [duration(rows[name]["median"]) if name in rows else "-" for name in names]
        last = rows[names[-1]]["ratio"] if names and names[-1] in rows else None
        lines.append((f"{key:,}", *times, "-" if last is None else f"{last:.3g}"))
    return "\n".join(table(lines))
