"""The picture: ratios to plain NumPy for each shape, growth, and data that are not in memory.

Of figures that were written, also the tables: python -m ci.benchmarks.plot FIGURES.json PICTURE.png
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.benchmarks.programs import KERNELS, PLAIN
from ci.benchmarks.report import report
from ci.benchmarks.results import IN_MEMORY, ON_CLUSTER, Contest, Record, read
from ci.benchmarks.shapes import BYTES, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 13  # inches
HEIGHTS = (5.5, 4.5, 4.0)  # of the rows; the last is left out where it would be empty
DPI = 130
SHARE_OF_A_GROUP = 0.86  # the rest is space between groups
COLOURS = {"numpy": "#1f77b4", "torch": "#d95f02", "jax": "#2a9d5c"}
LINE_COLOURS = (*COLOURS.values(), "#7b4fa3", "#c0392b")
BARS = {"reading alone": "#9aa5b1", "iteration": COLOURS["numpy"]}
LEGEND = (
    "pale: the libraries alone\nfull: reproducible, kernels\ndotted: reproducible, arrays\n"
    "striped: native\n"
)
OURS = "neuron_xp"
LINES = {PLAIN: ("black", "s"), KERNELS: (COLOURS["numpy"], "o")}


def draw(record: Record, file: Path) -> None:
    """Write the picture; the ending of the file's name tells its format."""
    make_figure(record).savefig(file, dpi=DPI)


