"""Contenders on one shape: they take turns, each in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from math import isnan, nan
from typing import TypeVar

from ci.benchmarks.memory import find_free_bytes
from ci.benchmarks.processes import Process, WorkerError
from ci.benchmarks.programs import PLAIN
from ci.benchmarks.results import Contest, First, Way
from ci.benchmarks.shapes import Shape
from ci.benchmarks.timed import FirstCall, Pace, Run, TimedProgram, Worker, run
from neuron_xp.workflows.clock import take_turns

T = TypeVar("T")
Openers = Mapping[str, Callable[[], AbstractContextManager[Worker]]]

COPIES_AT_ONCE = 4
"""What the one that works may need beside its data, in copies of the inputs, about."""
BOUND = 1e-6
"""Weights of the others may differ from plain NumPy's by so much: a loose one, for float64."""


def measure(
    shape: Shape, contenders: Sequence[str], pace: Pace, threads: int | None = None
) -> Contest:
    """Measure some of `CONTENDERS` on one shape."""
    title = shape.name if threads is None else f"{shape.name}, {threads} threads"
    contest = Contest(title, PLAIN, shape, shape.input_bytes, threads)
    openers = {
        name: partial(TimedProgram, name, shape, threads, pace.seconds, name) for name in contenders
    }
    return hold(contest, openers, pace, copies=len(contenders) + COPIES_AT_ONCE)


def hold(
    contest: Contest, openers: Openers, pace: Pace, copies: int, free: float | None = None
) -> Contest:
    """Measure first calls, all rounds, memory, endings; one that fails at any time is left out.

    copies : of the inputs, at most, at a time
    free : bytes that may be used; None for all the memory that is free
    """
    needed = copies * contest.shape.input_bytes
    if needed > (find_free_bytes() if free is None else free):
        return replace(contest, too_large=f"needs some {needed / 1e9:.0f} GB")
    limit = {} if contest.threads is None else {"OPENBLAS_NUM_THREADS": str(contest.threads)}
    left_out: dict[str, str] = {}

    def ask(name: str, method: Callable[[Worker], T]) -> T | None:
        try:
            return None if name in left_out else processes[name].ask(method)
        except WorkerError as error:
            left_out[name] = str(error)
            return None

    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(Process(open_worker, limit))
            for name, open_worker in openers.items()
        }
        for name in processes:
            ask(name, Worker.get_ready)
        firsts = {}
        for name in processes:
            pace.say(f"{contest.title}: first call of {name}")
            firsts[name] = ask(name, Worker.train_first)
        turns = {name: partial(ask, name, run) for name in processes}
        runs = take_turns(
            turns, pace.rounds, lambda n: pace.say(f"{contest.title}: round {n} of {pace.rounds}")
        )
    return summarize(
        replace(contest, left_out=left_out),
        {name: first for name, first in firsts.items() if first and name not in left_out},
        {
            name: [found for found in of if found]
            for name, of in runs.items()
            if name not in left_out
        },
    )


def summarize(
    contest: Contest,
    firsts: Mapping[str, FirstCall],
    runs: Mapping[str, Sequence[Mapping[str, Run]]],
) -> Contest:
    """Add what contenders answered, and how far apart the weights are that they ended on."""
    base = firsts.get(contest.beside)
    found = {}
    for name, (seconds, size, weights, fingerprint) in firsts.items():
        distance = None if base is None else measure_distance(weights, base.weights)
        found[name] = First(seconds, size, fingerprint, distance)
    ways = {
        name: make_way([round_[name] for round_ in rounds])
        for rounds in runs.values()
        for name in rounds[0]
    }
    return replace(contest, firsts=found, ways=ways)


def make_way(runs: Sequence[Run]) -> Way:
    """Gather the rounds of a way."""
    last = runs[-1]
    return Way(
        rounds=tuple(of.seconds for of in runs),
        iterations=last.iterations,
        peak_bytes=last.peak_bytes,
        resident_bytes=last.resident_bytes,
        from_disk=None if last.from_disk is None else tuple(of.from_disk for of in runs),
        parts=last.parts,
        tasks=last.tasks,
    )


def measure_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the largest difference; NaN if there is one, which max alone may pass over."""
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return nan if any(map(isnan, gaps)) else max(gaps)


def find_faults(contest: Contest) -> list[str]:
    """Say what is not as it should be, in a line each."""
    title, prints = contest.title, {}
    said = [f"{title}: {name} is left out: {why}" for name, why in contest.left_out.items()]
    for name, first in contest.firsts.items():
        if first.distance is not None and not first.distance <= BOUND:
            said.append(f"{title}: {name} ends {first.distance:.2g} from {contest.beside}")
        if first.fingerprint is not None:
            prints[name] = first.fingerprint
    if len(set(prints.values())) > 1:
        each = ", ".join(f"{name} {value[:12]}" for name, value in prints.items())
        said.append(f"{title}: DIFFERENT fingerprints: {each}")
    return said
