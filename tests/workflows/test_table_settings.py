"""The settings of a training on a table, where nothing, and where something is said."""

import re

import numpy as np
import pytest

import neuron_xp
from neuron_xp.tables.columns import Columns
from neuron_xp.workflows.table_training import check_table_settings

OPTIMIZERS = ["lbfgs", "adam", "gradient_descent"]
TWO, THREE = ("no", "yes"), ("a", "b", "c")


def chosen(classes, **given):
    return check_table_settings(**given).choose(Columns(("x",), "y", classes, ()))


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (None, ("lbfgs", 1.0, None, 1000, 1e-7)),
        ("lbfgs", ("lbfgs", 1.0, None, 1000, 1e-7)),
        ("adam", ("adam", 1.0, 0.001, 10_000, None)),
        ("gradient_descent", ("gradient_descent", 0.0, "auto", 10_000, None)),
    ],
)
def test_the_defaults_of_an_optimizer(optimizer, expected):
    for classes in (TWO, THREE, None):
        s = chosen(classes, optimizer=optimizer)
        assert (s.optimizer, s.l2, s.learning_rate, s.iterations, s.gradient_tolerance) == expected
        assert (s.bias, s.standardize, s.seed, s.arithmetic) == (True, True, 1, "reproducible")


@pytest.mark.parametrize(
    ("optimizer", "classes", "rule"),
    [
        ("lbfgs", THREE, "softmax_cross_entropy"),
        ("lbfgs", TWO, "cross_entropy"),
        ("lbfgs", None, "cross_entropy"),
        ("adam", THREE, "softmax_cross_entropy"),
        ("adam", TWO, "cross_entropy"),
        ("adam", None, "cross_entropy"),
        ("gradient_descent", THREE, "error_weighted_derivative"),
        ("gradient_descent", TWO, "error_weighted_derivative"),
        ("lbfgs", tuple(map(str, range(1000))), "softmax_cross_entropy"),
        ("lbfgs", tuple(map(str, range(1001))), "cross_entropy"),  # more than a softmax takes
    ],
)
def test_the_target_chooses_the_rule(optimizer, classes, rule):
    assert chosen(classes, optimizer=optimizer).rule == rule


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_said_holds(optimizer):
    said = {"rule": "cross_entropy", "l2": 0.0, "bias": False, "standardize": False,
            "iterations": 7, "seed": 3}  # fmt: skip
    found = chosen(THREE, optimizer=optimizer, **said)
    assert {name: getattr(found, name) for name in said} == said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "lbgfs"}, "unknown optimizer 'lbgfs'; did you mean 'lbfgs'?"),
        ({"learning_rate": 0.5}, "learning_rate=0.5 does not go with optimizer='lbfgs'"),
        ({"batch_size": 64}, "leave it out, or give optimizer='adam'"),
        ({"optimizer": "gradient_descent", "hidden": (3,)}, "give optimizer='lbfgs', which needs"),
    ],
)
def test_what_does_not_go_together(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_table_settings(**given)


@pytest.fixture
def table(tmp_path):
    """save(classes) -> a table of five numbers a row, raw, and a target."""

    def save(classes):
        generator = np.random.default_rng(7)
        numbers = generator.standard_normal((90, 5)) * [1, 10, 100, 1e3, 1e4] + 5
        size = numbers[:, 1] / 10 - 0.5
        words = np.asarray(["low", "mid", "top"])[(size > -0.5) + 0 + (size > 0.5) * (classes - 2)]
        rows = (",".join([*map(repr, row), word]) for row, word in zip(numbers.tolist(), words,
                                                                      strict=True))  # fmt: skip
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["a,b,c,d,e,kind", *rows]))
        return path

    return save


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_is_saved_verified_and_scored(table, tmp_path, optimizer, classes):
    path = table(classes)
    rate = {"learning_rate": 0.01} if optimizer == "adam" else {}
    trained = neuron_xp.train_on_table(
        path, target="kind", optimizer=optimizer, iterations=200, holdout=0.2, **rate
    )
    streamed = neuron_xp.train_on_table(
        path, target="kind", optimizer=optimizer, iterations=200, holdout=0.2, max_memory=2**24,
        **rate,
    )  # fmt: skip
    assert streamed.network.to_bytes() == trained.network.to_bytes()
    trained.network.save(tmp_path / "model")
    network = neuron_xp.NeuralNetwork.load(tmp_path / "model")
    assert network.settings == trained.network.settings
    found = neuron_xp.verify(network, path)
    assert (found.same_data, found.same_bits) == (True, True)
    score, predictions = neuron_xp.evaluate(network, path), neuron_xp.predict(network, path)
    assert score.accuracy > 0.9
    assert (score.confusion.trace(), score.rows) == (round(score.accuracy * 90), 90)
    softmax = classes == 3 and optimizer != "gradient_descent"
    ones = predictions.outputs.sum(axis=1)
    assert bool(np.allclose(ones, 1.0, rtol=0, atol=1e-15)) == softmax


def test_softmax_is_for_three_classes(table, tmp_path):
    message = "got 1; for one column of 0 and 1 give rule='cross_entropy'"
    with pytest.raises(ValueError, match=re.escape(message)):
        neuron_xp.train_on_table(table(2), target="kind", rule="softmax_cross_entropy")
    inputs, targets = np.eye(4), [[1, 0], [0, 1], [1, 0], [0, 1]]
    np.savez(tmp_path / "two.npz", inputs=inputs, targets=targets)  # in columns of their own
    trained = neuron_xp.train_on_table(tmp_path / "two.npz", rule="softmax_cross_entropy")
    outputs = neuron_xp.predict(trained.network, tmp_path / "two.npz").outputs
    assert outputs.argmax(axis=1).tolist() == [0, 1, 0, 1]


def test_constant_columns_are_said_in_one_note(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c,d,e,f,g,y\n" + "1,1,1,1,1,1,0,no\n1,1,1,1,1,1,1,yes\n")
    words = "6 columns are the same in each row, and tell nothing: 'a', 'b', 'c', 'd', 'e', ..."
    trained = neuron_xp.train_on_table(tmp_path / "t.csv", target="y")
    assert trained.notes == (f"t.csv: {words}",)
    raw = neuron_xp.train_on_table(tmp_path / "t.csv", target="y", standardize=False)
    assert raw.notes == ()
