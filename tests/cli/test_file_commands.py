"""From a spreadsheet to a model, its predictions and its proof: the commands, as processes."""

import csv
import io
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neuron_xp
from neuron_xp.backends.backend import name_device
from neuron_xp.tables.columns import Columns

DATA = Path(__file__).parent.parent.parent / "examples" / "data"
CANCER, WINE = DATA / "breast_cancer.csv", DATA / "wine.csv"
EMPTY = Columns((), "", None, ())
pytestmark = pytest.mark.slow_on("jax")  # which compiles anew in each process


def command(*arguments, **options):
    line = [sys.executable, "-m", "neuron_xp", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, **options)


def done(*arguments, **options):
    run = command(*arguments, **options)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "cancer.safetensors"
    done("train", CANCER, "--target", "diagnosis", "-o", path, "--holdout", "0.2")
    return path


def test_train_reports_what_it_did(tmp_path):
    path = tmp_path / "wine.safetensors"
    text = done("train", WINE, "--target", "cultivar", "-o", path, "--holdout", "0.25")
    report = dict(line.split(None, 1) for line in text.splitlines() if not line.startswith("held"))
    assert report["rows"] == "134"
    assert report["features"] == "13"
    assert report["classes"] == "class_0, class_1, class_2"
    assert report["stopped"] == "converged: no slope above 1e-07"
    assert 10 < int(report["iterations"]) < int(report["evaluations"]) < 100
    assert "held out     44 rows, loss 0." in text
    assert 0.95 < float(report["accuracy"]) <= 1
    assert report["model"] == str(path)
    assert report["fingerprint"] == neuron_xp.NeuralNetwork.load(path).fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize(("table", "target", "least"), [(CANCER, "diagnosis", 0.96),
                                                        (WINE, "cultivar", 0.95)])  # fmt: skip
def test_the_defaults_do_well_on_ten_splits(tmp_path, table, target, least):
    accuracies = []
    for seed in range(1, 11):
        text = done(
            "train", table, "--target", target, "-o", tmp_path / f"{seed}",
            "--holdout", "0.2", "--seed", seed,
        )  # fmt: skip
        accuracies.append(float(re.search(r"accuracy +([0-9.]+)", text)[1]))
    assert statistics.median(accuracies) >= least


def test_predictions_are_in_the_tables_order(model, tmp_path):
    rows = list(csv.reader(io.StringIO(done("predict", model, CANCER))))
    assert rows[0] == ["probability of malignant", "diagnosis"]
    network = neuron_xp.NeuralNetwork.load(model)
    inputs = np.loadtxt(CANCER, delimiter=",", skiprows=1, usecols=range(30))
    assert [float(row[0]) for row in rows[1:]] == network.think(inputs)[:, 0].tolist()
    assert {row[1] for row in rows[1:]} == {"benign", "malignant"}
    out = tmp_path / "out.csv"
    assert done("predict", model, CANCER, "-o", out) == f"569 rows in {out}\n"
    assert list(csv.reader(io.StringIO(out.read_text()))) == rows
    assert done("predict", model, "-", "-o", "-", input=CANCER.read_text()) == out.read_text()


def test_evaluate_shows_what_is_confused(model):
    text = done("evaluate", model, CANCER)
    accuracy = float(re.search(r"accuracy +([0-9.]+)", text)[1])
    table = [line.split() for line in text.splitlines()[-2:]]
    right, all_ = int(table[0][1]) + int(table[1][2]), sum(int(n) for row in table for n in row[1:])
    assert all_ == 569
    assert accuracy == pytest.approx(right / all_, abs=1e-4)


def test_show_and_verify(model, library, tmp_path):
    shown = done("show", model)
    assert re.search(r"^layers +30-1$", shown, re.MULTILINE)
    assert re.search(r"^classes +benign, malignant$", shown, re.MULTILINE)
    place = ["--backend", library.name, "--device", name_device(library.device)]
    text = done("verify", model, CANCER, *place, "--json", tmp_path / "verdict.json")
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["trained_here"]["device"] == place[-1]
    assert text.endswith("verdict       the same bits\n")


def test_a_model_trained_anywhere_verifies_anywhere(library, tmp_path):
    trained = neuron_xp.train_on_table(
        WINE, target="cultivar", holdout=0.2, backend=library, iterations=20, hidden=(2,)
    )
    path = tmp_path / "wine.safetensors"
    trained.network.save(path)
    known = neuron_xp.NeuralNetwork.load(path)
    there, here = (neuron_xp.verify(known, WINE, backend=b) for b in (library, "numpy"))
    assert there.same_data
    assert there.same_bits
    assert known.fingerprint() == there.network.fingerprint() == here.network.fingerprint()


def test_verify_tells_other_data(model, tmp_path):
    lines = CANCER.read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[0], "11.5", 1)
    other = tmp_path / "other.csv"
    other.write_text("\n".join(lines))
    run = command("verify", model, other)
    assert run.returncode == 1
    assert "OTHER than those it was trained on" in run.stdout


