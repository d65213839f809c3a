"""Model files that nobody saved: one line at load, or a model with which everything can be done."""

import csv
import random
from contextlib import suppress
from dataclasses import asdict

import damaged_models
import numpy as np
import pytest
from mutations import count_cases

import neuron_xp
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.cli import on_models
from neuron_xp.errors import ignore_learning
from neuron_xp.model import model_file as model_files
from neuron_xp.model.network import NeuralNetwork

COUNT, GROUPS = count_cases(default=5_000, large=1_000_000), 10
MOST_ITERATIONS = 100
"""Of a training that is done again."""


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_mutated_model_is_refused_in_a_line_or_can_be_used(tmp_path, group):
    chance, accepted = random.Random(group), 0
    for number in range(COUNT // GROUPS):
        name, content = damaged_models.mutate(chance)
        try:
            accepted += examine(name, content, tmp_path, thorough=number % 10 == 0)
        except BaseException as error:
            kept = tmp_path / "found.safetensors"
            kept.write_bytes(content)
            raise AssertionError(f"group {group}, number {number}, kept as {kept}") from error
    assert accepted > COUNT // GROUPS // 100, "some make sense"


def put(*path):
    """A change of fields: the value at the end goes to where the names before it lead."""
    *names, last, value = path

    def change(fields, arrays):
        for name in names:
            fields = fields[name]
        fields[last] = value(fields[last]) if callable(value) else value

    return change


def put_array(name, value):
    return lambda fields, arrays: arrays.__setitem__(name, value(arrays[name]))


NO_MEMORY = "arrays that its optimizer does not go on from"
SENSELESS = {
    "a loss beyond float64": ("lbfgs", put("position", "history", 0, 1, "0x1p99999"), "hexadec"),
    "too many iterations": ("lbfgs", put("position", "iteration", 10**40), "more iterations than"),
    "records out of order": ("lbfgs", put("position", "history", lambda x: x[::-1]), "a history"),
    "evaluations of Adam": ("adam", put("position", "evaluations", 3), "a history that is not of"),
    "no position": ("adam", put("position", None), NO_MEMORY),
    "a square below 0": ("adam", put_array("memory.square", lambda x: -1 - x), NO_MEMORY),
    "a mean of float64": ("single", put_array("memory.mean", lambda x: x + np.zeros(1)), NO_MEMORY),
    "too few means": ("adam", put_array("memory.mean", lambda x: x[1:]), NO_MEMORY),
    "no curvature": ("lbfgs", put_array("memory.step_products", lambda x: 0 * x), NO_MEMORY),
    "steps of more numbers": ("lbfgs", put_array("memory.steps", lambda x: x[:, 1:]), NO_MEMORY),
    "half an iteration": ("lbfgs", put_array("memory.marks", lambda x: x + 0.5), NO_MEMORY),
    "a memory that is none": ("lbfgs", lambda f, a: a.pop("memory.steps"), NO_MEMORY),
    "a softmax of one": ("words", put("settings", "rule", "softmax_cross_entropy"), "softmax"),
    "an empty table": ("numbers", put("table", {}), "is not a model file, or is damaged"),
    "other classes": ("numbers", put("table", "columns", "classes", ["a", "b"]), "classes that"),
    "equal classes": ("words", put("table", "columns", "classes", ["a", "a"]), "has classes that"),
    "other features": ("numbers", put("table", "columns", "features", ["a"]), "has columns that"),
    "a number as a name": ("words", put("table", "columns", "target", 3), "targets that"),
    "half a character": ("words", put("table", "columns", "target", "\ud800"), "targets that"),
    "a category of no word": ("words", put("table", "columns", "categories", 0, 1, []), "categor"),
    "a weighted target": ("weighted", put("table", "weights", "colour"), "has weights of rows"),
    "a weight of no class": ("words", put("table", "class_weights", [["x", 1.0]]), "of classes"),
    "a header that is a number": ("bare", put("table", "reading", "header", 0), "header must be"),
    "a header that needs no saying": ("bare", put("table", "reading", "header", True), "was n"),
    "no header in an old format": ("bare", put("format_version", 2), "was not written by neuron"),
    "all held out": ("numbers", put("table", "holdout", 1.0), "has shares held out that"),
    "no rows": ("numbers", put("table", "rows", 0), "its table has rows that no training of it"),
    "more digests": ("numbers", put("table", "groups", lambda x: x * 2), "has digests that"),
    "more held out": ("numbers", put("table", "held_out", "rows", 10**30), "rows held out that"),
    "another loss": ("numbers", put("table", "held_out", "loss", "1.5"), "rows held out that"),
    "a long word": ("plain", put("settings", "rule", "x\x1b" * 10**5), "unknown rule 'x.x1bx.x1bx"),
}  # fmt: skip


@pytest.mark.parametrize("name", SENSELESS)
def test_what_is_signed_and_senseless_is_refused_in_a_line(name):
    file, change, words = SENSELESS[name]
    _, fields, arrays = damaged_models.split(damaged_models.real_files()[file])
    change(fields, arrays)
    with pytest.raises(neuron_xp.ModelFileError, match=words) as raised:
        model_files.from_bytes(damaged_models.sign(fields, arrays), "model")
    check_line(raised.value, start="model")


def test_what_a_training_makes_infinite_can_be_loaded(tmp_path):
    """The square of a large gradient, and a loss on rows far beyond those that were learned."""
    data = [[1e200, 1.0], [-1e200, 2.0]], [1, 0]
    settings = {"optimizer": "adam", "iterations": 2, "checkpoint": tmp_path / "run"}
    neuron_xp.train(*data, **settings)
    again = neuron_xp.train(*data, **{**settings, "iterations": 4}, resume=True)
    assert again.ending.iterations == 4
    assert model_files.from_bytes((tmp_path / "run").read_bytes(), "run").memory["square"].max() > 1
    rows = [f"0.{i},0.0{i},{'ab'[i % 2]}" for i in range(1, 10)]
    losses = set()
    for far in range(len(rows)):
        path = tmp_path / "table.csv"
        text = [*rows[:far], "1e308,-1e308,a", *rows[far + 1 :]]
        path.write_text("\n".join(["x,y,kind", *text]))
        with suppress(ValueError):  # such a row cannot be standardized
            network = neuron_xp.train_on_table(path, target="kind", holdout=0.4).network
            loaded = model_files.from_bytes(network.to_bytes(), "model")
            assert loaded.table == network.table
            losses.add(loaded.table.held_out.loss)
    assert "nan" in losses


def examine(name, content, folder, *, thorough):
    """Whether the file is accepted; then it is used in every way."""
    try:
        model = model_files.from_bytes(content, "model")
    except neuron_xp.ModelFileError as error:
        check_line(error, start="model")
        return False
    assert model_files.to_bytes(model) == content
    path = folder / "model.safetensors"
    path.write_bytes(content)
    shown = on_models.show.callback(path).text
    assert all(line.isprintable() for line in shown.split("\n"))
    network = NeuralNetwork.from_model(model, open_host_backend())
    assert network.fingerprint()[:12] in repr(network)
    assert "NeuralNetwork" in network._repr_html_()
    with np.errstate(all="ignore"):
        assert len(network.think(np.zeros((2, network.layer_sizes[0])))) == 2
        if network.table is not None:
            use_table(network, folder, thorough=thorough)
        elif thorough and model.position and model.settings.iterations <= MOST_ITERATIONS:
            go_on(name, model, path)
    return True


def check_line(error, *, start="", words=("",)):
    line = str(error)
    assert len(line) <= 300
    assert line.isprintable()
    assert line.startswith(start)
    assert any(word in line for word in words)


def use_table(network, folder, *, thorough):
    """Predict, evaluate and verify on a table that has the model's columns."""
    path = write_table(folder / "table.csv", network.table)
    jobs = [neuron_xp.predict, neuron_xp.evaluate]
    if thorough and network.settings.iterations <= MOST_ITERATIONS:
        jobs.append(neuron_xp.verify)
    for job in jobs:
        try:
            job(network, path)
        except (neuron_xp.TableError, neuron_xp.TrainingDivergedError) as error:
            check_line(error)  # a name that no CSV can hold, a rate that is too high
        except ValueError as error:  # two rows are few, of one target
            check_line(error, words=("holdout", "class_weights", "batch", "of targets"))


def write_table(path, use):
    """A table of two rows with the columns of a model."""
    columns, words = use.columns, dict(use.columns.categories)
    row = [words[name][0] if name in words else "1" for name in columns.features]
    names, row = [*columns.features, columns.target], [*row, (columns.classes or ["0"])[0]]
    if use.weights is not None:
        names, row = [*names, use.weights], [*row, "1"]
    reading = use.reading
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=reading.delimiter or ",")
        writer.writerows([names, row, row])
    return path


def go_on(name, model, path):
    """Resume a checkpoint, and train again, as with settings and data that fit."""
    if name not in damaged_models.CHECKPOINTS:
        return
    data, settings = damaged_models.examples(name), asdict(model.settings)
    jobs = (
        lambda: neuron_xp.train(*data, **settings, checkpoint=path, resume=True),
        lambda: neuron_xp.verify(NeuralNetwork.from_model(model, open_host_backend()), *data),
    )
    for job in jobs:
        try:
            with ignore_learning():
                job()
        except (neuron_xp.TrainingDivergedError, ValueError) as error:
            check_line(error)
    for left in path.parent.glob("model.safetensors?*"):
        left.unlink()
