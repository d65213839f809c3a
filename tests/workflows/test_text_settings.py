"""Tables of text that are written otherwise than in training, in Python."""

import re

import numpy as np
import pytest

import neuron_xp

ROWS = [[f"{i}.5", f"{i * i % 7}", "yes" if i % 3 else "no"] for i in range(12)]


@pytest.fixture
def network(tmp_path):
    """One that knows of semicolons, decimal commas, and no header; saved and loaded."""
    text = "\n".join(";".join(row) for row in ROWS).replace(".", ",")
    (tmp_path / "bare.csv").write_text(text)
    trained = neuron_xp.train_on_table(
        tmp_path / "bare.csv", target=2, delimiter=";", decimal=",", header=False, holdout=0.25
    )
    assert trained.columns.features == ("0", "1")
    trained.network.save(tmp_path / "model")
    return neuron_xp.NeuralNetwork.load(tmp_path / "model")


@pytest.mark.parametrize("memory", [None, "16MiB"])
def test_what_is_given_replaces_what_the_network_knows(network, tmp_path, memory):
    (tmp_path / "named.csv").write_text(
        "\n".join("\t".join(row) for row in [["0", "1", "2"], *ROWS])
    )
    known = neuron_xp.predict(network, tmp_path / "bare.csv", max_memory=memory)
    given = {"delimiter": "tab", "decimal": ".", "header": True, "max_memory": memory}
    found = neuron_xp.predict(network, tmp_path / "named.csv", **given)
    assert found.outputs.tobytes() == known.outputs.tobytes()
    scores = (
        neuron_xp.evaluate(network, tmp_path / "bare.csv", max_memory=memory),
        neuron_xp.evaluate(network, tmp_path / "named.csv", **given),
    )
    assert scores[0].loss == scores[1].loss
    assert neuron_xp.verify(network, tmp_path / "bare.csv", max_memory=memory).is_same
    assert neuron_xp.verify(network, tmp_path / "named.csv", **given).is_same
    with pytest.raises(neuron_xp.TableError, match=r"^named\.csv, line 1: "):
        neuron_xp.evaluate(network, tmp_path / "named.csv", decimal=".", header=True)


def test_an_array_has_the_names_of_text_without_a_header(network, tmp_path):
    numbers = [[float(a), float(b), float(y == "yes")] for a, b, y in ROWS]
    np.save(tmp_path / "array.npy", numbers)
    known = neuron_xp.predict(network, tmp_path / "bare.csv")
    found = neuron_xp.predict(network, tmp_path / "array.npy")
    assert found.outputs.tobytes() == known.outputs.tobytes()


def test_a_first_line_that_was_a_row_is_noted(tmp_path):
    (tmp_path / "bare.csv").write_text("\n".join(",".join(row) for row in ROWS))
    trained = neuron_xp.train_on_table(tmp_path / "bare.csv", target=2, iterations=3)
    said = "bare.csv: a column is named '0.5'; if the first line is a row give header=False"
    assert said in trained.notes
    trained = neuron_xp.train_on_table(tmp_path / "bare.csv", target=2, header=False)
    assert trained.notes == ()


def test_a_table_that_is_an_address(network):
    words = "^'s3://b/x.csv' is an address; download it first, or have the workers of a cluster rea"
    with pytest.raises(FileNotFoundError, match=words):
        neuron_xp.train_on_table("s3://b/x.csv", target="y")
    with pytest.raises(FileNotFoundError, match=words):
        neuron_xp.predict(network, "s3://b/x.csv")


def test_arrays_have_no_delimiter():
    network = neuron_xp.train(iterations=1)
    with pytest.raises(ValueError, match=r"^delimiter, decimal and header are for tables of text"):
        neuron_xp.verify(network, [[0, 1, 1]], [1], delimiter=";")


def test_a_network_s_table_gets_no_advice_on_training(network, tmp_path):
    for cell, said in (
        ("", "missing cell ''; fill it in"),
        ("red", "'red' is not a number"),
        ("yes", "'yes' is not a number; write 1 or 0 for it"),
        ("1-2-2024", "'1-2-2024' is not a number; dates are not read: turn them into numbers in "
         "the table (days, say)"),
        ("1.5", "'1.5' is not a number; for decimal points give decimal='.'"),
    ):  # fmt: skip
        (tmp_path / "cell.csv").write_text(f"1;2;no\n1;{cell};yes\n")
        for use in (neuron_xp.predict, neuron_xp.evaluate, neuron_xp.verify):
            words = re.escape(f"cell.csv, line 2, column '1': {said}")
            with pytest.raises(neuron_xp.TableError, match=f"^{words}$"):
                use(network, tmp_path / "cell.csv")
