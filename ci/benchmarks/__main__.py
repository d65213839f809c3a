"""Measure, and say what was found: python -m ci.benchmarks, as ci/benchmark runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

from ci.benchmarks import cluster, disk, model, plot, shapes
from ci.benchmarks.machine import cores
from ci.benchmarks.measure import measured
from ci.benchmarks.options import parsed
from ci.benchmarks.processes import LET_GO, ROOT
from ci.benchmarks.programs import CONTENDERS, KERNELS, PLAIN
from ci.benchmarks.summary import BOUND, faults, growth_table, report

SECONDS = 0.5
QUICK_SECONDS = 0.05

METHOD = f"""\
Each contender is a process of its own for each shape. They take turns, so that one works at a
time: in each round each runs once, for some {SECONDS} seconds and at least 3 iterations (the
article's four examples: 10,000 iterations). Data, imports and the first call, with its
compilation, are outside the clock. Times are medians of the rounds; ratios are medians of each
round's ratio to {PLAIN}, and below 1 is faster. With --quick runs are too short for their
times to say anything.
neuron_xp: (train(1 + n iterations) - train(1 iteration)) / n, each with loss_every=iterations, so
that checks of the data and the two records of the loss fall out.
GB/s: the bytes of the inputs over the time of an iteration, as if they were read once.
memory: the peak of what is resident in rounds, less what is resident before them; on systems
other than Linux what the preparation took may hide it. first call: seconds of the first training.
The kernels are compiled in the first of these, and later found on disk (with --quick, where they
were compiled before, in all).
All is float64. Reproducible contenders must end on one fingerprint, the others within {BOUND:g} of
{PLAIN}'s weights. Workers run with {" ".join(f"{k}={v}" for k, v in LET_GO.items())}, so that
OpenBLAS's threads do not spin on when their work is done.
{disk.METHOD}
{cluster.METHOD}"""


def main() -> int:
    arguments = parsed()
    if arguments.plot:
        import matplotlib  # noqa: F401  if it is missing, that is known now and not at the end
    quick = arguments.quick
    options = {"rounds": arguments.rounds, "seconds": QUICK_SECONDS if quick else SECONDS,
               "say": say}  # fmt: skip
    print(METHOD, end="\n\n")
    machine = described_machine()
    results = []
    with TemporaryDirectory() as folder:
        if not quick:
            os.environ["NUMBA_CACHE_DIR"] = folder  # an empty one: the first call is a first one
        for shape in shapes.QUICK_SHAPES if quick else shapes.SHAPES:
            results.append(measured(shape, CONTENDERS, **options))
            print(report(results[-1]), end="\n\n", flush=True)
        growth = {
            "rows": list(growth_with_rows(quick, options)),
            "threads": list(growth_with_threads(quick, options)),
        }
    for what, of in growth.items():
        size = f"{shapes.GROWTH_FEATURES} features" if what == "rows" else of[0]["shape"]["name"]
        print(f"growth with {what}, {size}\n{growth_table(of, what)}\n")
    parts = sections_in_parts(options, growth["threads"], quick)
    record = {"method": {"text": METHOD, "rounds": arguments.rounds, "quick": quick,
                         "seconds": options["seconds"]},
              "machine": machine, "shapes": results, "growth": growth, **parts}  # fmt: skip
    return finished(record, arguments)


def described_machine() -> dict[str, Any]:
    """In a process of its own: the large copy would count as memory of those started later."""
    command = [sys.executable, "-m", "ci.benchmarks.machine"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    machine: dict[str, Any] = json.loads(run.stdout)
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}")
    print(f"copies {machine['copy_bytes_per_second'] / 1e9:.1f} GB/s with one thread, "
          f"{machine['copy_bytes_per_second_all_cores'] / 1e9:.1f} GB/s with one a core "
          "(read and written)")  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in machine["versions"].items()), end="\n\n")
    return machine


def growth_with_rows(quick: bool, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for rows in shapes.QUICK_GROWTH_ROWS if quick else shapes.GROWTH_ROWS:
        shape = shapes.random_shape(rows, shapes.GROWTH_FEATURES)
        yield measured(shape, (PLAIN, KERNELS), **options)


def growth_with_threads(quick: bool, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    rows = shapes.QUICK_THREADS_ROWS if quick else shapes.THREADS_ROWS
    shape = shapes.random_shape(rows, shapes.GROWTH_FEATURES)
    powers = {1} if quick else {2**k for k in range(cores().bit_length())}
    for threads in sorted({*powers, cores()}):
        yield measured(shape, (PLAIN, KERNELS), threads=threads, **options)


def sections_in_parts(
    options: dict[str, Any], threads: list[dict[str, Any]], quick: bool
) -> dict[str, Any]:
    """Of data that are not in memory: measured from disk and on clusters, and a model on paper."""
    found = {}
    for section in (disk, cluster):
        name = section.__name__.rpartition(".")[2]
        found[name] = section.measured(quick, **options)
        print(section.report(found[name]), end="\n\n", flush=True)
    found["model"] = model.modelled(threads, found["cluster"])
    print(model.report(found["model"]), end="\n\n", flush=True)
    return found


def finished(record: dict[str, Any], arguments: Any) -> int:
    """Files written, faults told: status 1 if there are any."""
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        plot.draw(record, arguments.plot)
    results = [*record["shapes"], *record["growth"]["rows"], *record["growth"]["threads"]]
    found = [fault for result in results for fault in faults(result)]
    found += disk.faults(record["disk"]) + cluster.faults(record["cluster"])
    found += model.faults(record["model"], record["cluster"])
    print(*found or ["all contenders agree"], sep="\n")
    return 1 if found else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # files and processes are cleared away
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
