"""Training on a cluster of processes, beside the same rows in the memory of one."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median

from ci.benchmarks.cluster_worker import Cut, Trainer, open_trainer
from ci.benchmarks.machine import count_cores
from ci.benchmarks.memory import find_free_bytes
from ci.benchmarks.processes import Process, WorkerError
from ci.benchmarks.programs import KERNELS
from ci.benchmarks.results import ClusterResult, CutResult, WorkersResult
from ci.benchmarks.shapes import FEATURES, Shape, random_shape
from ci.benchmarks.text import find_different, format_duration, format_number, format_table
from ci.benchmarks.timed import Pace, TimedProgram, start_timed, take_turns_with
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.workflows.clock import compare

TINY = 1000
PARTS_A_WORKER = 2
MOST_PARTS_A_WORKER = 16  # of a thread each: of more parts the program makes fewer
ITERATIONS, OF_MANY_PARTS = 16, 8  # in stretches of 1, 2, 4, 8 and 1, or shorter ones
COPIES = 6
"""Of the inputs, at most: in memory, at the workers, and what loads and checks them."""
HEADER = ("workers", "tasks/iteration", "overhead", "time/iteration", "million rows/s", "x memory",
          "a task", "a round trip")  # fmt: skip
METHOD = f"""\
Cluster: a scheduler with its client, and worker processes of one thread, on the loopback address;
rows are made by the tasks that load them. An iteration: between two calls of on_progress, so that
loading and the loss fall out. Overhead: the time of an iteration on {TINY:,} rows, in which there
is nothing to compute. A task, a round trip: slope and start of the line from there to the time of
an iteration on tiny data in {MOST_PARTS_A_WORKER} parts a worker. x memory: each round's ratio to
the same rows in one process with a thread a core, its median. All of it shares this machine's
cores: with more workers than cores nothing can be gained."""


def measure(
    rows: int,
    workers: Sequence[int],
    many: Sequence[int],
    pace: Pace,
    free: float | None = None,
) -> ClusterResult:
    """Measure on so many rows, on a cluster of each of these numbers of workers.

    many : in how many parts a worker data are cut besides, to see what a task costs
    free : bytes of memory that may be used; None for all that are free
    """
    shape = random_shape(rows, FEATURES)
    result = ClusterResult(shape, count_cores(), TINY)
    needed = COPIES * shape.input_bytes
    if needed > (find_free_bytes() if free is None else free):
        return replace(result, too_large=f"needs some {needed / 1e9:.0f} GB of memory")
    found: dict[str, WorkersResult] = {}
    fingerprint = None
    try:
        with start_timed(KERNELS, shape, None, pace.seconds) as memory:
            memory.wait_until_ready()
            fingerprint = memory.ask(TimedProgram.train_first).fingerprint
            for count in workers:
                cuts = make_cuts(shape, count, many)
                found[str(count)] = _measure_beside(memory, count, cuts, pace)
    except WorkerError as error:
        result = replace(result, failed=str(error))
    return replace(result, memory=fingerprint, workers=found)


def make_cuts(shape: Shape, workers: int, many: Sequence[int]) -> tuple[Cut, ...]:
    """Cut the shape, then data in which there is nothing to compute, also into many parts."""
    few = PARTS_A_WORKER * workers
    tiny = random_shape(TINY, shape.features)
    counts = [parts * workers for parts in many]
    return (
        Cut(shape, few, ITERATIONS),
        Cut(tiny, few, ITERATIONS),
        *(Cut(random_shape(n * LEAF, shape.features), n, OF_MANY_PARTS) for n in counts),
    )


def _measure_beside(
    memory: Process[TimedProgram], workers: int, cuts: tuple[Cut, ...], pace: Pace
) -> WorkersResult:
    """Measure a cluster and the rows in memory, in turns; end it before the next begins."""
    with Process(partial(open_trainer, workers, cuts)) as cluster:
        cluster.wait_until_ready()
        tasks = cluster.ask(Trainer.count_tasks)
        fingerprint = cluster.ask(Trainer.train_first)
        title = f"cluster, workers: {workers},"
        rounds = take_turns_with(memory, cluster, Trainer.run, title, pace)
    timed = []
    for place, (cut, count) in enumerate(zip(cuts, tasks, strict=True)):
        seconds = tuple(times[place] for times, _ in rounds)
        timed.append(CutResult(len(cut.sizes()), count, seconds, median(seconds)))
    in_memory = tuple(seconds for _, seconds in rounds)
    return summarize(cuts[0].shape.rows, fingerprint, timed, in_memory)


def summarize(
    rows: int, fingerprint: str, cuts: Sequence[CutResult], memory: tuple[float, ...]
) -> WorkersResult:
    """Add ratios, and what a task and a round trip cost."""
    large, tiny, *many = cuts
    last = many[-1]
    a_task = max(0.0, (last.median - tiny.median) / (last.tasks - tiny.tasks))
    return WorkersResult(
        fingerprint=fingerprint,
        large=large,
        tiny=tiny,
        many=tuple(many),
        memory_rounds=memory,
        memory_rows_per_second=rows / median(memory),
        rows_per_second=rows / large.median,
        ratio_to_memory=compare(large.rounds, memory),
        seconds_a_task=a_task,
        seconds_a_round_trip=max(0.0, tiny.median - tiny.tasks * a_task),
    )


def report(result: ClusterResult) -> str:
    """Write a title and the table, or why there is none."""
    title = f"cluster: {result.shape.name}, one thread a worker, {result.cores} cores"
    reason = result.failed or result.too_large
    if reason:
        return f"{title}: no figures, {reason}"
    cells = [_format_cells(workers, found) for workers, found in result.workers.items()]
    lines = [title, *format_table([HEADER, *cells])]
    if not find_faults(result):
        lines.append(f"one fingerprint, in memory too: {str(result.memory)[:12]}")
    return "\n".join(lines)


def _format_cells(workers: str, found: WorkersResult) -> tuple[str, ...]:
    return (
        workers,
        str(found.large.tasks),
        format_duration(found.tiny.median),
        format_duration(found.large.median),
        format_number(found.rows_per_second / 1e6),
        format_number(found.ratio_to_memory),
        format_duration(found.seconds_a_task),
        format_duration(found.seconds_a_round_trip),
    )


def find_faults(result: ClusterResult) -> list[str]:
    """Say what is not as it should be, in a line each."""
    if result.failed is not None:
        return [f"cluster: {result.failed}"]
    prints = {f"{count} workers": found.fingerprint for count, found in result.workers.items()}
    return find_different("cluster", {**prints, "in memory": str(result.memory)})
