"""The picture: ratios to plain NumPy for each shape, growth, and data that are not in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ci.benchmarks import plot_parts
from ci.benchmarks.summary import PLAIN

WIDTH = 13  # inches
HEIGHTS = (5.5, 4.5, 4.0)  # of the rows; the last is not always there
DPI = 130
SHARE_OF_A_GROUP = 0.86  # the rest is space between groups
COLOURS = {"numpy": "#1f77b4", "torch": "#d95f02", "jax": "#2a9d5c"}
LEGEND = "pale: the libraries alone\nfull or dotted: reproducible\nstriped: native\n"
OURS = "neuron_xp"
LINES = {PLAIN: {"color": "black", "marker": "s"}, OURS: {"color": "#1f77b4", "marker": "o"}}


def draw(record: dict[str, Any], file: Path) -> None:
    """Write the picture of a benchmark's JSON; the ending of the name tells its format."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    heights = HEIGHTS if plot_parts.has_figures(record) else HEIGHTS[:-1]
    figure = Figure((WIDTH, sum(heights)), layout="constrained")
    above, below, *last = figure.subfigures(len(heights), 1, height_ratios=heights)
    _ratios(above.subplots(), record["shapes"])
    rows, threads = below.subplots(1, 2)
    features = record["growth"]["rows"][0]["shape"]["features"]
    _growth(rows, record["growth"]["rows"], f"rows (x {features} features)")
    _growth(threads, record["growth"]["threads"], "threads")
    threads.set_title(f"Growth with threads, {record['growth']['threads'][0]['shape']['name']}")
    rows.set_title("Growth with rows")
    for row in last:
        plot_parts.draw(row, record)
    machine = record["machine"]
    figure.suptitle(f"neuron_xp on {machine['processor']}, {machine['cores']} cores")
    figure.savefig(file, dpi=DPI)


def _ratios(axes: Any, results: Sequence[dict[str, Any]]) -> None:
    """A group of bars for each shape, a bar for each contender but the one at 1."""
    names = list(dict.fromkeys(name for r in results for name in r["contenders"]))
    names = [name for name in names if name != PLAIN]
    width = SHARE_OF_A_GROUP / max(1, len(names))
    for place, name in enumerate(names):
        rows = [result["contenders"].get(name) for result in results]
        found = [(group, row["ratio"]) for group, row in enumerate(rows) if row]
        at = [group + width * (place - (len(names) - 1) / 2) for group, _ in found]
        bars = axes.bar(at, [r - 1 for _, r in found], width, bottom=1, label=name, **_style(name))
        labels = [f"{r:.0f}" if r >= 10 else f"{r:.2g}" for _, r in found]
        axes.bar_label(bars, labels, rotation=90, fontsize=7, padding=2)
    axes.axhline(1, color="black", linewidth=1.2, label=PLAIN)
    axes.set_yscale("log")
    axes.margins(x=0.01, y=0.14)
    axes.set_xticks(range(len(results)), [_title(result["shape"]) for result in results])
    axes.set_ylabel(f"time per iteration / {PLAIN}'s")
    axes.set_title("Time per iteration beside the same program in plain NumPy: below 1 is faster")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(title=LEGEND, fontsize=8, title_fontsize=8, alignment="left",
                loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)  # fmt: skip
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _title(shape: dict[str, Any]) -> str:
    name = shape["name"]
    own = f"{name} ({shape['rows']} x {shape['features']})"
    return own if "x" not in name else name.replace(", ", "\n")


def _style(name: str) -> dict[str, Any]:
    """A colour for each library; full for reproducible, striped for native, pale for others."""
    colour = next((c for library, c in COLOURS.items() if library in name), "grey")
    if not name.startswith(OURS):
        paler = 0.2 if "nn" in name else 0.45
        return {"facecolor": colour, "alpha": paler, "edgecolor": colour}
    if "native" in name:
        return {"facecolor": "white", "edgecolor": colour, "hatch": "////"}
    if "arrays" in name:
        return {"facecolor": colour, "edgecolor": "white", "hatch": "...."}
    return {"facecolor": colour, "edgecolor": colour}


def _growth(axes: Any, results: Sequence[dict[str, Any]], label: str) -> None:
    by_threads = label == "threads"
    names = list(dict.fromkeys(name for r in results for name in r["contenders"]))
    for name in names:
        found = [r for r in results if name in r["contenders"]]
        at = [r["threads"] if by_threads else r["shape"]["rows"] for r in found]
        seconds = [r["contenders"][name]["median"] for r in found]
        style = LINES[PLAIN if name == PLAIN else OURS]
        axes.plot(at, seconds, label=name, **style)
    axes.set_xscale("log", base=2 if by_threads else 10)
    axes.set_yscale("log")
    if by_threads:
        ticks = sorted({r["threads"] for r in results})
        axes.set_xticks(ticks, map(str, ticks))
    axes.set_xlabel(label)
    axes.set_ylabel("seconds per iteration")
    axes.grid(which="both", alpha=0.25)
    axes.legend(frameon=False)
