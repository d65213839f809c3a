"""The training sets of the cross-backend matrix, and their published fingerprints.

Everything is made from RandomState's `random_sample` and `randint`, whose streams are
frozen, and powers of two: the same numbers on every platform.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from neuron_xp.article import ARTICLE_INPUTS, ARTICLE_TARGETS, SEQUEL_INPUTS, SEQUEL_TARGETS
from neuron_xp.errors import ignore_learning
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.training.train import train

InputsAndTargets = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A training set and the settings to train it with."""

    name: str
    make: Callable[[], InputsAndTargets]
    iterations: int
    learning_rate: float | str | None = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def train(self, iterations: int | None = None, **settings: Any) -> NeuralNetwork:
        """The case trained as it says, or with other iterations or settings."""
        inputs, targets = self.make()
        count = self.iterations if iterations is None else iterations
        chosen = {"learning_rate": self.learning_rate, **self.settings, **settings}
        with ignore_learning():
            return train(inputs, targets, iterations=count, **chosen)


def _article() -> InputsAndTargets:
    return np.asarray(ARTICLE_INPUTS, dtype="float64"), np.asarray(ARTICLE_TARGETS, "float64")


def _sequel() -> InputsAndTargets:
    return np.asarray(SEQUEL_INPUTS, dtype="float64"), np.asarray(SEQUEL_TARGETS, "float64")


def _random(rows: int, features: int, neurons: int = 1) -> InputsAndTargets:
    """Inputs in [-1, 1), targets 0 or 1."""
    generator = np.random.RandomState(7)
    inputs = 2 * generator.random_sample((rows, features)) - 1
    return inputs, generator.randint(0, 2, (rows, neurons)).astype("float64")


def _columns() -> InputsAndTargets:
    """Columns of quite different size and place, one of them constant."""
    inputs, targets = _random(300, 5)
    return inputs * 2.0 ** np.asarray([0, 40, -700, 3, 0]) * [1, 1, 1, 1, 0] + 5, targets


def _classes(rows: int, features: int, classes: int) -> InputsAndTargets:
    """Random inputs, and a column of 0 and 1 for each class, which the first two inputs decide."""
    inputs, _ = _random(rows, features)
    numbers = np.digitize(inputs[:, 0] + inputs[:, 1], np.linspace(-1, 1, classes + 1)[1:-1])
    return inputs, np.eye(classes)[numbers]


def _scaled(rows: int, features: int, lowest: int, highest: int) -> InputsAndTargets:
    """Random inputs, each times its own power of two; targets in [0, 1)."""
    generator = np.random.RandomState(11)
    inputs = 2 * generator.random_sample((rows, features)) - 1
    powers = generator.randint(lowest, highest + 1, (rows, features))
    return np.ldexp(inputs, powers), generator.random_sample((rows, 1))


def _huge() -> InputsAndTargets:
    """Ordinary inputs beside a column of 0 and 2^900, which saturates the neuron."""
    inputs, targets = _random(300, 4)
    inputs[:, 3] = 2.0**900 * (inputs[:, 3] > 0.9)
    return inputs, targets


def _counts() -> InputsAndTargets:
    """Whole numbers, as a spreadsheet has them."""
    generator = np.random.RandomState(13)
    inputs = generator.randint(-3, 4, (777, 9)).astype("float64")
    return inputs, generator.randint(0, 2, (777, 1)).astype("float64")


def _times(factor: float, data: InputsAndTargets) -> InputsAndTargets:
    return factor * data[0], data[1]


