"""Data frames in train() and think(): the bits of arrays, or a line that names the column."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import neuron_xp

X = np.random.RandomState(3).random_sample((40, 3))
Y = (X[:, 0] > X[:, 1]) * 1.0
NAMES = ("height", "width", "depth")
MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
SETTINGS = {"optimizer": "lbfgs", "standardize": True, "bias": True, "l2": 1.0}


def frame(make, **more):
    return make(dict(zip(NAMES, X.T.copy(), strict=True)) | more)


def learn(inputs, targets=Y, **settings):
    return neuron_xp.train(inputs, targets, **SETTINGS | settings)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_bits_are_those_of_arrays(make, tmp_path):
    network = learn(frame(make))
    assert network.fingerprint() == learn(X).fingerprint()
    assert network.feature_names == NAMES
    assert learn(X).feature_names is None
    assert network.think(frame(make)).tobytes() == network.think(X).tobytes()
    network.save(tmp_path / "model.safetensors")
    loaded = neuron_xp.NeuralNetwork.load(tmp_path / "model.safetensors")
    assert loaded.feature_names == NAMES
    assert loaded.to_bytes() == network.to_bytes() != learn(X).to_bytes()


@pytest.mark.parametrize("backend", ["torch", "array_api_strict"])
def test_frames_are_trained_on_in_any_library(backend):
    pytest.importorskip(backend)
    network = learn(frame(pl.DataFrame), backend=backend)
    assert network.backend.name == backend
    assert network.fingerprint() == learn(X).fingerprint()


@pytest.mark.parametrize("series", [pd.Series, pl.Series, lambda y: pa.chunked_array([y])])
def test_series_are_targets_and_weights(series):
    weight = np.arange(40) % 4
    found = learn(frame(pd.DataFrame), series(Y), sample_weight=series(weight))
    assert found.fingerprint() == learn(X, Y, sample_weight=weight).fingerprint()
    assert learn(X, series(Y > 0.5)).fingerprint() == learn(X).fingerprint()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_whole_numbers_and_booleans_are_numbers(make):
    counts, answers = np.arange(40), np.arange(40) % 3 == 0
    found = learn(make({"count": counts, "answer": answers}))
    expected = learn(np.stack([counts, answers], axis=1).astype(float))
    assert found.fingerprint() == expected.fingerprint()


def test_nullable_numbers_without_a_null_are_numbers():
    found = learn(pd.DataFrame({"n": pd.array(range(40), dtype="Int64")}))
    assert found.fingerprint() == learn(np.arange(40.0)[:, None]).fingerprint()


def test_single_precision_stays_so_in_native_arithmetic():
    single = frame(pd.DataFrame).astype("float32")
    network = learn(single, arithmetic="native")
    assert network.weights[0].dtype == np.float32
    assert learn(frame(pd.DataFrame), arithmetic="native").weights[0].dtype == np.float64


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (frame(pd.DataFrame, new=["red"] * 40), TypeError,
         r"inputs: column 'new' holds text, such as 'red'; give a column of 0 and 1 for each word"),
        (frame(pl.DataFrame, new=["red"] * 40), TypeError, "column 'new' holds text"),
        (frame(pd.DataFrame, new=pd.Categorical(["a"] * 40)), TypeError, "holds categories, such"),
        (frame(pd.DataFrame, new=pd.Timestamp("2026-01-01")), TypeError, "holds times .* a date"),
        (frame(pd.DataFrame, new=[1, "x"] * 20), TypeError, "holds objects"),
        (frame(pl.DataFrame, new=[[1]] * 40), TypeError, "holds objects"),
        (frame(pa.table, new=pa.array([1] * 40, pa.decimal128(5, 2))), TypeError,
         "holds decimals .* cast the column to float64"),
        (frame(pd.DataFrame, new=[0.5, np.nan] * 20), ValueError,
         r"column 'new' has 20 missing values, the first in row 1; .* inputs\.dropna\(\), or"),
        (frame(pl.DataFrame, new=[None, *range(39)]), ValueError,
         r"has 1 missing value, the first in row 0; .* inputs\.drop_nulls\(\)"),
        (frame(pa.table, new=[None, *range(39)]), ValueError, r"inputs\.drop_null\(\)"),
        (frame(pl.DataFrame, new=[float("inf")] * 40), ValueError, "'new' is inf in row 0"),
        (frame(pd.DataFrame, new=[2**53] * 40), ValueError, r"integers of 2\^53 or more"),
        (frame(pd.DataFrame, new=[-(2**63)] * 40), ValueError, r"integers of 2\^53 or more"),
        (frame(pl.DataFrame).lazy(), TypeError, r"are lazy \(LazyFrame\); give inputs.collect\(\)"),
        (pd.DataFrame(X, columns=["a", "a", "b"]), ValueError, "two columns of one name"),
        (pd.DataFrame(), ValueError, "inputs are empty"),
        (pd.RangeIndex(40), TypeError, r"got pandas.RangeIndex; give numpy.asarray\(inputs\)"),
        (pd.Series(Y), ValueError, r"inputs must have the shape \(examples, features\)"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_name(value, error, message):
    with pytest.raises(error, match=message):
        learn(value)


def test_targets_that_are_words_are_refused():
    with pytest.raises(TypeError, match=r"such as 'yes'; to learn classes use neuron_xp\.Neuron"):
        learn(X, pd.Series(["yes"] * 40))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["width", "height", "depth"], r"in another order .* give inputs\[list\(network.input_n"),
        (["height", "width"], "inputs have no column 'depth', which the network has learned from"),
        (["height", "width", "depth", "age"], "inputs have 'age', which the network does not know"),
    ],
)
def test_other_columns_are_said(columns, message):
    network = learn(frame(pd.DataFrame))
    with pytest.raises(ValueError, match=message):
        network.think(frame(pd.DataFrame, age=Y)[columns])
    assert network.think(frame(pd.DataFrame, age=Y)[list(network.input_names)]).shape == (40, 1)
    assert learn(X).think(frame(pl.DataFrame)).shape == (40, 1)  # which knows no names


def test_a_network_of_a_table_knows_its_columns(tmp_path):
    frame(pd.DataFrame, right=Y.astype(int)).to_csv(tmp_path / "table.csv", index=False)
    network = neuron_xp.train_on_table(tmp_path / "table.csv", target="right").network
    assert network.think(frame(pl.DataFrame)).shape == (40, 1)
    with pytest.raises(ValueError, match="inputs have 'right', which the network does not know"):
        network.think(frame(pl.DataFrame, right=Y))


def test_checkpoints_keep_the_names(tmp_path):
    path = tmp_path / "run.safetensors"
    learn(frame(pd.DataFrame), iterations=3, checkpoint=path)
    assert neuron_xp.NeuralNetwork.load(path).feature_names == NAMES
    again = learn(frame(pd.DataFrame), checkpoint=path, resume=True)
    assert again.fingerprint() == learn(X).fingerprint()
    assert again.feature_names == NAMES


def test_names_that_do_not_fit_are_a_damaged_file():
    network = learn(frame(pd.DataFrame))
    from dataclasses import replace

    broken = replace(network, feature_names=("a", "b")).to_bytes()
    from neuron_xp.model import model_file

    with pytest.raises(neuron_xp.ModelFileError, match="feature names that are not those of its"):
        model_file.from_bytes(broken, "model")


def test_dask_frames_keep_their_names():
    dd = pytest.importorskip("dask.dataframe")
    chunks = dd.from_pandas(frame(pd.DataFrame), npartitions=2)
    targets = dd.from_pandas(pd.Series(Y), npartitions=2)
    network = neuron_xp.train(chunks, targets, iterations=3)
    assert network.feature_names == NAMES
