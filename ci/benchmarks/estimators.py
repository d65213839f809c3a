"""NeuronClassifier beside scikit-learn's classifiers, each at its defaults, in one pipeline.

python -m ci.benchmarks.estimators [--json FILE]: for each data set and ten splits (a fifth of the
rows held out, the same classes in each) a StandardScaler and the classifier are fitted by turns.
Accuracy and log loss are means over the splits, of the rows held out; seconds are medians of the
whole fit. Of the 100,000 rows MLPClassifier has the first two splits only: it takes half a minute.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ci.benchmarks.machine import describe, describe_in_words
from neuron_xp import NeuronClassifier
from neuron_xp.workflows.clock import compare

SPLITS = 10
FEW, SLOW = 2, "MLPClassifier"
LARGE_ROWS = 50_000
CLASSIFIERS = {
    "NeuronClassifier": NeuronClassifier,
    "LogisticRegression": LogisticRegression,
    "MLPClassifier": MLPClassifier,
    "SGDClassifier": SGDClassifier,
}
DATA: dict[str, Callable[[], Any]] = {
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "iris": lambda: load_iris(return_X_y=True),
    "100,000 x 50": lambda: make_classification(100_000, 50, random_state=0),
}
Found = dict[str, Any]


def measure(name: str, x: np.ndarray, y: np.ndarray) -> Iterator[Found]:
    """Yield what each classifier did on one data set."""
    found: dict[str, list[Found]] = {classifier: [] for classifier in CLASSIFIERS}
    make_pipeline(StandardScaler(), NeuronClassifier()).fit(x, y)  # compiles
    splits = StratifiedShuffleSplit(SPLITS, test_size=0.2, random_state=0).split(x, y)
    for number, (training, held_out) in enumerate(splits):
        for classifier, make in CLASSIFIERS.items():
            if number < FEW or classifier != SLOW or len(x) < LARGE_ROWS:
                model = make_pipeline(StandardScaler(), make())
                found[classifier].append(fit(model, x, y, training, held_out))
    beside = [run["seconds"] for run in found["LogisticRegression"]]
    for classifier, runs in found.items():
        rounds = [run["seconds"] for run in runs]
        losses = [run["log_loss"] for run in runs if run["log_loss"] is not None]
        yield {
            "data": name,
            "classifier": classifier,
            "splits": len(runs),
            "accuracy": fmean(run["accuracy"] for run in runs),
            "log_loss": fmean(losses) if losses else None,
            "seconds": median(rounds),
            "ratio": compare(rounds, beside[: len(rounds)]),
            "rounds": rounds,
        }


def fit(
    model: Any, x: np.ndarray, y: np.ndarray, training: np.ndarray, held_out: np.ndarray
) -> Found:
    """Fit once, and score on the rows held out."""
    inputs, targets = x[training], y[training]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        model.fit(inputs, targets)
        seconds = time.perf_counter() - began
    loss = None
    if hasattr(model, "predict_proba"):
        loss = log_loss(y[held_out], model.predict_proba(x[held_out]))
    return {
        "seconds": seconds,
        "accuracy": model.score(x[held_out], y[held_out]),
        "log_loss": loss,
    }


def format_row(found: Found) -> str:
    loss = "-" if found["log_loss"] is None else f"{found['log_loss']:.4f}"
    return (
        f"{found['data']:14} {found['classifier']:20} {found['accuracy']:.4f}  {loss:>7}  "
        f"{found['seconds'] * 1e3:9.1f} ms  {found['ratio']:6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    machine = describe()
    print(describe_in_words(machine), flush=True)
    results = []
    for name, load in DATA.items():
        for found in measure(name, *load()):
            print(format_row(found), flush=True)
            results.append(found)
    if arguments.json:
        record = {"method": __doc__, "machine": asdict(machine), "results": results}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
