"""The picture: ratios to plain NumPy for each shape, growth, and data that are not in memory.

A picture of figures that were written: python -m ci.benchmarks.plot FIGURES.json PICTURE.png
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.benchmarks.contest import name_contenders
from ci.benchmarks.programs import PLAIN
from ci.benchmarks.results import ClusterResult, DiskResult, Record, ShapeResult, read
from ci.benchmarks.shapes import Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 13  # inches
HEIGHTS = (5.5, 4.5, 4.0)  # of the rows; the last is left out where it would be empty
DPI = 130
SHARE_OF_A_GROUP = 0.86  # the rest is space between groups
COLOURS = {"numpy": "#1f77b4", "torch": "#d95f02", "jax": "#2a9d5c"}
LINE_COLOURS = (*COLOURS.values(), "#7b4fa3")
BARS = {"reading alone": "#9aa5b1", "iteration": COLOURS["numpy"]}
LEGEND = "pale: the libraries alone\nfull or dotted: reproducible\nstriped: native\n"
OURS = "neuron_xp"
LINES: dict[str, dict[str, Any]] = {  # Any: as matplotlib's keywords are
    PLAIN: {"color": "black", "marker": "s"},
    OURS: {"color": COLOURS["numpy"], "marker": "o"},
}


def draw(record: Record, file: Path) -> None:
    """Write the picture; the ending of the file's name tells its format."""
    make_figure(record).savefig(file, dpi=DPI)


def make_figure(record: Record) -> "Figure":
    """Draw the panels."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    parts = bool(record.disk.passes or record.cluster.workers)
    heights = HEIGHTS if parts else HEIGHTS[:-1]
    figure = Figure((WIDTH, sum(heights)), layout="constrained")
    rows_of_panels = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    above, below, *last = rows_of_panels[:, 0]
    _draw_ratios(above.subplots(), record.shapes)
    rows, threads = below.subplots(1, 2)
    growth = record.growth
    _draw_growth(rows, growth.rows, f"rows (x {growth.rows[0].shape.features} features)")
    rows.set_title("Growth with rows")
    _draw_growth(threads, growth.threads, "threads")
    threads.set_title(f"Growth with threads, {growth.threads[0].shape.name}")
    for row in last:
        disk, scaling, tasks = row.subplots(1, 3)
        _draw_disk(disk, record.disk)
        _draw_scaling(scaling, record.cluster)
        _draw_tasks(tasks, record.cluster)
    machine = record.machine
    figure.suptitle(f"neuron_xp on {machine.processor}, {machine.cores} cores")
    return figure


def _draw_ratios(axes: "Axes", results: Sequence[ShapeResult]) -> None:
    """Draw a group of bars for each shape, a bar for each contender but the one at 1."""
    names = [name for name in name_contenders(results) if name != PLAIN]
    width = SHARE_OF_A_GROUP / max(1, len(names))
    for place, name in enumerate(names):
        rows = [result.contenders.get(name) for result in results]
        found = [(k, row.ratio) for k, row in enumerate(rows) if row and row.ratio is not None]
        at = [group + width * (place - (len(names) - 1) / 2) for group, _ in found]
        bars = axes.bar(at, [r - 1 for _, r in found], width, bottom=1, label=name, **_style(name))
        labels = [f"{r:.0f}" if r >= 10 else f"{r:.2g}" for _, r in found]
        axes.bar_label(bars, labels, rotation=90, fontsize=7, padding=2)
    axes.axhline(1, color="black", linewidth=1.2, label=PLAIN)
    axes.set_yscale("log")
    axes.margins(x=0.01, y=0.14)
    axes.set_xticks(range(len(results)), [_title(result.shape) for result in results])
    axes.set_ylabel(f"time per iteration / {PLAIN}'s")
    axes.set_title("Time per iteration beside the same program in plain NumPy: below 1 is faster")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(title=LEGEND, fontsize=8, title_fontsize=8, alignment="left",
                loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)  # fmt: skip
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _title(shape: Shape) -> str:
    own = f"{shape.name} ({shape.rows} x {shape.features})"
    return own if "x" not in shape.name else shape.name.replace(", ", "\n")


def _style(name: str) -> dict[str, Any]:
    """Choose the library's colour; full for reproducible, striped for native, else pale."""
    colour = next((c for library, c in COLOURS.items() if library in name), "grey")
    if not name.startswith(OURS):
        paler = 0.2 if "nn" in name else 0.45
        return {"facecolor": colour, "alpha": paler, "edgecolor": colour}
    if "native" in name:
        return {"facecolor": "white", "edgecolor": colour, "hatch": "////"}
    if "arrays" in name:
        return {"facecolor": colour, "edgecolor": "white", "hatch": "...."}
    return {"facecolor": colour, "edgecolor": colour}


