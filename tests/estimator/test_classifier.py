"""The estimator by itself: its optimum, its attributes, its settings, its words."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

import neuron_xp
from neuron_xp import NeuronClassifier
from neuron_xp.errors import LearningWarning

TABLES = {"cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine}


def scaled(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("load", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("l2", [0.1, 1.0, 30.0])
def test_its_optimum_is_that_of_logistic_regression(load, l2):
    X, y = scaled(load)
    found = NeuronClassifier(l2=l2, standardize=False, tol=1e-9).fit(X, y)
    expected = LogisticRegression(C=1 / l2, tol=1e-10, solver="newton-cg", max_iter=1000).fit(X, y)
    assert np.abs(found.coef_ - expected.coef_).max() < 1e-5
    assert np.abs(found.intercept_ - expected.intercept_).max() < 1e-5
    assert found.coef_.shape == expected.coef_.shape
    assert found.intercept_.shape == expected.intercept_.shape


@pytest.mark.parametrize("load", TABLES.values(), ids=TABLES)
def test_by_default_it_is_logistic_regression_behind_a_scaler(load):
    X, y = load(return_X_y=True)
    found = NeuronClassifier(tol=1e-8).fit(X, y)
    expected = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-9, max_iter=1000))
    expected.fit(X, y)
    assert np.abs(found.predict_proba(X) - expected.predict_proba(X)).max() < 1e-3
    assert found.score(X, y) == expected.score(X, y)


@pytest.mark.parametrize("load", TABLES.values(), ids=TABLES)
def test_coefficients_are_those_of_raw_columns(load):
    X, y = load(return_X_y=True)
    found = NeuronClassifier().fit(X, y)
    by_hand = X @ found.coef_.T + found.intercept_
    decision = found.decision_function(X)
    assert np.abs(by_hand.reshape(decision.shape) - decision).max() < 1e-9


def test_two_classes_by_a_softmax_have_one_row_of_coefficients():
    X, y = scaled(load_breast_cancer)
    found = NeuronClassifier(rule="softmax_cross_entropy", l2=2.0, standardize=False, tol=1e-9)
    sigmoid = NeuronClassifier(standardize=False, tol=1e-9).fit(X, y)
    found.fit(X, y)  # two rows of weights, each half of the other's: l2/2 (1/4 + 1/4) w^2
    assert found.coef_.shape == (1, 30)
    assert np.abs(found.coef_ - sigmoid.coef_).max() < 1e-5
    assert np.abs(found.decision_function(X) - sigmoid.decision_function(X)).max() < 1e-4
    assert (found.predict(X) == sigmoid.predict(X)).all()


def test_sigmoids_of_their_own_have_probabilities_that_sum_to_one():
    X, y = load_iris(return_X_y=True)
    found = NeuronClassifier(rule="cross_entropy").fit(X, y)
    probabilities = found.predict_proba(X)
    outputs = found.network_.think(X)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-15
    assert np.abs(probabilities - outputs / outputs.sum(axis=1, keepdims=True)).max() < 1e-15
    far = found.predict_proba([[-1e6, 1e6, 1e6, -1e6]])
    assert np.isfinite(far).all()


def test_it_is_train_in_other_words():
    X, y = load_wine(return_X_y=True)
    found = NeuronClassifier(hidden=(4,), random_state=5, max_iter=30, tol=0.01).fit(X, y)
    network = neuron_xp.train(
        X, np.eye(3)[y], optimizer="lbfgs", rule="softmax_cross_entropy", hidden=(4,), bias=True,
        l2=1.0, standardize=True, seed=5, iterations=30, gradient_tolerance=0.01,
    )  # fmt: skip
    assert found.fingerprint_ == network.fingerprint() == found.network_.fingerprint()
    assert found.n_iter_ == network.ending.iterations
    assert found.loss_curve_ == [loss for _, loss in network.history]
    assert found.loss_ == network.history[-1][1]
    assert [layer.shape for layer in found.coefs_] == [(13, 4), (4, 3)]
    assert [layer.shape for layer in found.intercepts_] == [(4,), (3,)]
    assert not hasattr(found, "coef_")
    assert (found.predict_proba(X) == network.think(X)).all()
    assert (found.decision_function(X) == network.logits(X)).all()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gradient_descent"])
@pytest.mark.parametrize("batch_size", [None, 64])
def test_each_optimizer_learns_iris(optimizer, batch_size):
    if (optimizer, batch_size) == ("lbfgs", 64):
        with pytest.raises(ValueError, match="batch_size=64 does not go with optimizer='lbfgs'"):
            NeuronClassifier(batch_size=64).fit(*load_iris(return_X_y=True))
        return
    rate = 0.01 if optimizer == "adam" else None
    found = NeuronClassifier(
        optimizer=optimizer, batch_size=batch_size, learning_rate=rate, max_iter=3000
    )
    assert found.fit(*load_iris(return_X_y=True)).score(*load_iris(return_X_y=True)) > 0.95


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 2: 0.5, 1: 1.25}])
def test_class_weights_are_sample_weights(class_weight):
    X, y = load_wine(return_X_y=True)
    found = NeuronClassifier(class_weight=class_weight).fit(X, y)
    weight = compute_sample_weight(class_weight, y)
    expected = NeuronClassifier().fit(X, y, sample_weight=weight)
    assert np.abs(found.coef_ - expected.coef_).max() < 1e-12


def test_balanced_classes_count_by_their_weights():
    X, y = load_iris(return_X_y=True)
    counts = np.arange(150) % 4
    found = NeuronClassifier(class_weight="balanced").fit(X, y, sample_weight=counts)
    repeated = NeuronClassifier(class_weight="balanced")
    repeated.fit(X.repeat(counts, axis=0), y.repeat(counts))
    assert np.abs(found.coef_ - repeated.coef_).max() < 1e-9


def test_examples_of_weight_0_are_not_there():
    X, y = load_iris(return_X_y=True)
    weight = (np.arange(150) % 5 > 0) * 2.0
    X[weight == 0] *= 1e6  # which would be in mean and deviation
    found = NeuronClassifier().fit(X, y, sample_weight=weight)
    left = weight > 0
    expected = NeuronClassifier().fit(X[left], y[left], sample_weight=weight[left])
    assert found.fingerprint_ == expected.fingerprint_


def test_a_warm_start_goes_on_from_the_weights():
    X, y = load_wine(return_X_y=True)
    whole = NeuronClassifier(tol=1e-6).fit(X, y)
    warm = NeuronClassifier(warm_start=True, max_iter=10, tol=1e-6).fit(X, y)
    first = warm.loss_
    warm.set_params(max_iter=None).fit(X, y)
    assert warm.loss_curve_[0] == first
    assert abs(warm.loss_ - whole.loss_) < 1e-9
    with pytest.raises(ValueError, match=r"goes on from layers of 13-3; got 12-3; give the same"):
        warm.fit(X[:, :12], y)
    assert warm.set_params(warm_start=False).fit(X[:, :12], y).n_features_in_ == 12


def test_early_stopping_keeps_the_best_network():
    X, y = load_breast_cancer(return_X_y=True)
    settings = {"hidden": (8,), "l2": 0.0, "tol": 0.0, "random_state": 3}
    found = NeuronClassifier(early_stopping=True, n_iter_no_change=5, **settings).fit(X, y)
    assert found.network_.ending.reason == "stopped" or found.n_iter_ < 1000
    scores = found.validation_scores_
    best = scores.index(max(scores))
    assert found.best_validation_score_ == scores[best]
    assert len(scores) == best + 1 + 5
    assert found.n_iter_ == len(scores) - 1  # the first look is at the start
    again = clone(found).set_params(n_iter_no_change=5).fit(X, y)
    assert again.fingerprint_ == found.fingerprint_
    found.set_params(early_stopping=False).fit(X, y)
    assert not hasattr(found, "validation_scores_")
    assert not hasattr(found, "best_validation_score_")


def test_early_stopping_looks_once_an_epoch():
    X, y = load_iris(return_X_y=True)
    found = NeuronClassifier(
        optimizer="adam", batch_size=27, early_stopping=True, n_iter_no_change=3, max_iter=500
    ).fit(X, y)  # 135 examples are left: five batches
    assert found.n_iter_ == 5 * len(found.validation_scores_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_iter": -1}, r"^max_iter must be a whole number from 0 to \d+; got -1$"),
        ({"tol": -1.0}, r"^tol must be a finite number 0 or more; got -1.0$"),
        ({"optimizer": "adam", "tol": -1.0}, r"^tol must be"),
        ({"random_state": -1}, r"^random_state must be a whole number"),
        ({"hidden": 3}, r"hidden must be a tuple of layer sizes, such as \(4,\); got 3"),
        ({"optimizer": "lbfg"}, "unknown optimizer 'lbfg'; did you mean 'lbfgs'"),
        ({"class_weight": "balance"}, "class_weight must be a dict .* or None; got 'balance'"),
        ({"standardize": "yes"}, "standardize must be True or False"),
        ({"early_stopping": True, "validation_fraction": 1.5}, "validation_fraction must be below"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change must be a whole"),
    ],
    ids=str,
)
def test_settings_are_refused_by_their_names(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        NeuronClassifier(**settings).fit(*load_iris(return_X_y=True))


def test_data_are_refused_by_their_names():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="two classes; got only one class, 0"):
        NeuronClassifier().fit(X[:50], y[:50])
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        NeuronClassifier().fit(X, y, sample_weight=np.zeros(150))
    with pytest.raises(ValueError, match="X hold integers of 2\\^53 or more"):
        NeuronClassifier().fit(np.full((150, 1), 2**60), y)


def test_what_did_not_converge_is_said_in_its_own_words():
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(LearningWarning, match=r"max_iter=3 .* tol=0.0001; give max_iter=30$"):
        NeuronClassifier(max_iter=3).fit(X, y)


def _through_a_file(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def _pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, _pickled, _through_a_file])
def test_copies_predict_the_same_bits(copied):
    X, y = load_wine(return_X_y=True)
    found = NeuronClassifier(hidden=(3,)).fit(X, y)
    other = copied(found)
    assert other.fingerprint_ == found.fingerprint_
    assert other.predict_proba(X).tobytes() == found.predict_proba(X).tobytes()
    assert other.loss_curve_ == found.loss_curve_


def test_other_random_states():
    X, y = load_wine(return_X_y=True)
    settings = {"hidden": (3,), "max_iter": 5}

    def fit(random_state):
        return NeuronClassifier(random_state=random_state, **settings).fit(X, y).fingerprint_

    assert fit(1) == fit(1) != fit(2)
    assert fit(np.random.RandomState(0)) == fit(np.random.RandomState(0))
    assert fit(None) != fit(None)
    assert NeuronClassifier(**settings).fit(X, y).fingerprint_ == fit(1)
