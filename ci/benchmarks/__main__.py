"""Measure, and say what was found: python -m ci.benchmarks, as ci/benchmark runs it."""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from tempfile import TemporaryDirectory

from ci.benchmarks import cluster, contest, disk, plot, results
from ci.benchmarks.contest import BOUND, report_growth
from ci.benchmarks.machine import count_cores, describe
from ci.benchmarks.options import parse
from ci.benchmarks.processes import LET_GO
from ci.benchmarks.programs import CONTENDERS, KERNELS, PLAIN
from ci.benchmarks.results import Growth, Machine, Method, Record, ShapeResult
from ci.benchmarks.shapes import FEATURES, FULL, QUICK, Shape, Sizes, random_shape
from ci.benchmarks.timed import Pace

METHOD = f"""\
Each contender is a process of its own for each shape. They take turns, so that one works at a
time: in each round each runs once, for some {FULL.seconds} seconds and at least 3 iterations (the
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
    """Measure everything; the status is 1 if there are faults."""
    arguments = parse()
    if arguments.plot:
        import matplotlib  # noqa: F401  if it is missing, that is known now and not at the end
    sizes = QUICK if arguments.quick else FULL
    print(METHOD, end="\n\n")
    record = measure(sizes, arguments)
    if arguments.json:
        results.write(record, arguments.json)
    if arguments.plot:
        plot.draw(record, arguments.plot)
    faults = find_faults(record)
    print(*faults or ["all contenders agree"], sep="\n")
    return 1 if faults else 0


def measure(sizes: Sizes, arguments: Namespace) -> Record:
    """Measure and print one section after the other."""
    method = Method(METHOD, arguments.rounds, arguments.quick, sizes.seconds)
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # its large copy is not kept here
        machine = apart.submit(describe).result()
    print(describe_in_words(machine), end="\n\n")
    pace = Pace(method.rounds, sizes.seconds, say)
    with TemporaryDirectory() as folder:
        if not arguments.quick:
            os.environ["NUMBA_CACHE_DIR"] = folder  # an empty one: the first call is a first one
        shapes = tuple(measure_shapes(sizes.shapes, pace))
        growth = measure_growth(sizes, pace)
        from_disk = disk.measure(sizes.disk_rows, pace)
        print(disk.report(from_disk), end="\n\n", flush=True)
        clusters = cluster.measure(sizes.cluster_rows, sizes.workers, sizes.many, pace)
        print(cluster.report(clusters), end="\n\n", flush=True)
    return Record(method, machine, shapes, growth, from_disk, clusters)


def measure_shapes(shapes: Iterable[Shape], pace: Pace) -> Iterator[ShapeResult]:
    """Measure and print all contenders on one shape after the other."""
    for shape in shapes:
        result = contest.measure(shape, CONTENDERS, pace)
        print(contest.report(result), end="\n\n", flush=True)
        yield result


def measure_growth(sizes: Sizes, pace: Pace) -> Growth:
    """Measure and print plain NumPy and the kernels, on more rows and with more threads."""
    two = partial(contest.measure, contenders=(PLAIN, KERNELS), pace=pace)
    rows = tuple(two(random_shape(count, FEATURES)) for count in sizes.growth_rows)
    print(f"growth with rows, {FEATURES} features\n{report_growth(rows, 'rows')}\n")
    shape = random_shape(sizes.threads_rows, FEATURES)
    threads = tuple(two(shape, threads=count) for count in list_threads(sizes.all_threads))
    print(f"growth with threads, {shape.name}\n{report_growth(threads, 'threads')}\n")
    return Growth(rows, threads)


def describe_in_words(machine: Machine) -> str:
    """Write three lines about the machine."""
    versions = ", ".join(f"{name} {value}" for name, value in machine.versions.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.system}\n"
        f"copies {machine.copy_bytes_per_second / 1e9:.1f} GB/s with one thread, "
        f"{machine.copy_bytes_per_second_all_cores / 1e9:.1f} GB/s with one a core "
        f"(read and written)\n{versions}"
    )


def list_threads(powers: bool) -> list[int]:
    """List one thread and one a core; with powers of two between them if these are wanted."""
    cores = count_cores()
    steps = [2**k for k in range(cores.bit_length())] if powers else [1]
    return sorted({*steps, cores})


def find_faults(record: Record) -> list[str]:
    """Say what is not as it should be, in a line each."""
    contests = (*record.shapes, *record.growth.rows, *record.growth.threads)
    faults = [fault for result in contests for fault in contest.find_faults(result)]
    return faults + disk.find_faults(record.disk) + cluster.find_faults(record.cluster)


def say(line: str) -> None:
    """Tell how far it is, beside what is found."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # files and processes are cleared away
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
