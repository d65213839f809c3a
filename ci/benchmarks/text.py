"""How what was measured is said: durations, tables, differing fingerprints."""

from collections.abc import Mapping, Sequence

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def format_duration(seconds: float) -> str:
    """Write three digits and the unit that fits: '1.23 ms'."""
    unit, name = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / unit:.3g} {name}"


def format_number(number: float | None) -> str:
    """Write three digits, or a dash where there is no number."""
    return "-" if number is None else f"{number:.3g}"


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write lines with the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def find_different(title: str, fingerprints: Mapping[str, str]) -> list[str]:
    """Say in a line that fingerprints differ; no line if they do not."""
    if len(set(fingerprints.values())) <= 1:
        return []
    each = ", ".join(f"{name} {value[:12]}" for name, value in fingerprints.items())
    return [f"{title}: DIFFERENT fingerprints: {each}"]
