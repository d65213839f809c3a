"""How soon L-BFGS and Adam are done, beside scikit-learn: python -m ci.benchmarks.optimum."""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import neuron_xp
from ci.benchmarks.cluster import PARTS_A_WORKER, open_workers
from ci.benchmarks.machine import describe, describe_in_words
from neuron_xp.workflows.clock import compare, take_turns, time_call

ROUNDS = 5
OURS: dict[str, Any] = {"optimizer": "lbfgs", "bias": True, "l2": 1.0}
DISK_ROWS, CLUSTER_ROWS, FEATURES = 10_000_000, 4_000_000, 20
Found = dict[str, Any]


def make_examples(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return normal inputs and two classes that overlap."""
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((rows, features))
    chance = inputs @ generator.standard_normal(features) + 2 * generator.standard_normal(rows)
    return inputs, (chance > 0).astype("float64")


def measure_linear() -> Iterator[Found]:
    """Yield times to the optimum of logistic regression, l2 = 1, beside LogisticRegression's."""
    inputs, targets = load_breast_cancer(return_X_y=True)
    shapes: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "breast cancer, standardized": lambda: (StandardScaler().fit_transform(inputs), targets),
        "200,000 x 20": partial(make_examples, 200_000, 20),
        "1,000,000 x 20": partial(make_examples, 1_000_000, 20),
        "100,000 x 100": partial(make_examples, 100_000, 100),
    }
    for name, make in shapes.items():
        yield {"data": name, **compare_linear(*make())}


def compare_linear(x: np.ndarray, y: np.ndarray) -> Found:
    """Return the times of both by turns, and how far above the best loss both end."""

    def ours() -> Any:
        return neuron_xp.train(x, y, **OURS)

    def theirs() -> Any:
        return LogisticRegression(C=1, tol=1e-6, max_iter=10_000).fit(x, y)

    best = neuron_xp.train(x, y, **OURS, gradient_tolerance=1e-12, iterations=100_000)
    programs = {"ours": ours, "theirs": theirs}
    turns = take_turns({who: partial(time_call, f) for who, f in programs.items()}, ROUNDS)
    seconds = {who: [spent for spent, _ in found] for who, found in turns.items()}
    network, model = turns["ours"][-1][1], turns["theirs"][-1][1]
    losses = [
        find_loss(x, y, *found)
        for found in (
            (network.weights[0][:, 0], network.biases[0][0]),
            (model.coef_[0], model.intercept_[0]),
            (best.weights[0][:, 0], best.biases[0][0]),
        )
    ]
    return {
        "seconds": median(seconds["ours"]),
        "scikit-learn": median(seconds["theirs"]),
        "ratio": compare(seconds["ours"], seconds["theirs"]),
        "evaluations": network.ending.evaluations,
        "their iterations": int(model.n_iter_[0]),
        "above the best": losses[0] - min(losses),
        "theirs above it": losses[1] - min(losses),
    }


def find_loss(x: np.ndarray, y: np.ndarray, weights: np.ndarray, bias: float) -> float:
    """Return the mean loss with l2 = 1, by NumPy alone."""
    z = x @ weights + bias
    return float((np.logaddexp(0, z).sum() - y @ z + 0.5 * weights @ weights) / len(y))


def measure_hidden() -> Iterator[Found]:
    """Yield held-out accuracies on digits, one hidden layer of 32, beside MLPClassifier's."""
    x, y = load_digits(return_X_y=True)
    batches: dict[str, Any] = {"batch_size": 200, "shuffle": "rows", "iterations": 2000}
    settings: dict[str, dict[str, Any]] = {"lbfgs": {}, "adam": batches}
    for solver, more in settings.items():
        rounds: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
        for seed in range(10):
            some, held_out, answers, right = train_test_split(
                x, y, test_size=0.2, random_state=seed, stratify=y
            )
            began = time.perf_counter()
            network = neuron_xp.train(
                some, np.eye(10)[answers], optimizer=solver, rule="softmax_cross_entropy",
                hidden=(32,), bias=True, standardize=True, l2=1e-4, seed=seed, **more,
            )  # fmt: skip
            spent = time.perf_counter() - began
            named = network.think(held_out).argmax(axis=1)
            rounds["ours"].append((spent, float((named == right).mean())))
            began = time.perf_counter()
            scaler = StandardScaler().fit(some)
            model = MLPClassifier((32,), solver=solver, random_state=seed, max_iter=1000)
            model.fit(scaler.transform(some), answers)
            spent = time.perf_counter() - began
            rounds["theirs"].append((spent, model.score(scaler.transform(held_out), right)))
        yield {
            "solver": solver,
            "accuracy": median(score for _, score in rounds["ours"]),
            "scikit-learn's": median(score for _, score in rounds["theirs"]),
            "seconds": median(spent for spent, _ in rounds["ours"]),
            "scikit-learn": median(spent for spent, _ in rounds["theirs"]),
        }


