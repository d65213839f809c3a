"""Raw tables, and nothing said but the target: as good as scikit-learn's regression."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neuron_xp

DATA = Path(__file__).parent.parent.parent / "examples" / "data"


def write(path, inputs, words):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(inputs.shape[1])), "kind"])
        writer.writerows([*map(repr, row), f"class {word}"]
                         for row, word in zip(inputs.tolist(), words, strict=True))  # fmt: skip
    return path


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits, load_iris])
def test_the_mean_accuracy_over_five_splits(tmp_path, load):
    data, pairs = load(), []
    for seed in range(5):
        x, held_out, y, answers = train_test_split(
            data.data, data.target, test_size=0.2, random_state=seed, stratify=data.target
        )
        train = write(tmp_path / "train.csv", x, y)
        test = write(tmp_path / "test.csv", held_out, answers)
        network = neuron_xp.train_on_table(train, target="kind").network
        reference = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
        pairs.append(
            (neuron_xp.evaluate(network, test).accuracy, reference.score(held_out, answers))
        )
    ours, theirs = np.mean(pairs, axis=0)
    print(f"{load.__name__}: {ours:.4f}, LogisticRegression {theirs:.4f}")  # noqa: T201
    assert ours >= theirs - 0.005
    assert ours >= 0.93


def test_the_optimum_is_scikit_learns(tmp_path):
    data = load_wine()
    path = write(tmp_path / "wine.csv", data.data, data.target)
    network = neuron_xp.train_on_table(path, target="kind").network
    assert network.ending.reason == "converged"
    # scikit-learn adds the squares to the sum of losses, and so does l2
    reference = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=1000))
    reference.fit(data.data, data.target)
    theirs = reference.predict_proba(data.data)
    np.testing.assert_allclose(network.think(data.data), theirs, atol=1e-4)
