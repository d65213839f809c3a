"""What the table workflows refuse of their keywords, in a line."""

import re

import numpy as np
import pytest

import neuron_xp

TABLE = "examples/data/wine.csv"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"categories": "ash"}, TypeError,
         "categories must be a list of names; got 'ash': give categories=['ash']"),
        ({"features": "ash"}, TypeError, "features must be a list of names; got 'ash'"),
        ({"iteratons": 3}, TypeError, "of train_on_table(); did you mean 'iterations'?"),
        ({"holdouts": 0.2}, TypeError, "of train_on_table(); did you mean 'holdout'?"),
        ({"class_weight": "balanced"}, TypeError, "did you mean 'class_weights'?"),
        ({"sample_weight": [1]}, TypeError, "'sample_weight' of train_on_table(); give weights"),
        ({"holdout": 1.5}, ValueError, "holdout must be a share of the rows, below 1; got 1.5"),
        ({"holdout": -0.1}, ValueError, "holdout must be a finite number 0 or more; got -0.1"),
        ({"target": None}, ValueError, "which column is the target? give target=NAME"),
        ({"max_memory": 1}, ValueError, "max_memory must be a whole number from 16777216; got 1"),
        ({"threads": 0}, ValueError, "threads must be a whole number from 1 to 1024; got 0"),
        ({"resume": True}, ValueError, "resume needs to know the file"),
    ],
)  # fmt: skip
def test_keywords_that_make_no_sense(given, error, message, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    with pytest.raises(error, match=re.escape(message)):
        neuron_xp.train_on_table(TABLE, **{"target": "cultivar", **given})


def test_the_settings_of_a_table_are_those_of_the_command(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    trained = neuron_xp.train_on_table(TABLE, target="cultivar")
    settings = trained.network.settings
    assert (settings.bias, settings.standardize, settings.optimizer) == (True, True, "lbfgs")
    assert settings.rule == "softmax_cross_entropy"
    assert trained.held_out is None
    assert trained.columns.classes == ("class_0", "class_1", "class_2")
    found = neuron_xp.verify(trained.network, TABLE)
    assert (found.same_data, found.same_bits) == (True, True)
    other = neuron_xp.verify(trained.network, "examples/data/wine.csv", backend="array_api_strict")
    assert other.network.fingerprint() == trained.network.fingerprint()


def test_another_number_of_targets_has_no_score(tmp_path):
    inputs = np.linspace(0, 1, 40).reshape(20, 2)
    np.savez(tmp_path / "three.npz", inputs=inputs, targets=np.full((20, 3), 0.25))
    np.savez(tmp_path / "one.npz", inputs=inputs, targets=inputs[:, 0])
    network = neuron_xp.train_on_table(tmp_path / "three.npz", iterations=3).network
    message = "the table has 1 columns of targets, and the network has 3 outputs; give the table's"
    with pytest.raises(ValueError, match=message):
        neuron_xp.evaluate(network, tmp_path / "one.npz")
