"""Outputs of a network as scikit-learn wants them: classes, probabilities, coefficients."""

import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from neuron_xp.model.network import NeuralNetwork
from neuron_xp.neuron.types import Array


def choose_classes(logits: np.ndarray) -> np.ndarray:
    """Return the number of each example's class: one weighted sum is above 0, or the largest."""
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0] > 0, dtype=int)
    return np.asarray(logits.argmax(axis=1))


def normalize(outputs: Array, xp: Any) -> Array:
    """Return the outputs of sigmoids, one a class, brought to the sum 1; all alike if all are 0."""
    total = reduce(add, (outputs[:, i : i + 1] for i in range(outputs.shape[1])))
    uniform = xp.full_like(outputs, 1 / outputs.shape[1])
    return xp.where(total > 0, outputs / xp.where(total > 0, total, 1.0), uniform)


def unscale(network: NeuralNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (1 or classes, features) and intercepts, as they act on plain inputs.

    w (x - mean) inverse_scale + b = (w inverse_scale) x + (b - sum w inverse_scale mean)

    Raises AttributeError for hidden layers.
    """
    model = network.to_model()
    if len(model.weights) > 1:
        raise AttributeError("coef_ and intercept_ are of one layer; with hidden ones see coefs_")
    coefficients = model.weights[0].T
    intercepts = model.biases[0] if model.biases else np.zeros(len(coefficients))
    if model.scaling is not None:
        mean, inverse_scale = model.scaling
        coefficients = coefficients * inverse_scale
        terms = zip(intercepts.tolist(), (coefficients * mean).tolist(), strict=True)
        intercepts = np.asarray([math.fsum([b, *(-x for x in row)]) for b, row in terms])
    if len(coefficients) == 2:  # a softmax of two classes
        coefficients, intercepts = np.diff(coefficients, axis=0), np.diff(intercepts)
    return coefficients, intercepts
