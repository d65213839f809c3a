"""Contenders on one shape: they take turns, each in a process of its own."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from math import isnan, nan
from typing import TypeVar

from ci.benchmarks.machine import find_free_bytes
from ci.benchmarks.processes import Process, WorkerError
from ci.benchmarks.programs import PLAIN
from ci.benchmarks.results import Contest, First, Way
from ci.benchmarks.shapes import Shape
from ci.benchmarks.timed import Pace, TimedProgram, Worker, run, train_first
from neuron_xp.workflows.clock import take_turns

T = TypeVar("T")
Openers = Mapping[str, Callable[[], AbstractContextManager[Worker]]]

COPIES_AT_ONCE = 4
"""What the one that works may need beside its data, in copies of the inputs, about."""
BOUND = 1e-6
"""Weights of the others may differ from plain NumPy's by so much: a loose one, for float64."""


def say(line: str) -> None:
    """Tell how far it is, beside what is found."""
    print(line, file=sys.stderr, flush=True)


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
    with ExitStack() as stack:
        limit = {} if contest.threads is None else {"OPENBLAS_NUM_THREADS": str(contest.threads)}
        processes = {
            name: stack.enter_context(Process(open_worker, limit))
            for name, open_worker in openers.items()
        }
        return _take_turns(contest, processes, pace)


def _take_turns(contest: Contest, processes: Mapping[str, Process[Worker]], pace: Pace) -> Contest:
    left_out: dict[str, str] = {}

    def ask(name: str, method: Callable[[Worker], T]) -> T | None:
        try:
            return None if name in left_out else processes[name].ask(method)
        except WorkerError as error:
            left_out[name] = str(error)
            return None

    def begin(name: str) -> tuple[First, list[float]] | None:
        say(f"{contest.title}: first call of {name}")
        return ask(name, train_first)

    for name in processes:
        ask(name, Worker.get_ready)
    firsts = {name: begin(name) for name in processes}
    runs = take_turns(
        {name: partial(ask, name, run) for name in processes},
        pace.rounds,
        lambda number: say(f"{contest.title}: round {number} of {pace.rounds}"),
    )
    stayed = [name for name in processes if name not in left_out]
    return summarize(
        replace(contest, left_out=left_out),
        {name: first for name, first in firsts.items() if first and name in stayed},
        {name: [found for found in runs[name] if found] for name in stayed},
    )


def summarize(
    contest: Contest,
    firsts: Mapping[str, tuple[First, Sequence[float]]],
    runs: Mapping[str, Sequence[Mapping[str, Way]]],
) -> Contest:
    """Add what contenders answered, and how far apart the weights are that they ended on."""
    found = {name: first for name, (first, _) in firsts.items()}
    if contest.beside in firsts:
        _, base = firsts[contest.beside]
        found = {
            name: replace(first, distance=measure_distance(weights, base))
            for name, (first, weights) in firsts.items()
        }
    ways = {name: gather([run[name] for run in of]) for of in runs.values() for name in of[0]}
    return replace(contest, firsts=found, ways=ways)


def gather(rounds: Sequence[Way]) -> Way:
    """Make one way of those that have one round each."""
    last = rounds[-1]
    if last.from_disk is not None:
        last = replace(last, from_disk=tuple(x for of in rounds for x in of.from_disk or ()))
    return replace(last, rounds=tuple(x for of in rounds for x in of.rounds))


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