def make_figure(record: Record) -> "Figure":
    """Draw the panels."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    contests, cores = record.contests, record.machine.cores
    apart = (*contests["disk"], *contests["cluster"])
    heights = HEIGHTS if any(contest.ways for contest in apart) else HEIGHTS[:-1]
    figure = Figure((WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    above, middle, *last = parts[:, 0]
    _draw_ratios(above.subplots(), contests["shapes"])
    times, ratios, by_threads = middle.subplots(1, 3)
    _draw_growth(times, ratios, contests["growth"], record.machine.memory_bytes)
    _draw_threads(by_threads, contests["threads"])
    for below in last:
        disk, scaling, tasks = below.subplots(1, 3)
        _draw_disk(disk, *contests["disk"])
        _draw_scaling(scaling, contests["cluster"], cores)
        _draw_tasks(tasks, contests["cluster"])
    figure.suptitle(f"neuron_xp on {record.machine.processor}, {cores} cores")
    return figure


def name_ways(contests: Sequence[Contest]) -> list[str]:
    """List those that any of the contests has, each once."""
    return list(dict.fromkeys(name for contest in contests for name in contest.ways))


def _draw_ratios(axes: "Axes", contests: Sequence[Contest]) -> None:
    """Draw a group of bars for each shape, a bar for each contender but the one at 1."""
    names = [name for name in name_ways(contests) if name != PLAIN]
    width = SHARE_OF_A_GROUP / max(1, len(names))
    for place, name in enumerate(names):
        ratios = [contest.ratio(name) if name in contest.ways else None for contest in contests]
        found = [(group, ratio) for group, ratio in enumerate(ratios) if ratio is not None]
        at = [group + width * (place - (len(names) - 1) / 2) for group, _ in found]
        bars = axes.bar(at, [r - 1 for _, r in found], width, bottom=1, label=name, **_style(name))
        labels = [f"{r:.0f}" if r >= 10 else f"{r:.2g}" for _, r in found]
        axes.bar_label(bars, labels, rotation=90, fontsize=7, padding=2)
    axes.axhline(1, color="black", linewidth=1.2, label=PLAIN)
    axes.set_yscale("log")
    axes.margins(x=0.01, y=0.14)
    axes.set_xticks(range(len(contests)), [_title(contest.shape) for contest in contests])
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


def _style(name: str) -> dict[str, Any]:  # Any: as matplotlib's keywords are
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


def _draw_growth(
    times: "Axes", ratios: "Axes", contests: Sequence[Contest], memory_bytes: int
) -> None:
    """Draw a line over the rows for each number of features, and where memory would be full."""
    for features, colour in zip(
        sorted({contest.shape.features for contest in contests}), LINE_COLOURS, strict=False
    ):
        found = [of for of in contests if of.shape.features == features and of.ways]
        rows = [contest.shape.rows for contest in found]
        for name, style in ((PLAIN, "s:"), (KERNELS, "o-")):
            seconds = [contest.ways[name].median for contest in found]
            times.plot(rows, seconds, style, color=colour, markersize=4)
        found_ratios = [of.ratio(KERNELS) or 0.0 for of in found]
        ratios.plot(rows, found_ratios, "o-", color=colour, label=f"{features:,}", markersize=4)
        for axes in (times, ratios):
            axes.axvline(memory_bytes / (features * BYTES), color=colour, linestyle=(0, (1, 4)))
    for axes in (times, ratios):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(1, max(contest.shape.rows for contest in contests) * 4)
    times.set_title("Growth: full neuron_xp, dotted plain NumPy;\nupright: the memory is full")
    _finish(times, "rows", "seconds per iteration")
    ratios.axhline(1, color="black", linewidth=1.2)
    ratios.yaxis.set_major_formatter("{x:g}")
    ratios.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    ratios.minorticks_off()
    ratios.set_title(f"Growth: time / {PLAIN}'s")
    _finish(ratios, "rows", "ratio")
    ratios.set_ylim(0.05, 8)
    ratios.legend(title="features", ncols=3, loc="upper center", fontsize=9, frameon=False)


def _draw_threads(axes: "Axes", contests: Sequence[Contest]) -> None:
    counts = [contest.threads or 1 for contest in contests]
    for name, (colour, marker) in LINES.items():
        seconds = [contest.ways[name].median for contest in contests]
        axes.plot(counts, seconds, label=name, color=colour, marker=marker)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xticks(counts, map(str, counts))
    axes.set_title(f"Threads, {contests[0].shape.name}")
    _finish(axes, "threads", "seconds per iteration")


def _draw_disk(axes: "Axes", contest: Contest) -> None:
    """Draw a bar for each pass over the rows, the first one on top."""
    names = list(contest.ways)[::-1]
    speeds = [contest.bytes / contest.ways[name].median / 1e9 for name in names]
    bars = axes.barh(names, speeds, color=[BARS[name.partition(",")[0]] for name in names])
    axes.bar_label(bars, [f"{speed:.2g}" for speed in speeds], padding=3, fontsize=8)
    axes.margins(x=0.14)
    axes.set_xlabel("GB/s")
    axes.set_title(f"From disk, {contest.shape.name}, {contest.bytes / 1e9:.2g} GB")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _draw_scaling(axes: "Axes", contests: Sequence[Contest], cores: int) -> None:
    found = [contest for contest in contests if contest.ways.keys() >= {IN_MEMORY, ON_CLUSTER}]
    workers = [contest.workers or 1 for contest in found]
    memory, speeds = (
        [contest.shape.rows / contest.ways[name].median / 1e6 for contest in found]
        for name in (IN_MEMORY, ON_CLUSTER)
    )
    ideal = [speeds[0] * count / workers[0] for count in workers]
    axes.plot(workers, memory, "s-", color="black", label=f"in memory, {cores} threads")
    axes.plot(workers, ideal, ":", color="grey", label="as many times the first")
    axes.plot(workers, speeds, "o-", color=LINE_COLOURS[0], label="cluster")
    axes.set_xticks(workers)
    axes.set_ylim(bottom=0)
    axes.set_title(f"Cluster, {contests[0].shape.name}, {cores} cores")
    _finish(axes, "workers of one thread", "million rows/s")


def _draw_tasks(axes: "Axes", contests: Sequence[Contest]) -> None:
    for colour, contest in zip(LINE_COLOURS, contests, strict=False):
        ways = contest.list_idle()
        tasks, seconds = [way.tasks or 0 for way in ways], [way.median for way in ways]
        axes.plot(tasks, seconds, "o-", color=colour, label=f"workers: {contest.workers}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log")
    axes.set_title("Cluster, nothing to compute")
    _finish(axes, "tasks per iteration", "seconds per iteration")


def _finish(axes: "Axes", across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(which="both", alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


if __name__ == "__main__":
    figures = read(Path(sys.argv[1]))
    print(*(report(found) for of in figures.contests.values() for found in of), sep="\n\n")
    draw(figures, Path(sys.argv[2]))
