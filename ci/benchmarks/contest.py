"""The contenders on one shape: they take turns, each in a process of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import isnan, nan
from statistics import median
from typing import NamedTuple, TypeVar

from ci.benchmarks.memory import find_free_bytes
from ci.benchmarks.processes import Process, WorkerError
from ci.benchmarks.programs import PLAIN
from ci.benchmarks.results import ContenderResult, ShapeResult
from ci.benchmarks.shapes import Shape
from ci.benchmarks.text import find_different, format_duration, format_number, format_table
from ci.benchmarks.timed import First, Pace, Run, TimedProgram, start_timed
from neuron_xp.workflows.clock import compare, take_turns

T = TypeVar("T")

COPIES_AT_ONCE = 4
"""What the one that works may need beside its data, in copies of the inputs, about."""
BOUND = 1e-6
"""Weights of the others may differ from plain NumPy's by so much: a loose one, for float64."""
HEADER = ("contender", "time/iteration", "x plain NumPy", "GB/s", "memory MB", "first call s")


class Trial(NamedTuple):
    """What a contender has answered."""

    first: First
    runs: Sequence[Run]


def measure(
    shape: Shape, contenders: Iterable[str], pace: Pace, threads: int | None = None
) -> ShapeResult:
    """Measure everything about one shape: first calls, all rounds, memory, endings."""
    names = list(contenders)
    needed = shape.input_bytes * (len(names) + COPIES_AT_ONCE)
    if needed > find_free_bytes():
        too_large = f"needs some {needed / 1e9:.0f} GB of memory"
        return ShapeResult(shape, threads, too_large=too_large)
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(start_timed(name, shape, threads, pace.seconds))
            for name in names
        }
        trials, left_out = _try_all(shape.name, processes, pace)
    return summarize(shape, threads, trials, left_out)


def _try_all(
    title: str, processes: Mapping[str, Process[TimedProgram]], pace: Pace
) -> tuple[dict[str, Trial], dict[str, str]]:
    """Let all run; one that fails at any time is left out, with its first reason."""

    def train_first(name: str) -> First | WorkerError:
        pace.say(f"{title}: first call of {name}")
        return _attempt(partial(processes[name].ask, TimedProgram.train_first))

    ready = {name: _attempt(process.wait_until_ready) for name, process in processes.items()}
    firsts = {name: train_first(name) for name in processes}
    runs = take_turns(
        {
            name: partial(_attempt, partial(process.ask, TimedProgram.run))
            for name, process in processes.items()
        },
        pace.rounds,
        pace.announce(f"{title}:"),
    )
    trials, left_out = {}, {}
    for name, first in firsts.items():
        answers = (ready[name], first, *runs[name])
        reasons = [str(answer) for answer in answers if isinstance(answer, WorkerError)]
        if isinstance(first, WorkerError) or reasons:
            left_out[name] = reasons[0]
        else:
            trials[name] = Trial(first, [run for run in runs[name] if isinstance(run, Run)])
    return trials, left_out


def _attempt(call: Callable[[], T]) -> T | WorkerError:
    try:
        return call()
    except WorkerError as error:
        return error


def summarize(
    shape: Shape, threads: int | None, trials: Mapping[str, Trial], left_out: Mapping[str, str]
) -> ShapeResult:
    """Add medians, ratios, GB/s and distances from plain NumPy's weights."""
    plain = trials.get(PLAIN)
    found = {name: _summarize_trial(shape, trial, plain) for name, trial in trials.items()}
    return ShapeResult(shape, threads, found, dict(left_out))


def _summarize_trial(shape: Shape, trial: Trial, plain: Trial | None) -> ContenderResult:
    first, runs = trial
    rounds = tuple(run.seconds for run in runs)
    ratio = distance = None
    if plain is not None:
        ratio = compare(rounds, [run.seconds for run in plain.runs])
        distance = measure_distance(first.weights, plain.first.weights)
    return ContenderResult(
        first_call=first.seconds,
        first_call_bytes=first.bytes,
        fingerprint=first.fingerprint,
        rounds=rounds,
        iterations=runs[-1].iterations,
        peak_bytes=runs[-1].peak_bytes,
        median=median(rounds),
        ratio=ratio,
        gigabytes_per_second=shape.input_bytes / median(rounds) / 1e9,
        distance=distance,
    )


def measure_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the largest difference; NaN if there is one, which max alone may pass over."""
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return nan if any(map(isnan, gaps)) else max(gaps)


def _fingerprints(result: ShapeResult) -> dict[str, str]:
    found = result.contenders.items()
    return {name: of.fingerprint for name, of in found if of.fingerprint is not None}


def find_faults(result: ShapeResult) -> list[str]:
    """Say what is not as it should be, in a line each."""
    title = result.shape.name
    said = [f"{title}: {name} is left out: {why}" for name, why in result.left_out.items()]
    for name, found in result.contenders.items():
        if found.distance is not None and not found.distance <= BOUND:
            said.append(f"{title}: {name} ends {found.distance:.2g} from {PLAIN}")
    return said + find_different(title, _fingerprints(result))


def report(result: ShapeResult) -> str:
    """Write a title, the table, and what reproducible contenders ended on."""
    shape = result.shape
    threads = "" if result.threads is None else f", {result.threads} threads"
    title = f"{shape.name}{threads} ({shape.input_bytes / 1e6:,.3g} MB of inputs)"
    if result.too_large is not None:
        return f"{title}: {result.too_large}"
    lines = [
        title,
        *format_table([HEADER, *(_format_cells(*item) for item in result.contenders.items())]),
    ]
    prints = set(_fingerprints(result).values())
    if len(prints) == 1:
        lines.append(f"one fingerprint of the reproducible: {prints.pop()[:12]}")
    return "\n".join(lines)


def _format_cells(name: str, found: ContenderResult) -> tuple[str, ...]:
    return (
        name,
        format_duration(found.median),
        format_number(found.ratio),
        format_number(found.gigabytes_per_second),
        f"{found.peak_bytes / 1e6:,.0f}",
        f"{found.first_call:.2f}",
    )


def name_contenders(results: Iterable[ShapeResult]) -> list[str]:
    """List those that any of the results has, each once."""
    return list(dict.fromkeys(name for result in results for name in result.contenders))


def report_growth(results: Sequence[ShapeResult], what: str) -> str:
    """Write a line for each number of rows, or of threads: the time of an iteration."""
    names = name_contenders(results)
    lines = [(what, *names, "ratio")]
    for result in results:
        key = result.threads if what == "threads" else result.shape.rows
        found = [result.contenders.get(name) for name in names]
        times = ["-" if of is None else format_duration(of.median) for of in found]
        last = found[-1].ratio if found and found[-1] is not None else None
        lines.append((f"{key:,}", *times, format_number(last)))
    return "\n".join(format_table(lines))
