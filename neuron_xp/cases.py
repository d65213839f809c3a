"""The training sets of the cross-backend matrix, and their published fingerprints.

Everything is made from RandomState's `random_sample` and `randint`, whose streams are
frozen, and powers of two: the same numbers on every platform.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from neuron_xp.backend import HostArray
from neuron_xp.backends import host
from neuron_xp.datasets import ARTICLE_INPUTS, ARTICLE_TARGETS

TrainingSet = tuple[HostArray, HostArray]


@dataclass(frozen=True)
class Case:
    """A training set and the settings to train it with."""

    name: str
    make: Callable[[], TrainingSet]
    iterations: int
    learning_rate: float = 1.0


def _article() -> TrainingSet:
    return host.asarray(ARTICLE_INPUTS, dtype="float64"), host.asarray(ARTICLE_TARGETS, "float64")


def _random(rows: int, features: int, seed: int = 7) -> TrainingSet:
    """Inputs in [-1, 1), targets 0 or 1."""
    generator = host.random.RandomState(seed)
    inputs = 2 * generator.random_sample((rows, features)) - 1
    return inputs, generator.randint(0, 2, (rows, 1)).astype("float64")


def _scaled(rows: int, features: int, lowest: int, highest: int) -> TrainingSet:
    """Random inputs, each times its own power of two; targets in [0, 1)."""
    generator = host.random.RandomState(11)
    inputs = 2 * generator.random_sample((rows, features)) - 1
    powers = generator.randint(lowest, highest + 1, (rows, features))
    return host.ldexp(inputs, powers), generator.random_sample((rows, 1))


def _huge() -> TrainingSet:
    """Ordinary inputs beside a column of 0 and 2^900, which saturates the neuron."""
    inputs, targets = _random(300, 4)
    inputs[:, 3] = 2.0**900 * (inputs[:, 3] > 0.9)
    return inputs, targets


def _counts() -> TrainingSet:
    """Whole numbers, as a spreadsheet has them."""
    generator = host.random.RandomState(13)
    inputs = generator.randint(-3, 4, (777, 9)).astype("float64")
    return inputs, generator.randint(0, 2, (777, 1)).astype("float64")


def _times(factor: float, data: TrainingSet) -> TrainingSet:
    return factor * data[0], data[1]


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
    Case("saturating rate", lambda: _times(8.0, _random(300, 4)), 20, 1000.0),
)


def published() -> dict[str, str]:
    """The fingerprint of each case, which every backend and machine is held to."""
    text = files("neuron_xp").joinpath("published_fingerprints.json").read_text("utf-8")
    fingerprints: dict[str, str] = json.loads(text)["fingerprints"]
    return fingerprints