# fmt: off
CASES = (
    Case("article", _article, 10_000),
    Case("article, 200 iterations", _article, 200),
    Case("random", lambda: _random(1003, 20), 20, 2.0**-4),
    Case("counts", _counts, 20, 2.0**-6),
    Case("wide", lambda: _random(70, 1000), 10, 2.0**-4),
    Case("very wide", lambda: _times(0.0625, _random(5, 2500)), 10, 2.0**-2),
    Case("tall", lambda: _random(20_011, 3), 5, 2.0**-10),
    Case("one row", lambda: _random(1, 5), 20),
    Case("one feature", lambda: _random(130, 1), 20, 2.0**-2),
    Case("magnitudes 2^-500 to 2^8", lambda: _scaled(200, 6, -500, 8), 10),
    Case("tiny, to 2^-1021", lambda: _scaled(200, 6, -1020, -60), 10, 2.0**59),
    Case("huge", _huge, 10, 2.0**-6),
    Case("several outputs", lambda: _random(150, 7, 3), 20, 2.0**-4),
    Case("sequel", _sequel, 60_000, settings={"hidden": (4,)}),
    Case("sequel, 3,000 iterations", _sequel, 3000, settings={"hidden": (4,)}),
    Case("sequel, 100 iterations", _sequel, 100, settings={"hidden": (4,)}),
    Case("deep", lambda: _random(200, 6, 2), 10, 2.0**-2, {"hidden": (5, 4, 3), "bias": True}),
    Case("wide layers", lambda: _random(70, 40), 5, 2.0**-4, {"hidden": (40, 33)}),
    Case("deep and tiny", lambda: _scaled(100, 3, -1020, -60), 10, 2.0, {"hidden": (4,)}),
    Case("bias", lambda: _random(130, 3), 20, 2.0**-4, {"bias": True}),
    Case("cross-entropy", lambda: _random(130, 3), 20, "auto", {"rule": "cross_entropy"}),
    Case("safe rate", lambda: _random(130, 3), 20, "auto", {"bias": True}),
    Case("l2", lambda: _random(130, 3), 20, 2.0**-4,
         {"l2": 0.75, "bias": True, "rule": "cross_entropy"}),
    Case("standardized", _columns, 20, "auto", {"standardize": True, "bias": True}),
    Case("batches", lambda: _random(300, 4), 20, 2.0**-2, {"batch_size": 70}),
    Case("shuffled rows", lambda: _random(300, 4), 20, 2.0**-2,
         {"batch_size": 70, "shuffle": "rows"}),
    Case("shuffled leaves", lambda: _random(300, 4), 20, 2.0**-2,
         {"batch_size": 128, "shuffle": "leaves", "hidden": (3,), "bias": True}),
    Case("softmax", lambda: _classes(130, 3, 3), 20, 2.0**-4,
         {"rule": "softmax_cross_entropy", "bias": True}),
    Case("softmax, 40 classes", lambda: _classes(200, 5, 40), 10, 2.0**-4,
         {"rule": "softmax_cross_entropy", "hidden": (6,), "l2": 0.25}),
    Case("l-bfgs", lambda: _random(1003, 20), 30, None, {"optimizer": "lbfgs", "l2": 0.5}),
    Case("l-bfgs, standardized classes", lambda: _classes(300, 6, 3), 15, None,
         {"optimizer": "lbfgs", "rule": "softmax_cross_entropy", "standardize": True,
          "bias": True, "l2": 1.0}),
    Case("l-bfgs, hidden", lambda: _random(200, 6, 2), 15, None,
         {"optimizer": "lbfgs", "hidden": (5, 4), "bias": True}),
    Case("adam", lambda: _classes(300, 4, 3), 20, 2.0**-6,
         {"optimizer": "adam", "rule": "softmax_cross_entropy", "hidden": (5,), "bias": True,
          "batch_size": 70, "shuffle": "rows", "l2": 0.125}),
    Case("saturating rate", lambda: _times(8.0, _random(300, 4)), 20, 1000.0),
)
# fmt: on


def published() -> dict[str, str]:
    """The fingerprint of each case, which every backend and machine is held to."""
    text = files("neuron_xp.workflows").joinpath("published_fingerprints.json").read_text("utf-8")
    fingerprints: dict[str, str] = json.loads(text)["fingerprints"]
    return fingerprints