@cache
def count_steps_of_descent() -> int:
    """Count the iterations of gradient descent to the best loss, on 200,000 rows in memory."""
    x, y = make_examples(200_000, FEATURES)
    best = neuron_xp.train(x, y, **OURS)
    goal = best.history[-1][1] * (1 + 1e-8)
    descent = neuron_xp.train(
        x, y, rule="cross_entropy", bias=True, l2=1.0, learning_rate="auto", iterations=4000,
        loss_every=100,
    )  # fmt: skip
    return next(done for done, loss in descent.history if loss <= goal)


def time_descent(inputs: Any, targets: Any, **more: Any) -> float:
    """Return the seconds of an iteration of gradient descent."""
    marks: list[float] = []
    neuron_xp.train(
        inputs, targets, rule="cross_entropy", bias=True, l2=1.0, learning_rate=1e-7,
        iterations=5, loss_every=5, progress_every=1,
        on_progress=lambda _: marks.append(time.perf_counter()), **more,
    )  # fmt: skip
    return (marks[-2] - marks[0]) / 3 if len(marks) > 2 else float("nan")


def measure_disk() -> Iterator[Found]:
    """Yield the time to the optimum of rows from NPY files, beside gradient descent's."""
    steps = count_steps_of_descent()
    with tempfile.TemporaryDirectory() as name:
        files = write_examples(Path(name), DISK_ROWS)
        seconds, network = time_call(
            lambda: neuron_xp.train(*files, max_memory="256MB", standardize=True, **OURS)
        )
        iteration = time_descent(*files, max_memory="256MB")
    yield describe_distance("disk", DISK_ROWS, seconds, network, steps, iteration)


def write_examples(folder: Path, rows: int, piece: int = 100_000) -> tuple[Path, Path]:
    """Write inputs and targets, never whole in this process."""
    paths = folder / "inputs.npy", folder / "targets.npy"
    tables = [
        np.lib.format.open_memmap(path, mode="w+", dtype="float64", shape=shape)
        for path, shape in zip(paths, ((rows, FEATURES), (rows,)), strict=True)
    ]
    generator = np.random.default_rng(0)
    truth = generator.standard_normal(FEATURES)
    for first in range(0, rows, piece):
        x = generator.standard_normal((piece, FEATURES))
        tables[0][first : first + piece] = x
        tables[1][first : first + piece] = x @ truth + 2 * generator.standard_normal(piece) > 0
    return paths


def describe_distance(
    where: str, rows: int, seconds: float, network: Any, steps: int, iteration: float
) -> Found:
    """Describe a run to the optimum; gradient descent's time is reckoned from its iteration."""
    return {
        "where": where,
        "rows": rows,
        "seconds": seconds,
        "evaluations": network.ending.evaluations,
        "ending": network.ending.reason,
        "descent, an iteration": iteration,
        "descent, iterations": steps,
        "descent, reckoned": steps * iteration,
    }


def measure_cluster() -> Iterator[Found]:
    """Yield the time to the optimum on clusters of 1, 2 and 4 workers, beside descent's."""
    from dask import array as da

    steps = count_steps_of_descent()
    for workers in (1, 2, 4):
        with open_workers(workers):
            chunk = CLUSTER_ROWS // (PARTS_A_WORKER * workers)
            x = da.random.default_rng(0).standard_normal(
                (CLUSTER_ROWS, FEATURES), chunks=(chunk, -1)
            )
            truth = np.random.default_rng(0).standard_normal(FEATURES)
            noise = da.random.default_rng(1).standard_normal(CLUSTER_ROWS, chunks=chunk)
            x, y = x.persist(), ((x @ truth + 2 * noise) > 0).astype("float64").persist()
            train = partial(neuron_xp.train, x, y, standardize=True, **OURS)
            seconds, network = time_call(train)
            iteration = time_descent(x, y)
        where = f"cluster, workers: {workers}"
        yield describe_distance(where, CLUSTER_ROWS, seconds, network, steps, iteration)


def format_value(value: object) -> str:
    """Write a number with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


SECTIONS = {
    "linear": measure_linear,
    "hidden": measure_hidden,
    "disk": measure_disk,
    "cluster": measure_cluster,
}


def main() -> None:
    """Measure, print each finding, and write them if a file is given."""
    parser = argparse.ArgumentParser(prog="ci/optimum", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    machine = describe()
    print(describe_in_words(machine), end="\n\n")
    record: Found = {"machine": asdict(machine), "rounds": ROUNDS}
    for name in arguments.sections or SECTIONS:
        record[name] = []
        for found in SECTIONS[name]():
            record[name].append(found)
            shown = (
                f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()
            )
            print(*shown, sep=", ", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
