"""Training on a cluster of processes, beside the same rows in the memory of one."""

from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from typing import Any

from ci.benchmarks.machine import cores, free_bytes
from ci.benchmarks.processes import Process, WorkerError, contender
from ci.benchmarks.programs import KERNELS
from ci.benchmarks.shapes import Shape, random_shape
from ci.benchmarks.summary import duration, ratio, table

WORKERS, QUICK_WORKERS = (1, 2, 4), (1,)
ROWS, QUICK_ROWS = 4_000_000, 100_000
FEATURES = 20
TINY = 1000
MANY, QUICK_MANY = (32, 128), (32,)
COPIES = 6
"""Of the inputs, at most: in memory, at the workers, and what loads and checks them."""
HEADER = ("workers", "tasks/iteration", "overhead", "time/iteration", "million rows/s", "x memory",
          "a task", "a round trip")  # fmt: skip
METHOD = f"""\
Cluster: a scheduler with its client, and worker processes of one thread, on the loopback address;
rows are made by the tasks that load them. An iteration: between two calls of on_progress, so that
loading and the loss fall out. Overhead: the time of an iteration on {TINY:,} rows, in which there
is nothing to compute. A task, a round trip: slope and start of the line from there to the time of
an iteration on tiny data in {MANY[-1]} parts (--quick: {QUICK_MANY[-1]}). x memory: each round's
ratio to the same rows in one process with a thread a core, its median. All of it shares this
machine's cores: with more workers than cores nothing can be gained."""


def measured(quick: bool, rounds: int, seconds: float, say: Any) -> dict[str, Any]:
    """The JSON's "cluster"; `failed` says why there are no figures, if there are none."""
    shape = random_shape(QUICK_ROWS if quick else ROWS, FEATURES)
    result = {"shape": asdict(shape), "cores": cores(), "tiny_rows": TINY, "memory": None,
              "workers": {}, "too_large": None, "failed": None}  # fmt: skip
    needed = COPIES * shape.input_bytes
    if needed > free_bytes():
        return {**result, "too_large": f"needs some {needed / 1e9:.0f} GB of memory"}
    try:
        with ExitStack() as stack:
            memory = contender(KERNELS, shape, None, seconds)
            stack.callback(memory.end)
            memory.answer()
            result["memory"] = memory.ask("first")["fingerprint"]
            for workers in QUICK_WORKERS if quick else WORKERS:
                found = _beside(memory, workers, shape, quick, rounds, say)
                result["workers"][str(workers)] = found
    except WorkerError as error:
        return {**result, "failed": str(error)}
    return result


def _beside(
    memory: Process, workers: int, shape: Shape, quick: bool, rounds: int, say: Any
) -> dict[str, Any]:
    """One cluster and the rows in memory, in turns; the cluster is ended before the next."""
    task = {"workers": workers, "large": asdict(shape), "tiny": TINY,
            "many": list(QUICK_MANY if quick else MANY)}  # fmt: skip
    cluster = Process("cluster_worker", task)
    try:
        cluster.answer()
        fingerprint = cluster.ask("first")["fingerprint"]
        found = []
        for number in range(1, rounds + 1):
            say(f"cluster, workers: {workers}, round {number} of {rounds}")
            found.append({"memory": memory.ask("run")["seconds"], **cluster.ask("run")})
        return summarized(shape.rows, fingerprint, found)
    finally:
        cluster.end()


def summarized(rows: int, fingerprint: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, ratios, and what a task and a round trip cost."""
    large, tiny = (_median([found[name] for found in rounds]) for name in ("large", "tiny"))
    many = [_median(of) for of in zip(*(found["many"] for found in rounds), strict=True)]
    last = many[-1]
    a_task = max(0.0, (last["median"] - tiny["median"]) / (last["tasks"] - tiny["tasks"]))
    memory = [found["memory"] for found in rounds]
    return {
        "fingerprint": fingerprint,
        "large": large,
        "tiny": tiny,
        "many": many,
        "memory_rounds": memory,
        "memory_rows_per_second": rows / median(memory),
        "rows_per_second": rows / large["median"],
        "ratio_to_memory": ratio(large["rounds"], memory),
        "seconds_a_task": a_task,
        "seconds_a_round_trip": max(0.0, tiny["median"] - tiny["tasks"] * a_task),
    }


def _median(of: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [found["seconds"] for found in of]
    return {"parts": of[0]["parts"], "tasks": of[0]["tasks"], "rounds": seconds,
            "median": median(seconds)}  # fmt: skip


def report(result: dict[str, Any]) -> str:
    title = f"cluster: {result['shape']['name']}, one thread a worker, {result['cores']} cores"
    reason = result["failed"] or result["too_large"]
    if reason:
        return f"{title}: no figures, {reason}"
    lines = [title, *table([HEADER, *(_cells(*item) for item in result["workers"].items())])]
    if not faults(result):
        lines.append(f"one fingerprint, in memory too: {result['memory'][:12]}")
    return "\n".join(lines)


def _cells(workers: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        workers,
        str(row["large"]["tasks"]),
        duration(row["tiny"]["median"]),
        duration(row["large"]["median"]),
        f"{row['rows_per_second'] / 1e6:.3g}",
        f"{row['ratio_to_memory']:.3g}",
        duration(row["seconds_a_task"]),
        duration(row["seconds_a_round_trip"]),
    )


def faults(result: dict[str, Any]) -> list[str]:
    """What is not as it should be, in a line each."""
    if result["failed"]:
        return [f"cluster: {result['failed']}"]
    prints = {
        f"{workers} workers": row["fingerprint"] for workers, row in result["workers"].items()
    }
    prints["in memory"] = result["memory"]
    if len(set(prints.values())) > 1 and not result["too_large"]:
        each = ", ".join(f"{name} {value[:12]}" for name, value in prints.items())
        return [f"cluster: DIFFERENT fingerprints: {each}"]
    return []
