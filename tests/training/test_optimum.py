"""L-BFGS ends on the optimum that Newton's method finds; hidden layers learn as MLPClassifier's."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import neuron_xp

SOFTMAX = {"rule": "softmax_cross_entropy"}


def two_classes():
    return load_breast_cancer(return_X_y=True)


def blobs(classes):
    return make_blobs(400, 5, centers=classes, cluster_std=6.0, random_state=0)


TABLES = {
    "breast cancer": two_classes,
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "five blobs": lambda: blobs(5),
    "ten blobs": lambda: blobs(10),
}


@pytest.mark.parametrize("l2", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("name", TABLES)
def test_the_optimum_is_scikit_learns(name, l2):
    """Newton's method, as scikit-learn's L-BFGS stops where its loss moves by 64 ulp at most."""
    inputs, numbers = TABLES[name]()
    x, classes = StandardScaler().fit_transform(inputs), numbers.max() + 1
    targets, rule = (numbers, {}) if classes == 2 else (np.eye(classes)[numbers], SOFTMAX)
    network = neuron_xp.train(
        x, targets, optimizer="lbfgs", bias=True, l2=l2, gradient_tolerance=1e-11,
        iterations=10_000, **rule,
    )  # fmt: skip
    reference = LogisticRegression(C=1 / l2, solver="newton-cg", tol=1e-10, max_iter=10_000)
    reference.fit(x, numbers)
    # a constant added to all biases of a softmax changes nothing
    intercepts, biases = reference.intercept_, network.biases[0]
    assert abs(network.weights[0].T - reference.coef_).max() <= 1e-6
    if classes > 2:
        intercepts, biases = intercepts - intercepts.mean(), biases - biases.mean()
    assert abs(biases - intercepts).max() <= 1e-6


@pytest.mark.parametrize("name", TABLES)
def test_the_default_tolerance_ends_near_the_best_loss(name):
    inputs, numbers = TABLES[name]()
    classes = numbers.max() + 1
    targets, rule = (numbers, {}) if classes == 2 else (np.eye(classes)[numbers], SOFTMAX)
    settings = {"optimizer": "lbfgs", "standardize": True, "bias": True, "l2": 1.0, **rule}
    network = neuron_xp.train(inputs, targets, **settings)
    best = neuron_xp.train(inputs, targets, **settings, gradient_tolerance=0.0, iterations=5000)
    assert network.ending.reason == "converged"
    assert best.ending.reason == "no lower loss"
    assert -1e-15 <= network.history[-1][1] - best.history[-1][1] <= 1e-9
    losses = [loss for _, loss in network.history]
    assert losses == sorted(losses, reverse=True)


def test_sample_weights_count_as_rows():
    inputs, targets = two_classes()
    x, count = StandardScaler().fit_transform(inputs)[:200], 1 + np.arange(200) % 3
    settings = {"optimizer": "lbfgs", "bias": True, "l2": 1.0, "gradient_tolerance": 1e-11}
    weighted = neuron_xp.train(x, targets[:200], sample_weight=count, **settings)
    repeated = neuron_xp.train(np.repeat(x, count, 0), np.repeat(targets[:200], count), **settings)
    assert abs(weighted.weights[0] - repeated.weights[0]).max() <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_hidden_layers_do_as_well_as_scikit_learns(solver):
    """Digits, one hidden layer of 32: the median of ten splits, less half a point."""
    inputs, numbers = load_digits(return_X_y=True)
    batches = {"batch_size": 200, "shuffle": "rows", "iterations": 2000}
    more, scores = batches if solver == "adam" else {}, []
    for seed in range(10):
        x, held_out, y, answers = train_test_split(
            inputs, numbers, test_size=0.2, random_state=seed, stratify=numbers
        )
        network = neuron_xp.train(
            x, np.eye(10)[y], optimizer=solver, hidden=(32,), bias=True, standardize=True,
            l2=1e-4, seed=seed, **SOFTMAX, **more,
        )  # fmt: skip
        scaler = StandardScaler().fit(x)
        reference = MLPClassifier((32,), solver=solver, random_state=seed, max_iter=1000)
        reference.fit(scaler.transform(x), y)
        ours = (network.think(held_out).argmax(axis=1) == answers).mean()
        scores.append((ours, reference.score(scaler.transform(held_out), answers)))
    ours, theirs = np.median(scores, axis=0)
    print(f"{solver}: {ours:.4f}, MLPClassifier {theirs:.4f}")  # noqa: T201
    assert ours >= theirs - 0.005
