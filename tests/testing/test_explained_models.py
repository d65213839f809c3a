"""What differs between two model files, and the command that says so."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neuron_xp
from neuron_xp.testing.explaining.models import explain_models

DATA = [[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], [0, 1, 1, 0]
TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"


def save(folder, name, **settings):
    path = folder / name
    neuron_xp.train(*DATA, iterations=50, hidden=(3,), bias=True, **settings).save(path)
    return path


def command(*arguments, folder=None):
    line = [sys.executable, "-m", "neuron_xp", "explain", *map(str, arguments)]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def test_models_of_the_same_bits_do_not_part(tmp_path):
    a, b = save(tmp_path, "a"), save(tmp_path, "b", backend="array_api_strict")
    found = explain_models(a, b)
    assert not found.parts
    assert found.settings == ()
    assert found.numbers == 3 * 3 + 3 + 3 + 1
    assert str(found).startswith("the models do not part: 16 numbers are the same bits")


def test_the_first_part_that_differs_is_named(tmp_path):
    a, b = save(tmp_path, "a"), tmp_path / "b"
    network = neuron_xp.NeuralNetwork.load(a)
    weights = network.weights[1].copy()
    weights[2, 0] = np.nextafter(weights[2, 0], np.inf)
    neuron_xp.NeuralNetwork(
        weights=(network.weights[0], weights), biases=network.biases, backend=network.backend,
        settings=network.settings,
    ).save(b)  # fmt: skip
    (difference,) = explain_models(a, b).arrays
    assert difference.name == "weights of layer 2"
    assert (difference.index, difference.ulp, difference.differing) == ((2, 0), 1, 1)
    assert difference.spelled[1].startswith(float(weights[2, 0]).hex())


def test_settings_that_differ_are_listed(tmp_path):
    a, b = save(tmp_path, "a"), save(tmp_path, "b", l2=0.5)
    found = explain_models(a, b)
    assert found.settings == (("l2", "0.0", "0.5"),)
    assert [difference.name for difference in found.arrays] == [
        "weights of layer 1", "biases of layer 1", "weights of layer 2", "biases of layer 2",
    ]  # fmt: skip
    c = tmp_path / "c"
    neuron_xp.train(*DATA, iterations=50, hidden=(2,)).save(c)
    shapes = explain_models(a, c).arrays
    assert shapes[0].spelled == ("float64, (3, 3)", "float64, (3, 2)")
    assert shapes[1].spelled == ("float64, (3,)", "none")


def test_the_command_compares_models(tmp_path):
    save(tmp_path, "a.model")
    save(tmp_path, "b.model", l2=0.5)
    run = command("a.model", "b.model", folder=tmp_path)
    assert (run.returncode, run.stderr) == (1, "")
    assert "the models part, first in the weights of layer 1" in run.stdout
    assert "setting    l2: 0.0 and 0.5" in run.stdout
    run = command("a.model", "a.model", folder=tmp_path)
    assert run.returncode == 0
    assert "do not part" in run.stdout


def test_the_command_says_that_reproducible_runs_do_not_part():
    run = command("--backend", "array_api_strict", "--rows", 200, "--features", 3, "--hidden", 2)
    assert (run.returncode, run.stderr) == (0, "")
    first, second = run.stdout.splitlines()
    assert first == "numpy and array_api_strict do not part"
    assert second.startswith("compared  ")
    assert second.endswith("and what each of 10 iterations gave")


def test_the_command_explains_a_table():
    pytest.importorskip("torch")
    line = [TABLE, "--target", "cultivar", "--arithmetic", "native"]
    run = command(*line, "--backend", "torch:cpu", "--against", "numpy")
    assert (run.returncode, run.stderr) == (1, "")
    lines = run.stdout.splitlines()
    said = dict(line.split(None, 1) for line in reversed(lines))  # the first of a name counts
    assert run.stdout.startswith("numpy and torch part in the preparation")
    assert said["why"] == "order of the sum"
    assert float.fromhex(said["torch"].split()[0]) == float(said["torch"].split()[1])
    run = command(*line, "--hidden", "3", "--backend", "array_api_strict", "--iterations", 3)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([TABLE], "a table needs --target, the column to learn"),
        (["a", "b", "c"], "give no file, a table, or two models; got 3 files"),
        (["--backend", "tosch"], "unknown backend 'tosch'; did you mean 'torch'?"),
        (["--backend", "numpy:tpu"], "cannot be used on device 'tpu'"),
        (["--rows", "0"], "rows must be a whole number from 1"),
        (["--hidden", "0"], "give sizes of layers"),
        (["--iterations", "-1"], "iterations must be a whole number"),
        ([TABLE, "--target", "colour"], "no target 'colour'; choose from "),
        (["no.model", "other.model"], "'no.model': No such file or directory"),
        ([TABLE, TABLE], "is not a model file"),
    ],
)
def test_a_mistake_is_answered_in_a_line(arguments, words):
    run = command(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert words in run.stderr
    assert run.stderr.startswith("neuron-xp: ")
    assert run.stderr.count("\n") == 1


def test_a_table_with_words_is_read_as_the_advice_says(tmp_path):
    (tmp_path / "rent.csv").write_text("city,rooms,late\nBern,2,yes\nZug,3,no\nZug,1,yes\n")
    words = "rent.csv", "--target", "late", "--backend", "array_api_strict"
    run = command(*words, folder=tmp_path)
    assert run.returncode == 2
    assert run.stderr.endswith("if the column holds categories type --categories city\n")
    run = command(*words, "--categories", "city", folder=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith("numpy and array_api_strict do not part\n")
