"""What an iteration would cost on a large cluster: on paper, from figures of this machine."""

from dataclasses import asdict, dataclass
from typing import Any

from ci.benchmarks.programs import KERNELS
from ci.benchmarks.summary import duration, table

WORKERS, THREADS = 100, 16
ROWS, FEATURES = 10**11, 20
FLOAT = 8
BYTES_SENT = FLOAT
BYTES_BROUGHT = 4 * FLOAT  # an exact sum is four int64
LEFT_OUT = """\
It leaves out: networks, which are slower than the loopback, and what travels beside weights and
sums; stragglers; that the threads of a worker share its memory's bandwidth; loading, and the loss.
The cost of a task is the least that the clusters above have shown. There workers, scheduler and
client share this machine's cores, so that it holds some of the workers' own work, too."""


@dataclass(frozen=True)
class Constants:
    """The program's own."""

    fan_in: int
    parts_a_thread: int
    largest_part: int
    leaf: int


@dataclass(frozen=True)
class Costs:
    """Seconds, as measured: of a row on one thread, of a task, of a round trip without tasks."""

    row: float
    task: float
    round_trip: float


@dataclass(frozen=True)
class Cluster:
    """What is to be trained, and on what. One neuron, without a bias."""

    workers: int
    threads: int
    rows: int
    features: int


def program_constants() -> Constants:
    from neuron_xp.cluster.parts import LARGEST_PART, PARTS_A_THREAD
    from neuron_xp.cluster.scheduler import FAN_IN
    from neuron_xp.neuron.exact_sum import LEAF

    return Constants(FAN_IN, PARTS_A_THREAD, LARGEST_PART, LEAF)


def rows_of_a_part(cluster: Cluster, constants: Constants) -> int:
    """Whole leaves; some parts a thread, and more where they would be too large."""
    threads = cluster.workers * cluster.threads
    input_bytes = cluster.rows * cluster.features * FLOAT
    parts = max(constants.parts_a_thread * threads, -(-input_bytes // constants.largest_part))
    return -(-cluster.rows // (parts * constants.leaf)) * constants.leaf


def levels(parts: int, fan_in: int) -> list[int]:
    """Tasks: those of the parts, then those that merge so many at a time, until few are left."""
    found = [parts]
    while found[-1] > fan_in:
        found.append(-(-found[-1] // fan_in))
    return found


def iteration(cluster: Cluster, costs: Costs, constants: Constants) -> dict[str, Any]:
    """The cost of an iteration.

    seconds : nothing overlaps, and each level of the tree takes a round trip of its own
    least_seconds : scheduling and computing overlap all the time
    """
    size = rows_of_a_part(cluster, constants)
    parts = -(-cluster.rows // size)
    tree = levels(parts, constants.fan_in)
    turns = -(-parts // (cluster.workers * cluster.threads))  # of the thread with the most parts
    computing = turns * size * costs.row
    scheduling = sum(tree) * costs.task
    return {
        "parts": parts,
        "rows_of_a_part": size,
        "tasks": sum(tree),
        "tree_depth": len(tree) - 1,
        "bytes_sent": parts * cluster.features * BYTES_SENT,
        "bytes_brought": sum(tree) * cluster.features * BYTES_BROUGHT,
        "seconds_computing": computing,
        "seconds_scheduling": scheduling,
        "seconds": computing + scheduling + len(tree) * costs.round_trip,
        "least_seconds": max(computing, scheduling) + costs.round_trip,
        "worker_bytes": -(-parts // cluster.workers) * size * (cluster.features + 1) * FLOAT,
    }


def modelled(threads: list[dict[str, Any]], cluster: dict[str, Any]) -> dict[str, Any]:
    """The JSON's "model", from the growth with threads and from the clusters, as measured."""
    single = [r for r in threads if r["threads"] == 1 and KERNELS in r["contenders"]]
    if not single or not cluster["workers"]:
        return {"failed": "what it begins with was not measured"}
    found = cluster["workers"].values()
    costs = Costs(
        row=single[0]["contenders"][KERNELS]["median"] / single[0]["shape"]["rows"],
        task=min(row["seconds_a_task"] for row in found),
        round_trip=min(row["seconds_a_round_trip"] for row in found),
    )
    there, constants = Cluster(WORKERS, THREADS, ROWS, FEATURES), program_constants()
    return {
        "failed": None,
        "measured": False,
        "cluster": asdict(there),
        "costs": asdict(costs),
        "constants": asdict(constants),
        "iteration": iteration(there, costs, constants),
        "left_out": LEFT_OUT,
    }


def report(result: dict[str, Any]) -> str:
    title = (f"A MODEL ON PAPER, NOT MEASURED: {WORKERS} workers of {THREADS} threads, "
             f"{ROWS:.0e} rows x {FEATURES}")  # fmt: skip
    if result["failed"]:
        return f"{title}: no figures, {result['failed']}"
    costs, of = result["costs"], result["iteration"]
    rows = [
        ("from: a row on one thread", f"{costs['row'] * 1e9:.3g} ns"),
        ("from: a task", duration(costs["task"])),
        ("from: a round trip", duration(costs["round_trip"])),
        ("parts", f"{of['parts']:,}"),
        ("rows of a part", f"{of['rows_of_a_part']:,}"),
        ("tasks", f"{of['tasks']:,}"),
        ("depth of the tree", str(of["tree_depth"])),
        ("weights sent out", _megabytes(of["bytes_sent"])),
        ("sums brought back", _megabytes(of["bytes_brought"])),
        ("computing", duration(of["seconds_computing"])),
        ("scheduling", duration(of["seconds_scheduling"])),
        ("an iteration, if nothing overlaps", duration(of["seconds"])),
        ("an iteration, if all overlaps", duration(of["least_seconds"])),
        ("data in a worker's memory", f"{of['worker_bytes'] / 1e9:,.1f} GB"),
    ]
    return "\n".join([title, *table(rows), result["left_out"]])


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.3g} MB"


def faults(result: dict[str, Any], cluster: dict[str, Any]) -> list[str]:
    """Where clusters have run other tasks than the model counts for as many parts."""
    if result["failed"]:
        return []  # what was not measured has told its own
    fan_in = result["constants"]["fan_in"]
    runs = [run for row in cluster["workers"].values()
            for run in (row["large"], row["tiny"], *row["many"])]  # fmt: skip
    return [
        f"model: {run['parts']} parts make {sum(levels(run['parts'], fan_in))} tasks on paper, "
        f"and {run['tasks']} on the cluster"
        for run in runs
        if sum(levels(run["parts"], fan_in)) != run["tasks"]
    ]
