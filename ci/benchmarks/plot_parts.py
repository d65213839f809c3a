"""The picture's panels of data that are not in memory: passes over files, and clusters."""

from typing import Any

BARS = {"reading alone": "#9aa5b1", "iteration": "#1f77b4"}
COLOURS = ("#1f77b4", "#d95f02", "#2a9d5c", "#7b4fa3")


def has_figures(record: dict[str, Any]) -> bool:
    """Records of older versions have no such sections."""
    return bool(record.get("disk", {}).get("passes") or record.get("cluster", {}).get("workers"))


def draw(figure: Any, record: dict[str, Any]) -> None:
    """A row of three panels; one without figures stays empty."""
    disk, scaling, tasks = figure.subplots(1, 3)
    if record["disk"].get("passes"):
        _disk(disk, record["disk"])
    if record["cluster"].get("workers"):
        _scaling(scaling, record["cluster"])
        _tasks(tasks, record["cluster"]["workers"])


def _disk(axes: Any, result: dict[str, Any]) -> None:
    """A bar for each pass over the rows, the first one on top."""
    passes = result["passes"]
    names = list(passes)[::-1]
    speeds = [passes[name]["gigabytes_per_second"] for name in names]
    bars = axes.barh(names, speeds, color=[BARS[name.partition(",")[0]] for name in names])
    axes.bar_label(bars, [f"{speed:.2g}" for speed in speeds], padding=3, fontsize=8)
    axes.margins(x=0.14)
    axes.set_xlabel("GB/s")
    axes.set_title(f"From disk, {result['shape']['name']}, {result['bytes'] / 1e9:.2g} GB")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _scaling(axes: Any, result: dict[str, Any]) -> None:
    rows = result["workers"]
    workers = [int(count) for count in rows]
    speeds = [row["rows_per_second"] / 1e6 for row in rows.values()]
    memory = [row["memory_rows_per_second"] / 1e6 for row in rows.values()]
    ideal = [speeds[0] * count / workers[0] for count in workers]
    cores = result["cores"]
    axes.plot(workers, memory, "s-", color="black", label=f"in memory, {cores} threads")
    axes.plot(workers, ideal, ":", color="grey", label="as many times the first")
    axes.plot(workers, speeds, "o-", color=COLOURS[0], label="cluster")
    axes.set_xticks(workers)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("workers of one thread")
    axes.set_ylabel("million rows/s")
    axes.set_title(f"Cluster, {result['shape']['name']}, {cores} cores")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)


def _tasks(axes: Any, rows: dict[str, Any]) -> None:
    for colour, (workers, row) in zip(COLOURS, rows.items(), strict=False):
        points = [row["tiny"], *row["many"]]
        at, seconds = zip(*((point["tasks"], point["median"]) for point in points), strict=True)
        axes.plot(at, seconds, "o-", color=colour, label=f"workers: {workers}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log")
    axes.set_xlabel("tasks per iteration")
    axes.set_ylabel("seconds per iteration")
    axes.set_title("Cluster, nothing to compute")
    axes.grid(which="both", alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
