"""Early stopping: examples that are kept out, and a watch over the accuracy on them."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.model_selection import train_test_split

from neuron_xp.checks import check_number, check_whole_number
from neuron_xp.estimator.data import Classified, to_host
from neuron_xp.estimator.outputs import choose_classes
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings


def split_examples(
    examples: Classified, fraction: float, seed: int
) -> tuple[Classified, Classified]:
    """Return the examples to learn from, and those that are kept out, drawn from each class."""
    share = check_number("validation_fraction", fraction)
    if share >= 1:
        raise ValueError(f"validation_fraction must be below 1; got {fraction!r}")
    rows = np.arange(len(examples.labels))
    training, kept_out = train_test_split(
        rows, test_size=share, stratify=examples.labels, random_state=seed
    )
    return examples.take(np.sort(training)), examples.take(np.sort(kept_out))


@dataclass(eq=False)
class Watch:
    """A watch over a training: it ends when the accuracy has not risen for `patience` looks.

    best : the first network of the highest accuracy
    scores : the accuracy at each look
    """

    kept_out: Classified
    patience: int
    scores: list[float] = field(default_factory=list)
    best: NeuralNetwork | None = None
    since: int = 0

    def __post_init__(self) -> None:
        """Raise unless the patience is a whole number above 0."""
        check_whole_number("n_iter_no_change", self.patience, least=1)

    def look(self, network: NeuralNetwork) -> bool:
        """Look at the network, and tell whether the training is to end."""
        score = self._measure(network)
        if self.best is None or score > max(self.scores):
            self.best, self.since = network, 0
        else:
            self.since += 1
        self.scores.append(score)
        return self.since >= self.patience

    def _measure(self, network: NeuralNetwork) -> float:
        is_right = choose_classes(to_host(network.logits(self.kept_out.inputs)))
        right = is_right == self.kept_out.labels
        weight = self.kept_out.weight
        if weight is None:
            return int(right.sum()) / len(right)
        return math.fsum(weight[right]) / math.fsum(weight)


def look_each_epoch(settings: Settings, rows: int) -> Settings:
    """Return the settings with a record of the loss, and a look, after each epoch."""
    size = settings.batch_size or rows
    return replace(settings, loss_every=math.ceil(rows / size))
