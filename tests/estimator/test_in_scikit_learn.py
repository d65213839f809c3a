"""The estimator inside scikit-learn: pipelines, searches, calibration, jobs, routing, frames."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from joblib import parallel_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.feature_selection import RFE
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from neuron_xp import NeuralNetwork, NeuronClassifier

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def iris_frame(make=pd.DataFrame):
    table = load_iris()
    columns = dict(zip(table.feature_names, table.data.T.copy(), strict=True))
    return make(columns), table.target


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_change_no_bit_of_a_search(backend):
    X, y = load_breast_cancer(return_X_y=True)

    def search(jobs):
        with parallel_config(backend=backend):
            found = GridSearchCV(
                make_pipeline(StandardScaler(), NeuronClassifier()),
                {"neuronclassifier__l2": [0.1, 1.0], "neuronclassifier__hidden": [(), (3,)]},
                cv=3, n_jobs=jobs,
            ).fit(X, y)  # fmt: skip
        return found.best_estimator_[-1].fingerprint_, found.cv_results_["mean_test_score"].tolist()

    assert search(1) == search(2)


def test_jobs_change_no_bit_of_folds():
    X, y = load_iris(return_X_y=True)

    def folds(jobs):
        found = cross_validate(NeuronClassifier(), X, y, cv=4, n_jobs=jobs, return_estimator=True)
        return [model.fingerprint_ for model in found["estimator"]]

    assert folds(1) == folds(2)
    assert len(set(folds(1))) == 4
    assert cross_val_score(NeuronClassifier(), X, y, cv=4, n_jobs=2).min() > 0.85


def test_calibration_and_elimination_of_features():
    X, y = load_breast_cancer(return_X_y=True)
    calibrated = CalibratedClassifierCV(NeuronClassifier(), cv=3, n_jobs=2).fit(X, y)
    assert calibrated.score(X, y) > 0.97
    assert RFE(NeuronClassifier(), n_features_to_select=5, step=5).fit(X, y).support_.sum() == 5


def test_a_pipeline_of_mixed_columns():
    X, y = iris_frame()
    X["colour"] = np.asarray(["red", "green", "blue"])[np.arange(150) % 3]
    steps = ColumnTransformer(
        [("words", OneHotEncoder(sparse_output=False), ["colour"])],
        remainder="passthrough", verbose_feature_names_out=False,
    )  # fmt: skip
    model = make_pipeline(steps, NeuronClassifier()).set_output(transform="pandas").fit(X, y)
    names = model[-1].network_.feature_names
    assert names[:4] == ("colour_blue", "colour_green", "colour_red", "sepal length (cm)")
    assert tuple(model[-1].feature_names_in_) == names
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_frames_give_the_bits_of_arrays_and_keep_their_names(make, tmp_path):
    X, y = iris_frame(make)
    table = load_iris()
    found = NeuronClassifier().fit(X, y)
    assert found.fingerprint_ == NeuronClassifier().fit(table.data, table.target).fingerprint_
    assert list(found.feature_names_in_) == table.feature_names
    found.network_.save(tmp_path / "iris.safetensors")
    loaded = NeuralNetwork.load(tmp_path / "iris.safetensors")
    assert list(loaded.feature_names) == table.feature_names
    assert loaded.think(X).tobytes() == found.predict_proba(X).tobytes()


def test_other_columns_than_those_of_fit_are_said():
    X, y = iris_frame()
    found = NeuronClassifier().fit(X, y)
    with pytest.raises(ValueError, match="must be in the same order"):
        found.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(X.drop(columns="petal width (cm)"))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        found.predict(X.to_numpy())


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["a", "b"] * 75, TypeError, "X: column 'new' holds text, such as 'a'; give a column of 0"),
        (pd.Categorical(["a", "b"] * 75), TypeError, "X: column 'new' holds categories"),
        ([1.0, np.nan] * 75, ValueError, r"'new' has 75 missing values, the first in row 1"),
        (pd.array([1, None] * 75, dtype="Int64"), ValueError, r"X\.fillna\(VALUE\)"),
        ([2**60] * 150, ValueError, "X: column 'new' holds integers of 2\\^53 or more"),
    ],
)  # fmt: skip
def test_columns_that_are_no_numbers_are_refused_by_name(column, error, message):
    X, y = iris_frame()
    with pytest.raises(error, match=message):
        NeuronClassifier().fit(X.assign(new=column), y)


def test_sample_weights_are_routed():
    X, y = load_iris(return_X_y=True)
    weight = np.arange(150) % 3 + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=True),
            NeuronClassifier(standardize=False).set_fit_request(sample_weight=True),
        ).fit(X, y, sample_weight=weight)
    scaled = StandardScaler().fit(X, sample_weight=weight).transform(X)
    expected = NeuronClassifier(standardize=False).fit(scaled, y, sample_weight=weight)
    assert model[-1].fingerprint_ == expected.fingerprint_


@pytest.mark.parametrize("series", [pd.Series, pl.Series, lambda y: pa.chunked_array([y])])
def test_targets_and_weights_may_be_series(series):
    X, y = load_iris(return_X_y=True)
    weight = np.arange(150) % 3 + 1.0
    found = NeuronClassifier().fit(X, series(y), sample_weight=series(weight))
    assert found.fingerprint_ == NeuronClassifier().fit(X, y, sample_weight=weight).fingerprint_
    names = np.asarray(["setosa", "versicolor", "virginica"], dtype=object)[y]
    assert NeuronClassifier().fit(X, series(names)).predict(X[:1]).tolist() == ["setosa"]
