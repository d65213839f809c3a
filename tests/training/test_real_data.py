"""Real tables, and the optimum that scikit-learn finds."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neuron_xp


def accuracies(table, columns):
    """(ours, LogisticRegression's) on the held-out fifth of ten stated splits."""
    inputs, classes = table.data, table.target
    pairs = []
    for seed in range(10):
        x, held_out, y, answers = train_test_split(
            inputs, classes, test_size=0.2, random_state=seed, stratify=classes
        )
        targets = y[:, None] if columns == 1 else np.eye(columns)[y]
        network = neuron_xp.train(
            x, targets, standardize=True, bias=True, learning_rate="auto", iterations=3000
        )
        outputs = network.think(held_out)
        chosen = outputs[:, 0] > 0.5 if columns == 1 else outputs.argmax(axis=1)
        reference = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
        pairs.append((np.mean(chosen == answers), reference.score(held_out, answers)))
    return np.median(pairs, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "columns", "least"), [(load_breast_cancer, 1, 0.96), (load_wine, 3, 0.95)]
)
def test_median_accuracy_over_ten_splits(table, columns, least):
    ours, reference = accuracies(table(), columns)
    print(f"{table.__name__}: {ours:.4f}, LogisticRegression {reference:.4f}")  # noqa: T201
    assert ours >= least
    assert ours >= reference - 0.02


@pytest.mark.parametrize("l2", [0.0, 0.5, 10.0])
def test_the_cross_entropy_optimum_is_scikit_learns(l2):
    """Two classes that overlap; LogisticRegression by Newton's method."""
    generator = np.random.RandomState(0)
    inputs = generator.randn(200, 3)
    chance = 1 / (1 + np.exp(-(inputs @ [1.0, -0.5, 0.25] + 0.3)))
    targets = (generator.random_sample(200) < chance).astype("float64")
    network = neuron_xp.train(
        inputs, targets, rule="cross_entropy", bias=True, l2=l2, learning_rate="auto",
        iterations=4000,
    )  # fmt: skip
    strength = 1 / l2 if l2 else np.inf
    reference = LogisticRegression(C=strength, solver="newton-cg", tol=1e-12, max_iter=1000)
    reference.fit(inputs, targets)
    np.testing.assert_allclose(network.weights[0][:, 0], reference.coef_[0], atol=1e-6)
    np.testing.assert_allclose(network.biases[0], reference.intercept_, atol=1e-6)
