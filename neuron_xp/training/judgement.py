"""Judgement of a training that has ended: whether it learned, and if not, what to try.

It looks at some of the examples only, whole groups of 64 from everywhere in the data.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.position import Ending
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.training.data.training_set import TrainingSet

MOST_PRODUCTS = 2**22
"""Products of inputs and weights that a look may take: some hundredths of a second."""
FEWEST_ROWS, MOST_ROWS = 2**10, 2**14
HARDLY = 1e-3
"""The share of the first loss by which a loss hardly moves."""
SATURATED = 1e-6
"""The distance from 0 or 1 of a saturated output."""


class Answers(NamedTuple):
    """Answers to some of the examples, in parts of their sample weights.

    are_classes : whether each target names one class
    right, largest : the share of right answers, and of the largest class
    saturated : the share of outputs that are saturated
    """

    are_classes: bool
    right: float
    largest: float
    saturated: float


def find_problem(data: TrainingSet, network: NeuralNetwork) -> str | None:
    """Say in a line what a training did not reach, and what to try; None if it learned."""
    settings, ending = network.settings, network.ending
    if ending is None or settings.iterations == 0:
        return None
    if ending.reason == "limit" and (settings.gradient_tolerance or settings.tolerance):
        return _explain_limit(settings, ending)
    answers = _count_answers(network, _take_sample(data))
    advice = _advise(settings)
    share = f"{answers.saturated:.0%} of its outputs"
    saturated = f"{share} are saturated, within {SATURATED} of 0 or 1"
    if answers.are_classes and answers.right <= answers.largest < 1:
        why = f", and {saturated}" if answers.saturated > 0.5 else ""
        return (
            f"the network names {answers.right:.1%} of the examples right, no more than by always "
            f"naming the largest class, {answers.largest:.1%}{why}; {advice}"
        )
    if not answers.are_classes and answers.saturated > 0.5:
        return f"the network has learned little: {saturated}; {advice}"
    first, last = network.history[0][1], network.history[-1][1]
    if ending.reason != "converged" and last >= first * (1 - HARDLY):
        return f"the loss hardly moved, from {first:.6g} to {last:.6g}; {advice}"
    return None


def _explain_limit(settings: Settings, ending: Ending) -> str:
    asked = f"tolerance={settings.tolerance}"
    if settings.gradient_tolerance:
        asked = f"gradient_tolerance={settings.gradient_tolerance}"
    cures = [f"iterations={10 * ending.iterations}"]
    if not settings.standardize:
        cures.append("standardize=True")
    if not settings.l2:
        cures.append("l2=1.0")
    return (
        f"the training did all of its iterations={ending.iterations} and has not converged to "
        f"{asked}; give {' or '.join(cures)}"
    )


def _advise(settings: Settings) -> str:
    """Return what to try next, of what has not been tried."""
    untried = []
    if not settings.standardize:
        untried.append("standardize=True")
    if settings.optimizer != "lbfgs":
        untried.append("optimizer='lbfgs'")
    if untried:
        return "give " + " and ".join(untried)
    return "give other columns" if settings.hidden else "give hidden=(16,), or other columns"


def _take_sample(data: TrainingSet) -> Examples:
    """Return some of the examples, on the host: leaves at even distances."""
    products = sum(n * m for n, m in pairwise(data.layer_sizes))
    rows = min(max(MOST_PRODUCTS // products, FEWEST_ROWS), MOST_ROWS)
    leaves = math.ceil(data.rows / LEAF)
    if leaves <= rows // LEAF:
        return data.take_sample(np.asarray([[0, data.rows]]))
    chosen = np.unique(np.linspace(0, leaves - 1, rows // LEAF).astype("int64"))
    firsts = chosen * LEAF
    return data.take_sample(np.stack([firsts, np.minimum(firsts + LEAF, data.rows)], axis=1))


def _count_answers(network: NeuralNetwork, sample: Examples) -> Answers:
    on_host = NeuralNetwork.from_model(network.to_model(), open_host_backend())
    targets, outputs = sample.targets, on_host.think(sample.inputs)
    if targets.shape[1] == 1:  # the class that is not named
        targets, outputs = (np.concatenate([1 - x, x], axis=1) for x in (targets, outputs))
    weight = np.ones(len(targets)) if sample.sample_weight is None else sample.sample_weight[:, 0]
    classes = targets.argmax(axis=1)
    is_right = classes == outputs.argmax(axis=1)
    are_classes = ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all()
    whole = weight.sum() or 1.0  # none of these may count
    return Answers(
        are_classes=bool(are_classes and weight.any()),
        # both are added in one order: those of the largest class alone are no more than it
        right=float(np.bincount(is_right, weight, minlength=2)[1] / whole),
        largest=float(np.bincount(classes, weight).max() / whole),
        saturated=float((np.minimum(outputs, 1 - outputs) < SATURATED).mean()),
    )
