"""The commands on tables that are never whole in memory, as processes."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from table_files import sample, temporary_folder, write

from neuron_xp import evaluate
from neuron_xp.backends.backend import name_device
from neuron_xp.cli.app import commands
from neuron_xp.model.network import NeuralNetwork

LITTLE = ["--max-memory", "16MiB"]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    yield from temporary_folder(tmp_path, monkeypatch)


def command(*arguments):
    line = [sys.executable, "-m", "neuron_xp", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def said(*arguments):
    run = command(*arguments)
    assert run.returncode == 0, run.stderr
    return run.stdout.replace("-little", ""), run.stderr


def test_the_commands_with_little_memory(tmp_path, temporary):
    columns, _ = sample(".parquet", rows=2000)
    columns = {name: np.nan_to_num(x) if name in ("length", "width") else x
               for name, x in columns.items()}  # fmt: skip
    for i in range(2):
        part = {name: values[1000 * i : 1000 * (i + 1)] for name, values in columns.items()}
        write(tmp_path / "parts" / f"part-{i}.parquet", part)
    folder, pattern = tmp_path / "parts", tmp_path / "parts" / "*.parquet"
    line = ["--target", "kind", "--categories", "colour", "--holdout", "0.25"]
    text, notes = said("train", folder, *line, "-o", tmp_path / "model")
    little, said_too = said("train", pattern, *line, "-o", tmp_path / "model-little", *LITTLE)
    model = tmp_path / "model"
    assert (tmp_path / "model-little").read_bytes() == model.read_bytes()
    assert without_seconds(little) == without_seconds(text)
    words = "column 'one' is the same in each row, and tells nothing\n"
    assert (notes, said_too) == (f"neuron-xp: parts: {words}", f"neuron-xp: *.parquet: {words}")
    assert said("evaluate", model, folder, *LITTLE) == said("evaluate", model, folder)
    assert said("verify", model, folder, *LITTLE) == said("verify", model, folder)
    assert said("predict", model, folder, "-o", tmp_path / "answers-little.csv", *LITTLE) == said(
        "predict", model, folder, "-o", tmp_path / "answers.csv"
    )
    answers = (tmp_path / "answers.csv").read_text()
    assert (tmp_path / "answers-little.csv").read_text() == answers
    assert said("predict", model, pattern) == (answers, "")
    assert answers.count("\n") == 2001


def without_seconds(text):
    return [line for line in text.splitlines() if not line.startswith("seconds")]


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (
            "much",
            "--max-memory must be a number of bytes or text such as '500MB' or '2GiB'; got 'm",
        ),
        ("5", "--max-memory must be a whole number from 16777216; got 5"),
    ],
)
def test_sizes_of_memory(memory, words):
    line = ["train", "data.csv", "--target", "y", "-o", "m", "--max-memory", memory]
    result = CliRunner().invoke(commands, line)
    assert words in str(result.exception)


def test_predictions_on_stdout_need_memory(tmp_path, temporary):
    path = write(tmp_path / "data.csv", {"x": [1, 2], "kind": ["a", "b"]})
    said("train", path, "--target", "kind", "-o", tmp_path / "model")
    path.write_text("x\n1\n\n2\n,\n".replace(",", '""'))
    run = command("predict", tmp_path / "model", tmp_path / "data.csv", *LITTLE)
    assert (run.returncode, run.stdout) == (2, "")
    words = "--max-memory holds no answers for stdout; give a file: -o answers.csv"
    assert run.stderr == f"neuron-xp: {words}\n"
    answers = tmp_path / "answers.csv"
    run = command("predict", tmp_path / "model", tmp_path / "data.csv", "-o", answers, *LITTLE)
    assert "missing cell" in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "model", "temporary"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_working_copy(tmp_path, temporary, number):
    columns, _ = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    line = ["train", path, "--target", "kind", "--categories", "colour", "--drop-missing", "-o",
            tmp_path / "model", "--optimizer", "gradient_descent", "--iterations", "100000000",
            *LITTLE]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "neuron_xp", *map(str, line)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(temporary.glob("*/training-targets.npy")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(1)  # into training
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.startswith("neuron-xp: stopped; ")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow_on("jax")
def test_scores_of_files_on_every_library(tmp_path, temporary, library):
    columns, _ = sample(".csv", rows=300)
    write(tmp_path / "t.csv", columns)
    place = ["--backend", library.name, "--device", name_device(library.device)]
    line = ["train", tmp_path / "t.csv", "--target", "kind", "--categories", "colour",
            "--drop-missing", "--iterations", "3", "--holdout", "0.25"]  # fmt: skip
    runner = CliRunner()
    for name, options in (("model", []), ("little", [*place, *LITTLE])):
        words = [str(word) for word in (*line, "-o", tmp_path / name, *options)]
        run = runner.invoke(commands, words, catch_exceptions=False)
        assert run.exit_code == 0, run.output
    assert (tmp_path / "little").read_bytes() == (tmp_path / "model").read_bytes()
    network = NeuralNetwork.load(tmp_path / "model", backend=library)
    known = evaluate(NeuralNetwork.load(tmp_path / "model"), tmp_path / "t.csv")
    found = evaluate(network, tmp_path / "t.csv", max_memory=2**24)
    assert (found.loss, found.accuracy) == (known.loss, known.accuracy)