WRONG = {
    "no target": (["train", CANCER, "-o", "m"], "Missing option '--target'."),
    "target": (["train", CANCER, "--target", "diagnosys", "-o", "m"], "did you mean 'diagnosis'?"),
    "no file": (["train", "no.csv", "--target", "a", "-o", "m"], "'no.csv' does not exist"),
    "kind": (["train", __file__, "--target", "a", "-o", "m"], "unknown kind of table '.py'"),
    "folder": (["train", CANCER, "--target", "diagnosis", "-o", "no/m"], "no folder 'no'"),
    "rate": (["train", CANCER, "--target", "x", "-o", "m", "--learning-rate", "fast"], "'fast' is"),
    "rule": (["train", CANCER, "--target", "x", "-o", "m", "--rule", "x"], "'x' is not one of"),
    "backend": (["verify", CANCER, CANCER, "--backend", "nmpy"], "is not a model file"),
    "no model": (["show", CANCER], "is not a model file, or is damaged"),
    "resume": (["train", WINE, "--target", "cultivar", "-o", "m", "--resume"], "resume needs to"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_gets_one_line_and_leaves_nothing(tmp_path, name):
    arguments, words = WRONG[name]
    run = command(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert words in run.stderr
    assert run.stderr.startswith("neuron-xp: ")
    assert run.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_forced(tmp_path):
    path = tmp_path / "m"
    path.write_text("mine")
    line = ["train", WINE, "--target", "cultivar", "-o", path]
    run = command(*line)
    assert run.returncode == 2
    assert "is there already; give --force to replace it" in run.stderr
    assert path.read_text() == "mine"
    done(*line, "--force")
    assert neuron_xp.NeuralNetwork.load(path)


def test_columns_are_matched_by_name_and_differences_are_said(model, tmp_path):
    rows = list(csv.reader(io.StringIO(CANCER.read_text())))
    turned = tmp_path / "turned.csv"
    with turned.open("w", newline="") as file:
        csv.writer(file).writerows([*row[::-1], i] for i, row in enumerate(rows))
    run = command("predict", model, turned)
    assert run.returncode == 0
    assert run.stdout == done("predict", model, CANCER)
    assert "neuron-xp: turned.csv: the model does not use '0'" in run.stderr
    assert "columns in another order than the model's, matched by name" in run.stderr
    with turned.open("w", newline="") as file:
        csv.writer(file).writerows(row[1:] for row in rows)
    run = command("predict", model, turned)
    assert (run.returncode, run.stdout) == (2, "")
    assert "no column 'mean radius'" in run.stderr


LONG = ["train", CANCER, "--target", "diagnosis", "--optimizer", "gradient_descent",
        "--iterations", "6000"]  # fmt: skip


def start(folder, *more):
    line = [sys.executable, "-m", "neuron_xp", *map(str, LONG), "-o", str(folder / "model"),
            "--checkpoint", str(folder / "run"), "--checkpoint-every", "5", *more]  # fmt: skip
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    done(*LONG, "-o", folder / "model")
    return (folder / "model").read_bytes()


def written(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # not yet, or just being replaced
        return 0


def wait_for(path, since=0):
    """Until it is written, or written again."""
    deadline = time.monotonic() + 60
    while written(path) <= since:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_say_how_to_go_on(tmp_path, uninterrupted, number, status):
    process = start(tmp_path)
    wait_for(tmp_path / "run")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors == (
        "neuron-xp: stopped; a run with --checkpoint goes on by the same command with --resume\n"
    )
    assert not (tmp_path / "model").exists()
    done(*LONG, "-o", tmp_path / "model", "--checkpoint", tmp_path / "run", "--resume")
    assert (tmp_path / "model").read_bytes() == uninterrupted


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_ten_kills_of_the_command(tmp_path, uninterrupted):
    chance = random.Random(2)
    for i in range(10):
        before = written(tmp_path / "run")
        process = start(tmp_path, *(["--resume"] if i else []))
        wait_for(tmp_path / "run", before)
        time.sleep(chance.random() * 0.4)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        if i == 4:  # and then from the start again
            for left in tmp_path.iterdir():
                left.unlink()
    words = "--checkpoint", tmp_path / "run", "--resume", "--backend", "array_api_strict", "--force"
    done(*LONG, "-o", tmp_path / "model", *words)  # one may have been killed when it was done
    assert (tmp_path / "model").read_bytes() == uninterrupted


cells = st.floats(-1e6, 1e6, allow_subnormal=False)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.tuples(st.lists(cells, min_size=width, max_size=width), st.sampled_from("ab c")),
        min_size=2, max_size=20,
    )
).filter(lambda rows: len({word for _, word in rows}) > 1)  # fmt: skip


@settings(deadline=None, max_examples=25, derandomize=True,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(rows=tables)
def test_any_table_is_trained_on_saved_loaded_and_predicted(tmp_path, rows):
    file, path = tmp_path / "table.csv", tmp_path / "model"
    with file.open("w", newline="", encoding="utf-8") as stream:
        names = [f"c{i}" for i in range(len(rows[0][0]))]
        words = {"a": "yes", "b": "no", " ": "may, be", "c": 'so "so"'}
        writer = csv.writer(stream)
        writer.writerows([[*names, "target"], *([*map(repr, x), words[y]] for x, y in rows)])
    network = neuron_xp.train_on_table(file, target="target", iterations=3).network
    network.save(path)
    loaded = neuron_xp.NeuralNetwork.load(path)
    found = neuron_xp.predict(loaded, file)
    assert found.outputs.tobytes() == network.think([x for x, _ in rows]).tobytes()
    assert set(found.classes) <= {words[y] for _, y in rows}
    assert neuron_xp.verify(loaded, file).same_data


def test_a_model_may_go_to_stdout(tmp_path):
    line = [sys.executable, "-m", "neuron_xp", "train", str(WINE), "--target", "cultivar"]
    run = subprocess.run([*line, "-o", "-"], capture_output=True, check=True, cwd=tmp_path)
    done(*line[3:], "-o", tmp_path / "model")
    assert run.stdout == (tmp_path / "model").read_bytes()
    assert b"fingerprint" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_constant_column_is_said(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n1,7,no\n2,7,yes\n3,7,yes\n")
    run = command("train", table, "--target", "y", "-o", tmp_path / "m")
    words = "neuron-xp: table.csv: column 'b' is the same in each row, and tells nothing\n"
    assert (run.returncode, run.stderr) == (0, words)
