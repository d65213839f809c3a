"""The time of an iteration on the GPU: python -m ci.cuda_stages.bench arrays.

Or kernels, torch, look, or l-bfgs. The shapes are those of ci/benchmark. All is float64, and a
contender that fails is a result; the others go on.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

from ci.benchmarks.machine import find_free_bytes
from ci.benchmarks.programs import Ending, Program, make_ours
from ci.benchmarks.shapes import (
    ARTICLE,
    FULL,
    Problem,
    Shape,
    make_inputs,
    make_problem,
    make_targets,
)
from ci.cuda_stages.lines import tell
from ci.cuda_stages.runner import LEFT_OUT
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import ignore_learning, one_line
from neuron_xp.training.train import train
from neuron_xp.workflows.bench import plain_step
from neuron_xp.workflows.clock import LEAST_ITERATIONS, Clock, time_call

Contenders = Mapping[str, Callable[[Problem], Program]]

SECONDS, ROUNDS = 0.1, 3
COPIED = 2**30  # bytes: far more than a GPU's cache holds
SHAPES = sorted(FULL.shapes, key=lambda shape: shape.name == ARTICLE)  # the longest run comes last
FIRST_LOOK = [shape for shape in SHAPES if shape.name == "1,000,000 x 20"]
LARGE = (10_000_000, 100)
LARGE_ITERATIONS, PIECES = 10, 16


def make_plain(
    problem: Problem, convert: Callable[[Any], Any], sigmoid: Callable[[Any], Any],
    wait: Callable[[], object],
) -> Program:  # fmt: skip
    """Make the article's program; wait: returns when the GPU has done its work."""
    inputs, targets, *start = map(convert, (problem.inputs, problem.targets, *problem.start))

    def run(iterations: int) -> None:
        weights = start
        for _ in range(iterations):
            weights = plain_step(weights, inputs, targets, problem.learning_rate, sigmoid)
        wait()

    return Program(run, end=lambda _: Ending([], None))


def make_cupy(problem: Problem) -> Program:
    import cupy

    return make_plain(
        problem, cupy.asarray, lambda x: 1 / (1 + cupy.exp(-x)), cupy.cuda.Device().synchronize
    )


def make_torch(problem: Problem) -> Program:
    import torch

    torch.set_grad_enabled(False)
    return make_plain(
        problem, partial(torch.asarray, device="cuda"), torch.sigmoid, torch.cuda.synchronize
    )


def make_kernels(problem: Problem) -> Program:
    if name_engine(open_backend("cupy"), "reproducible") != "kernels":
        raise RuntimeError("the kernels are not used")
    return make_ours(problem, backend="cupy")


ARRAYS: Contenders = {
    "plain CuPy": make_cupy,
    "arrays": partial(make_ours, backend="cupy", kernels=False),
    "native": partial(make_ours, backend="cupy", arithmetic="native", kernels=False),
}
KERNELS: Contenders = {"kernels": make_kernels}


def main() -> None:
    (name,) = sys.argv[1:]
    if name == "l-bfgs":
        failed = measure_large()
    elif name == "torch":
        check_torch()
        failed = measure_all(SHAPES, {"torch by hand": make_torch})
    elif name == "kernels":
        failed = measure_all(SHAPES, KERNELS)
    else:
        measure_copy()
        looking = name == "look"
        contenders = {**ARRAYS, **KERNELS} if looking else ARRAYS
        failed = measure_all(FIRST_LOOK if looking else SHAPES, contenders, with_numpy=True)
    sys.exit(f"{failed} of the contenders failed" if failed else 0)


def check_torch() -> None:
    try:
        import torch
    except ImportError:
        print("torch is not installed")
        sys.exit(LEFT_OUT)
    if not torch.cuda.is_available():
        print("torch sees no GPU")
        sys.exit(LEFT_OUT)


def measure_all(
    shapes: Iterable[Shape], contenders: Contenders, *, with_numpy: bool = False
) -> int:
    """Tell of each contender on each shape, and of NumPy's bits; return how many failed."""
    failed = 0
    for shape in shapes:
        problem = make_problem(shape)
        calls = {name: partial(measure, shape, problem, make) for name, make in contenders.items()}
        if with_numpy:
            calls["numpy"] = partial(find_bits, shape, problem)
        failed += tell_each(shape.name, calls)
    return failed


