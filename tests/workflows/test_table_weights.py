"""Weights of a table's rows: those of train(), verified, and no part of predictions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

import neuron_xp
from neuron_xp import train_on_table, verify

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"
OURS = {"optimizer": "lbfgs", "bias": True, "l2": 1.0, "standardize": "weighted",
        "rule": "softmax_cross_entropy"}  # fmt: skip


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(TABLE)


@pytest.fixture
def weighted(frame, tmp_path):
    """A table with a column of weights in the middle."""
    table = frame.copy()
    table.insert(4, "count", np.arange(len(frame)) % 4)
    table.to_csv(tmp_path / "weighted.csv", index=False)
    return tmp_path / "weighted.csv"


def arrays(frame):
    classes, numbers = np.unique(frame["cultivar"], return_inverse=True)
    return frame.drop(columns="cultivar").to_numpy(), np.eye(3)[numbers], classes, numbers


def test_a_column_of_weights_is_the_sample_weight(frame, weighted):
    inputs, targets, _, _ = arrays(frame)
    expected = neuron_xp.train(inputs, targets, sample_weight=np.arange(178) % 4, **OURS)
    trained = train_on_table(weighted, target="cultivar", weights="count")
    assert trained.network.fingerprint() == expected.fingerprint()
    assert "count" not in trained.columns.features
    assert verify(trained.network, weighted).is_same
    some = train_on_table(weighted, target="cultivar", weights="count", features=["ash", "hue"])
    assert some.columns.features == ("ash", "hue")
    assert verify(some.network, weighted).is_same


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "gradient_descent", "iterations": 50, "learning_rate": 2.0**-9},
        {"optimizer": "lbfgs", "gradient_tolerance": 1e-10},
    ],
    ids=str,
)
def test_a_weight_is_a_number_of_repetitions(tmp_path, settings):
    rows = pd.DataFrame(
        {"a": [0.0, 1.0, 2.0, 3.0, 1.5], "kind": list("nnyyn"), "n": [1, 3, 0, 2, 4]}
    )
    rows.to_csv(tmp_path / "weighted.csv", index=False)
    rows.loc[rows.index.repeat(rows["n"])].drop(columns="n").to_csv(
        tmp_path / "repeated.csv", index=False
    )
    given = {"target": "kind", "rule": "cross_entropy", "l2": 0.5, "standardize": False, **settings}
    weighted = train_on_table(tmp_path / "weighted.csv", weights="n", **given).network
    repeated = train_on_table(tmp_path / "repeated.csv", **given).network
    for one, other in zip(
        weighted.weights + weighted.biases, repeated.weights + repeated.biases, strict=True
    ):
        assert np.abs(one - other).max() < 1e-8
    assert neuron_xp.evaluate(weighted, tmp_path / "weighted.csv").rows == 5  # unweighted


def test_predictions_need_no_weights(weighted):
    network = train_on_table(weighted, target="cultivar", weights="count").network
    assert neuron_xp.predict(network, TABLE).outputs.shape == (178, 3)
    assert neuron_xp.evaluate(network, TABLE).accuracy > 0.9


def test_balanced_weights_are_those_of_scikit_learn(frame):
    inputs, targets, classes, numbers = arrays(frame)
    of_class = compute_class_weight("balanced", classes=classes, y=frame["cultivar"])
    expected = neuron_xp.train(inputs, targets, sample_weight=of_class[numbers], **OURS)
    trained = train_on_table(TABLE, target="cultivar", class_weights="balanced")
    assert trained.network.fingerprint() == expected.fingerprint()
    assert verify(trained.network, TABLE).is_same


def test_both_are_multiplied_and_held_out_rows_are_not_counted(frame, weighted, tmp_path):
    given = {"class_0": 2.0, "class_2": 0.5}
    trained = train_on_table(
        weighted, target="cultivar", weights="count", class_weights=given, holdout=0.25
    )
    from neuron_xp.model.table_use import split_rows

    inputs, targets, classes, numbers = arrays(frame)
    rows, _ = split_rows(178, trained.network.table)
    weight = np.asarray([given.get(name, 1.0) for name in classes])[numbers] * (np.arange(178) % 4)
    expected = neuron_xp.train(inputs[rows], targets[rows], sample_weight=weight[rows], **OURS)
    assert trained.network.fingerprint() == expected.fingerprint()
    trained.network.save(tmp_path / "model")
    loaded = neuron_xp.NeuralNetwork.load(tmp_path / "model")
    assert loaded.table.class_weights == (("class_0", 2.0), ("class_2", 0.5))
    assert loaded.to_bytes() == trained.network.to_bytes()
    assert verify(loaded, weighted).is_same


WAYS = [
    {"weights": "count"},
    {"class_weights": "balanced"},
    {"class_weights": {"class_1": 3.0}},
    {"weights": "count", "class_weights": "balanced", "holdout": 0.25},
    {"weights": "count", "holdout": 0.25, "features": ["ash", "hue"]},
]


@pytest.mark.parametrize("given", WAYS, ids=str)
def test_a_streamed_table_gives_the_same_model(weighted, given):
    given = {"target": "cultivar", **given}
    whole = train_on_table(weighted, **given)
    streamed = train_on_table(weighted, max_memory="16MiB", **given)
    assert streamed.network.to_bytes() == whole.network.to_bytes()
    assert verify(whole.network, weighted, max_memory="16MiB").is_same


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("given", WAYS, ids=str)
def test_a_cluster_gives_the_same_model(frame, tmp_path, given):
    distributed = pytest.importorskip("distributed")
    table = frame.assign(count=np.arange(178) % 4)
    for part in range(3):
        table[part * 64 : (part + 1) * 64].to_csv(tmp_path / f"p{part}.csv", index=False)
    given = {"target": "cultivar", **given}
    whole = train_on_table(tmp_path / "p*.csv", **given)
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        host="127.0.0.1",
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else 8787, even without a page
    )
    with cluster, distributed.Client(cluster):
        spread = train_on_table(tmp_path / "p*.csv", on_cluster=True, **given)
        assert verify(whole.network, tmp_path / "p*.csv", on_cluster=True).is_same
    assert spread.network.to_bytes() == whole.network.to_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": "cnt"}, "no column 'cnt' for the weights; did you mean 'count'"),
        ({"weights": "cultivar"}, "'cultivar' is the target and cannot be the weights, too"),
        ({"class_weights": {"class_9": 1}}, "no class 'class_9' for class_weights; did you"),
        (
            {"class_weights": {"class_1": -1}},
            "the weight of class 'class_1' must be a finite",
        ),
        (
            {"class_weights": {"class_0": 0, "class_1": 0, "class_2": 0}},
            "^class_weights are 0 for every class; give a class one that is above 0$",
        ),
        ({"class_weights": "balance"}, "class_weights must be 'balanced', or a number for each"),
        ({"weights": "ash", "features": ["ash"]}, "a feature is given twice|no feature is left"),
    ],
    ids=str,
)
def test_weights_that_make_no_sense(weighted, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        train_on_table(weighted, target="cultivar", **given)


def test_negative_weights_and_classes_of_numbers(frame, tmp_path):
    frame.assign(w=-1).to_csv(tmp_path / "t.csv", index=False)
    message = r"^the column of weights holds -1.0; weights are 0 or more$"
    for max_memory in (None, "16MiB"):
        with pytest.raises(ValueError, match=message):
            train_on_table(
                tmp_path / "t.csv", target="cultivar", weights="w", max_memory=max_memory
            )
    share = pd.DataFrame({"a": np.arange(60.0), "y": np.arange(60) / 60})
    share.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(ValueError, match="class_weights are for classes, and this target holds"):
        train_on_table(tmp_path / "s.csv", target="y", class_weights="balanced")


def test_the_options_of_the_command(weighted, tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "neuron_xp", *words], cwd=tmp_path, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    words = ["train", "weighted.csv", "--target", "cultivar", "-o", "m", "--force"]
    found = run(*words, "--weights", "count", "--class-weights", "class_0=2,class_2=0.5")
    assert (found.returncode, found.stderr) == (0, "")
    expected = train_on_table(
        weighted, target="cultivar", weights="count", class_weights={"class_0": 2, "class_2": 0.5}
    )
    assert expected.network.fingerprint() in found.stdout
    assert run("verify", "m", "weighted.csv").returncode == 0
    pd.read_csv(weighted).assign(count=0).to_csv(tmp_path / "zero.csv", index=False)
    nothing = run(*words[:1], "zero.csv", *words[2:], "--weights", "count")
    assert nothing.stderr == (
        "neuron-xp: --weights is 0 for every example; give one that is above 0\n"
    )
    wrong = run(*words, "--class-weights", "2")
    assert wrong.returncode == 2
    assert "give balanced, or CLASS=NUMBER,...; got '2'" in wrong.stderr
