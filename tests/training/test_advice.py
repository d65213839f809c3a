"""Advice to people who come from other libraries: what was meant, and what to type."""

import re

import numpy as np
import pytest

import neuron_xp

X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "learningrate",
            "unknown keyword 'learningrate' of train(); did you mean 'learning_rate'?",
        ),
        ("dropout", "unknown keyword 'dropout' of train(); choose from arithmetic, backend, "),
        ("epochs", "unknown keyword 'epochs' of train(); give iterations"),
        ("lr", "unknown keyword 'lr' of train(); give learning_rate"),
        ("random_state", "unknown keyword 'random_state' of train(); give seed"),
        ("C", "unknown keyword 'C' of train(); give l2=1/C"),
        ("unknown", "unknown keyword 'unknown' of train(); choose from"),
    ],
)
def test_keywords_that_train_has_not(given, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        neuron_xp.train(X, [0, 1, 1], **{given: 1})


@pytest.mark.parametrize("targets", [[0, 2, 1], np.asarray([0, 2, 1]), [0.0, 1.0, 2.0]])
def test_numbers_of_classes(targets):
    advice = (
        "targets must lie in [0, 1]; if they are numbers of classes, give a column of 0 and 1 for "
        "each class, numpy.eye(COUNT)[targets], with rule='softmax_cross_entropy', or use "
        "neuron_xp.NeuronClassifier"
    )
    with pytest.raises(ValueError, match=re.escape(advice)):
        neuron_xp.train(X, targets)
    columns = np.eye(3)[np.asarray(targets, dtype=int)]
    network = neuron_xp.train(X, columns, rule="softmax_cross_entropy", iterations=100)
    assert network.think(X).argmax(axis=1).tolist() == list(targets)


def test_numbers_that_are_no_classes():
    with pytest.raises(ValueError, match=r"targets\[1\] is 2.5; targets must lie in \[0, 1\]$"):
        neuron_xp.train(X, [0, 2.5, 1])


@pytest.mark.parametrize("make", [list, np.asarray])
def test_words(make):
    advice = (
        "such as 'no'; to learn classes use neuron_xp.NeuronClassifier, or give their numbers: "
        "numpy.unique(targets, return_inverse=True)[1]"
    )
    with pytest.raises(TypeError, match=re.escape(advice)):
        neuron_xp.train(X, make(["no", "yes", "no"]))
    with pytest.raises(TypeError, match=r"inputs must .* such as 'a'$"):
        neuron_xp.train(make([["a"], ["b"], ["c"]]), [0, 1, 1])
