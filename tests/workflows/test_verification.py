"""Verification: what a fingerprint of the data and of the model proves, and what may change."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neuron_xp
from neuron_xp import train_on_table, verify
from neuron_xp.model.fingerprint import mix_rows

CANCER = Path(__file__).parents[2] / "examples" / "data" / "breast_cancer.csv"


def command(*words, folder):
    return subprocess.run(
        [sys.executable, "-m", "neuron_xp", *map(str, words)], cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    return train_on_table(CANCER, target="diagnosis", holdout=0.2)


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(CANCER)


def written(frame, path, **more):
    frame.to_csv(path, index=False, **more)
    return path


# --- what may change, and what may not ---------------------------------------------------


@pytest.mark.parametrize("change", [
    lambda frame, path: written(frame[frame.columns[::-1]], path),
    lambda frame, path: written(frame, path, lineterminator="\r\n"),
    lambda frame, path: written(frame.assign(more=1), path),
    lambda frame, path: frame.to_csv(path, index=False, float_format="%.17e") or path,
    lambda frame, path: frame.to_parquet(path.with_suffix(".parquet"))
    or path.with_suffix(".parquet"),
], ids=["column order", "line ends", "more columns", "number format", "kind of file"])  # fmt: skip
def test_the_same_numbers_are_the_same_data(trained, frame, tmp_path, change):
    path = change(frame, tmp_path / "table.csv")
    found = verify(trained.network, path)
    assert (found.same_data, found.same_bits, found.same_score) == (True, True, True)
    assert found.is_same
    assert found.differences == ()


def in_training(trained, frame, held_out):
    """Return the number of a row that was trained on, or held out."""
    from neuron_xp.model.table_use import split_rows

    rows = split_rows(len(frame), trained.network.table)
    return rows[1 if held_out else 0][3]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda t, f: f[::-1], "the rows are the same, in another order"),
        (lambda t, f: f[:-1], "454 rows to train on, where the model had 455"),
        (lambda t, f: f[:500], "400 rows to train on, where the model had 455"),
        (lambda t, f: changed(f, in_training(t, f, held_out=False)), "455 rows to train on, as"),
        (lambda t, f: changed(f, in_training(t, f, held_out=True)),
         "the 114 rows that were held out have other values"),
    ],
    ids=["row order", "a row less", "fewer rows", "a cell", "a cell that was held out"],
)  # fmt: skip
def test_other_data_are_said_before_training(trained, frame, tmp_path, change, difference):
    calls = []
    path = written(change(trained, frame), tmp_path / "table.csv")
    found = verify(trained.network, path, on_progress=calls.append)
    assert (found.network, found.same_data, found.same_bits) == (None, False, False)
    assert found.differences[0].startswith(difference)
    assert calls == []
    assert not found.is_same


def changed(frame, row):
    other = frame.copy()
    other.iloc[row, 4] = np.nextafter(other.iloc[row, 4], 1)
    return other


@pytest.mark.parametrize("row", [0, 5, 300, 568])
@pytest.mark.parametrize("more", [{}, {"max_memory": "32MB"}])
def test_the_first_row_that_differs_is_found(frame, tmp_path, row, more):
    trained = train_on_table(CANCER, target="diagnosis")
    found = verify(trained.network, written(changed(frame, row), tmp_path / "table.csv"), **more)
    (difference,) = found.differences
    first, last = map(int, re.findall(r"rows (\d+) to (\d+) of the table$", difference)[0])
    assert first <= row + 1 <= last < first + 64


def test_long_tables_keep_no_digests_of_groups(tmp_path):
    rows = 64 * 256 + 1
    table = pd.DataFrame({"a": np.arange(rows) % 7 / 7, "y": np.arange(rows) % 2})
    table.to_csv(tmp_path / "t.csv", index=False)
    table[:-1].to_csv(tmp_path / "s.csv", index=False)
    for name, count in (("t.csv", None), ("s.csv", 256)):
        whole = train_on_table(tmp_path / name, target="y", iterations=1).network
        streamed = train_on_table(tmp_path / name, target="y", iterations=1, max_memory="16MiB")
        assert whole.to_bytes() == streamed.network.to_bytes()
        assert (whole.table.groups and len(whole.table.groups)) == count


def test_streamed_and_whole_tables_keep_the_same_record(trained, tmp_path):
    streamed = train_on_table(CANCER, target="diagnosis", holdout=0.2, max_memory="32MB")
    assert streamed.network.to_bytes() == trained.network.to_bytes()
    assert verify(trained.network, CANCER, max_memory="32MB").is_same


def test_a_score_that_was_forged_is_seen(trained):
    from dataclasses import replace

    use = trained.network.table
    better = replace(use.held_out, loss=(0.01).hex(), accuracy=1.0)
    forged = replace(trained.network, table=replace(use, held_out=better))
    found = verify(forged, CANCER)
    assert (found.same_data, found.same_bits, found.same_score) == (True, True, False)
    assert found.differences[0].endswith("where the model had 0.01")
    assert not found.is_same


def test_weights_that_were_changed_are_seen(trained):
    from dataclasses import replace

    weights = trained.network.weights[0].copy()
    weights[3] = np.nextafter(weights[3], 9)
    found = verify(replace(trained.network, weights=(weights,)), CANCER)
    assert (found.same_data, found.same_bits) == (True, False)
    assert found.differences[0] == "the same data and settings led to other bits"


def test_rows_in_any_order_mix_to_the_same():
    table, targets = np.random.RandomState(0).standard_normal((2, 500, 3))
    order = np.random.RandomState(1).permutation(500)
    assert mix_rows(table, targets) == mix_rows(table[order], targets[order])
    parts = mix_rows(table[:100], targets[:100]) + mix_rows(table[100:], targets[100:])
    assert mix_rows(table, targets) == parts % 2**64
    assert mix_rows(table, targets) != mix_rows(table, targets[order])
    assert mix_rows(table, targets) != mix_rows(table[:, ::-1], targets)
    assert mix_rows(np.zeros((3, 1))) != mix_rows(np.zeros((2, 1)))
    zeros = np.zeros((2, 1))
    assert mix_rows(zeros) == mix_rows(-zeros)


# --- models that were trained in Python ----------------------------------------------------


def data():
    generator = np.random.RandomState(2)
    inputs = generator.standard_normal((90, 3))
    return inputs, (inputs[:, 0] > 0) * 1.0, generator.randint(1, 4, 90)


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x.tolist(), pd.DataFrame])
def test_arrays_are_verified(make, tmp_path, library):
    inputs, targets, weight = data()
    settings = {"optimizer": "lbfgs", "l2": 1.0, "standardize": True}
    network = neuron_xp.train(inputs, targets, sample_weight=weight, **settings)
    network.save(tmp_path / "model.safetensors")
    loaded = neuron_xp.NeuralNetwork.load(tmp_path / "model.safetensors")
    found = verify(loaded, make(inputs), targets, sample_weight=weight, backend=library)
    assert (found.same_data, found.same_bits, found.is_same) == (None, True, True)
    assert found.network.backend == library
    other = verify(loaded, make(inputs), targets)
    assert (other.same_data, other.same_bits, other.is_same) == (None, False, False)


def test_a_network_that_knows_its_data_compares_them_first(tmp_path):
    inputs, targets, _ = data()
    network = neuron_xp.train(inputs, targets, checkpoint=tmp_path / "run.safetensors")
    assert verify(network, inputs, targets).same_data is True
    found = verify(network, inputs, 1 - targets)
    assert (found.network, found.same_data) == (None, False)
    assert found.differences == ("the data are other ones",)
    narrow = verify(network, inputs[:, :2], targets)
    assert narrow.differences == ("2 features and 1 targets, where the model had 3 and 1",)


def test_files_are_verified(tmp_path):
    inputs, targets, _ = data()
    paths = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(paths[0], inputs)
    np.save(paths[1], targets)
    network = neuron_xp.train(inputs, targets, checkpoint=tmp_path / "run.safetensors")
    assert verify(network, *paths).is_same


def test_the_wrong_kind_of_data_is_said(trained, tmp_path):
    inputs, targets, _ = data()
    with pytest.raises(ValueError, match="trained on a table: give its path alone"):
        verify(trained.network, inputs, targets)
    with pytest.raises(TypeError, match="targets are missing; give verify"):
        verify(trained.network, inputs)
    with pytest.raises(ValueError, match="does not know its columns; give inputs and targets"):
        verify(neuron_xp.train(), CANCER)


# --- the command --------------------------------------------------------------------------


def test_records_of_two_machines_are_compared_by_diff(trained, tmp_path):
    trained.network.save(tmp_path / "model")
    for name, more in (("a.json", []), ("b.json", []), ("c.json", ["--date"])):
        run = command("verify", "model", CANCER, "--json", name, *more, folder=tmp_path)
        assert (run.returncode, run.stderr) == (0, "")
    first = (tmp_path / "a.json").read_text("utf-8")
    assert first == (tmp_path / "b.json").read_text("utf-8")
    record = json.loads(first)
    assert list(record) == sorted(record)
    assert record["verdict"] == "the same"
    assert record["fingerprints"]["model"] == trained.network.fingerprint()
    assert record["fingerprints"]["trained_here"] == trained.network.fingerprint()
    assert record["fingerprints"]["data"] == trained.network.data_fingerprint
    assert float.fromhex(record["held_out"]["loss"]) == trained.held_out.loss
    assert (record["contract_version"], record["format_version"]) == (1, 3)
    dated = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert dated.pop("date").startswith("20")
    assert dated == record
    assert (
        "score               114 rows held out, loss 0.129523, accuracy 0.9737"
        in command("show", "model", folder=tmp_path).stdout
    )


def test_other_data_are_a_verdict_too(trained, frame, tmp_path):
    trained.network.save(tmp_path / "model")
    written(frame[::-1], tmp_path / "other.csv")
    run = command("verify", "model", "other.csv", "--json", "v.json", folder=tmp_path)
    assert run.returncode == 1
    assert "difference   the rows are the same, in another order\n" in run.stdout
    record = json.loads((tmp_path / "v.json").read_text("utf-8"))
    assert (record["verdict"], record["same_data"]) == ("different", False)
    assert record["fingerprints"]["trained_here"] is None