def tell_each(shape: str, calls: Mapping[str, Callable[[], dict[str, object]]]) -> int:
    """Tell what each contender's call finds, or how it fails; return how many do."""
    failed = 0
    for name, call in calls.items():
        try:
            found = call()
        except Exception as error:  # of compilers, drivers and memory
            failed += 1
            found = {"failure": f"{type(error).__name__}: {one_line(error)}"}
        tell("time", shape=shape, contender=name, **found)
    return failed


def measure(
    shape: Shape, problem: Problem, make: Callable[[Problem], Program]
) -> dict[str, object]:
    """Measure the seconds of an iteration: of the shape's run, or of several of some length."""
    program = make(problem)
    first_call, _ = time_call(partial(program.train, LEAST_ITERATIONS))
    seconds, result = time_call(partial(program.train, shape.compared))
    clock = Clock(program.train, sets_up=program.sets_up, iterations=shape.compared)
    if shape.iterations is None:
        clock.lengthen_runs(SECONDS)
        seconds = median(clock.time_iteration() for _ in range(ROUNDS))
    else:
        seconds /= shape.compared
    return {
        "seconds": seconds,
        "iterations": clock.iterations,
        "gigabytes_per_second": shape.input_bytes / seconds / 1e9,
        "first_call": first_call,
        "fingerprint": program.end(result).fingerprint,
    }


def find_bits(shape: Shape, problem: Problem) -> dict[str, object]:
    """Train by NumPy's array operations, which need no compiler, and return the bits."""
    program = make_ours(problem, backend="numpy", kernels=False)
    return {"fingerprint": program.end(program.train(shape.compared)).fingerprint}


def measure_copy() -> None:
    """Measure what the memory can do: a copy, read and written."""
    import cupy

    source, target = cupy.ones(COPIED // 8), cupy.zeros(COPIED // 8)

    def copy() -> None:
        cupy.copyto(target, source)
        cupy.cuda.Device().synchronize()

    copy()
    seconds = median(time_call(copy)[0] for _ in range(7))
    tell("copy", gigabytes_per_second=2 * COPIED / seconds / 1e9)


def measure_large() -> int:
    """Train by L-BFGS on 8 GB of inputs, if host and device have room for them."""
    import cupy

    rows, features = LARGE
    needed = rows * features * 8
    free = cupy.cuda.runtime.memGetInfo()[0]
    if free < 2.5 * needed or find_free_bytes() < 2 * needed:
        print(
            f"needs {2.5 * needed / 1e9:.0f} GB of the GPU's memory and {2 * needed / 1e9:.0f} GB "
            "of the machine's"
        )
        sys.exit(LEFT_OUT)
    making, (inputs, targets) = time_call(lambda: make_large(rows, features))

    def learn(backend: Backend) -> dict[str, object]:
        with ignore_learning():
            seconds, network = time_call(
                lambda: train(
                    inputs, targets, backend=backend, optimizer="lbfgs", l2=1.0,
                    learning_rate=None, iterations=LARGE_ITERATIONS,
                )
            )  # fmt: skip
        looks = network.ending.evaluations if network.ending else LARGE_ITERATIONS
        return {
            "seconds": seconds / looks,
            "iterations": looks,
            "gigabytes_per_second": needed * looks / seconds / 1e9,
            "first_call": making,
            "fingerprint": network.fingerprint(),
        }

    backend = open_backend("cupy")
    calls = {"arrays": partial(learn, backend.without_kernels())}
    if name_engine(backend, "reproducible") == "kernels":
        calls["kernels"] = partial(learn, backend)
    return tell_each(f"{rows:,} x {features}, L-BFGS", calls)


def make_large(rows: int, features: int) -> tuple[Any, Any]:
    """Make the data in pieces, each by a thread, and put them together on the device."""
    import cupy

    piece = rows // PIECES
    inputs = cupy.empty((rows, features))
    targets = cupy.empty((rows, 1))
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda i: make_inputs(i * piece, piece, features), range(PIECES))
        for i, part in enumerate(made):
            at = slice(i * piece, (i + 1) * piece)
            inputs[at], targets[at] = cupy.asarray(part), cupy.asarray(make_targets(part))
    return inputs, targets


if __name__ == "__main__":
    main()
