"""Measure, and say what was found: python -m ci.benchmarks, as ci/benchmark runs it."""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from itertools import product
from tempfile import TemporaryDirectory

from ci.benchmarks import cluster, contest, disk, plot, results
from ci.benchmarks.contest import BOUND, find_faults
from ci.benchmarks.machine import count_cores, describe, describe_in_words
from ci.benchmarks.options import parse
from ci.benchmarks.processes import LET_GO
from ci.benchmarks.programs import CONTENDERS, KERNELS, PLAIN
from ci.benchmarks.report import report
from ci.benchmarks.results import Contest, Record
from ci.benchmarks.shapes import FEATURES, FULL, QUICK, Sizes, random_shape
from ci.benchmarks.timed import Pace

METHOD = f"""\
Each contender is a process of its own for each shape. They take turns, so that one works at a
time: in each round each runs once, for some {FULL.seconds} seconds and at least 3 iterations (the
article's four examples: 10,000 iterations). Data, imports and the first call, with its
compilation, are outside the clock. Times are medians of the rounds; ratios (x) are medians of each
round's ratio, and below 1 is faster. With --quick runs are too short for their times to say
anything.
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
    """Measure everything; the status is 1 if there are faults."""
    arguments = parse()
    if arguments.plot:
        import matplotlib  # noqa: F401  if it is missing, that is known now and not at the end
    print(METHOD, end="\n\n")
    record = measure(QUICK if arguments.quick else FULL, arguments)
    if arguments.json:
        results.write(record, arguments.json)
    if arguments.plot:
        plot.draw(record, arguments.plot)
    faults = [
        fault for found in record.contests.values() for of in found for fault in find_faults(of)
    ]
    print(*faults or ["all contenders agree"], sep="\n")
    return 1 if faults else 0


def measure(sizes: Sizes, arguments: Namespace) -> Record:
    """Measure and print one contest after the other."""
    machine = describe()
    print(describe_in_words(machine), end="\n\n")
    found: dict[str, tuple[Contest, ...]] = {}
    with TemporaryDirectory() as folder:
        if not arguments.quick:
            os.environ["NUMBA_CACHE_DIR"] = folder  # an empty one: the first call is a first one
        for section, contests in list_contests(sizes, arguments.rounds):
            print(f"--- {section}\n")
            found[section] = tuple(print_each(contests))
    return Record(METHOD, arguments.rounds, arguments.quick, sizes.seconds, machine, found)


def list_contests(sizes: Sizes, rounds: int) -> Iterator[tuple[str, Iterable[Contest]]]:
    """Yield each section, whose contests are measured as they are taken."""
    pace = Pace(rounds, sizes.seconds)
    two = PLAIN, KERNELS
    yield "shapes", (contest.measure(shape, [*CONTENDERS], pace) for shape in sizes.shapes)
    rows, features = sizes.growth
    shapes = (random_shape(*shape) for shape in product(rows, features))
    yield "growth", (contest.measure(shape, two, pace) for shape in shapes)
    cores, shape = count_cores(), random_shape(sizes.threads_rows, FEATURES)
    counts = sorted({cores, *(2**k for k in range(cores.bit_length()))})
    yield "threads", (contest.measure(shape, two, pace, count) for count in counts)
    yield "disk", (disk.measure(rows, pace) for rows in (sizes.disk_rows,))
    yield "cluster", cluster.measure(sizes.cluster_rows, sizes.workers, sizes.many, pace)


def print_each(contests: Iterable[Contest]) -> Iterator[Contest]:
    """Print what was found as soon as it is."""
    for found in contests:
        print(report(found), end="\n\n", flush=True)
        yield found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # files and processes are cleared away
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