def _draw_growth(axes: "Axes", results: Sequence[ShapeResult], label: str) -> None:
    by_threads = label == "threads"
    for name in name_contenders(results):
        found = [result for result in results if name in result.contenders]
        at = [(result.threads or 1) if by_threads else result.shape.rows for result in found]
        seconds = [result.contenders[name].median for result in found]
        axes.plot(at, seconds, label=name, **LINES[PLAIN if name == PLAIN else OURS])
    axes.set_xscale("log", base=2 if by_threads else 10)
    axes.set_yscale("log")
    if by_threads:
        ticks = sorted({result.threads or 1 for result in results})
        axes.set_xticks(ticks, map(str, ticks))
    _finish(axes, label, "seconds per iteration")


def _draw_disk(axes: "Axes", result: DiskResult) -> None:
    """Draw a bar for each pass over the rows, the first one on top."""
    names = list(result.passes)[::-1]
    speeds = [result.passes[name].gigabytes_per_second for name in names]
    bars = axes.barh(names, speeds, color=[BARS[name.partition(",")[0]] for name in names])
    axes.bar_label(bars, [f"{speed:.2g}" for speed in speeds], padding=3, fontsize=8)
    axes.margins(x=0.14)
    axes.set_xlabel("GB/s")
    axes.set_title(f"From disk, {result.shape.name}, {result.bytes / 1e9:.2g} GB")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _draw_scaling(axes: "Axes", result: ClusterResult) -> None:
    axes.set_title(f"Cluster, {result.shape.name}, {result.cores} cores")
    if not result.workers:
        return
    found = result.workers.values()
    workers = [int(count) for count in result.workers]
    speeds = [of.rows_per_second / 1e6 for of in found]
    memory = [of.memory_rows_per_second / 1e6 for of in found]
    ideal = [speeds[0] * count / workers[0] for count in workers]
    axes.plot(workers, memory, "s-", color="black", label=f"in memory, {result.cores} threads")
    axes.plot(workers, ideal, ":", color="grey", label="as many times the first")
    axes.plot(workers, speeds, "o-", color=LINE_COLOURS[0], label="cluster")
    axes.set_xticks(workers)
    axes.set_ylim(bottom=0)
    _finish(axes, "workers of one thread", "million rows/s")


def _draw_tasks(axes: "Axes", result: ClusterResult) -> None:
    axes.set_title("Cluster, nothing to compute")
    for colour, (workers, found) in zip(LINE_COLOURS, result.workers.items(), strict=False):
        cuts = [found.tiny, *found.many]
        tasks, seconds = [cut.tasks for cut in cuts], [cut.median for cut in cuts]
        axes.plot(tasks, seconds, "o-", color=colour, label=f"workers: {workers}")
    if result.workers:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yscale("log")
        _finish(axes, "tasks per iteration", "seconds per iteration")


def _finish(axes: "Axes", across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(which="both", alpha=0.25)
    axes.legend(frameon=False, fontsize=9)


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])), Path(sys.argv[2]))
