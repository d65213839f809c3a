"""The method: contenders take turns, round after round, each in a process of its own."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from ci.benchmarks.machine import free_bytes
from ci.benchmarks.processes import Process, WorkerError, contender
from ci.benchmarks.shapes import Shape
from ci.benchmarks.summary import summarized

COPIES_AT_ONCE = 4
"""What the one that works may need beside its data, in copies of the inputs, about."""

Say = Callable[[str], None]


def measured(
    shape: Shape,
    contenders: Iterable[str],
    *,
    rounds: int,
    seconds: float,
    say: Say,
    threads: int | None = None,
) -> dict[str, Any]:
    """Everything about one shape: per contender first call, all rounds, memory, ending."""
    names = list(contenders)
    result: dict[str, Any] = {
        "shape": {**asdict(shape), "input_bytes": shape.input_bytes},
        "threads": threads,
        "contenders": {},
        "left_out": {},  # those that failed
        "too_large": None,  # for this machine: no fault
    }
    needed = shape.input_bytes * (len(names) + COPIES_AT_ONCE)
    if needed > free_bytes():
        return {**result, "too_large": f"needs some {needed / 1e9:.0f} GB of memory"}
    with ExitStack() as stack:
        processes = {}
        for name in names:
            processes[name] = contender(name, shape, threads, seconds)
            stack.callback(processes[name].end)
        _take_turns(shape.name, processes, result, rounds, say)
    return summarized(result)


def _take_turns(
    title: str, processes: dict[str, Process], result: dict[str, Any], rounds: int, say: Say
) -> None:
    """Fill the result; one that fails is left out from there on, with the reason."""

    def each(what: Callable[[str, Process], None]) -> None:
        for name, process in list(processes.items()):
            try:
                what(name, process)
            except WorkerError as error:
                result["left_out"][name] = str(error)
                result["contenders"].pop(name, None)
                del processes[name]

    def first(name: str, process: Process) -> None:
        say(f"{title}: first call of {name}")
        result["contenders"][name] = {**process.ask("first"), "rounds": []}

    def run(name: str, process: Process) -> None:
        values = process.ask("run")
        row = result["contenders"][name]
        row["rounds"].append(values.pop("seconds"))
        row.update(values)

    each(lambda _, process: process.answer() and None)
    each(first)
    for number in range(1, rounds + 1):
        say(f"{title}: round {number} of {rounds}")
        each(run)
