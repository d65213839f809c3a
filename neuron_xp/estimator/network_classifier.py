"""A fitted classifier: what it learned, in scikit-learn's names, and its predictions."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._array_api import get_namespace
from sklearn.utils.validation import check_is_fitted

from neuron_xp.estimator.data import bring, check_same_library, read_inputs, to_host
from neuron_xp.estimator.outputs import choose_classes, normalize, unscale
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.neuron.types import Array


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier by a network; `fit` sets these.

    classes_ : array (n_classes,)
    network_ : NeuralNetwork
    _home : an array of the library and device of the X that was learned from
    """

    classes_: Array
    network_: NeuralNetwork
    _home: Array

    def __sklearn_tags__(self) -> Any:
        """Say that arrays of any library are taken."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (inputs, neurons), as they act on standardized inputs."""
        check_is_fitted(self)
        return [bring(layer, self._home) for layer in self.network_.to_model().weights]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (neurons,); zeros without a bias."""
        check_is_fitted(self)
        model = self.network_.to_model()
        biases = model.biases or tuple(layer[0] * 0.0 for layer in model.weights)
        return [bring(layer, self._home) for layer in biases]

    @property
    def coef_(self) -> Array:
        """The weights of one layer, (1 or n_classes, n_features), as they act on X."""
        return bring(self._unscale()[0], self._home)

    @property
    def intercept_(self) -> Array:
        """The biases of one layer, (1 or n_classes,), as they act on X."""
        return bring(self._unscale()[1], self._home)

    def _unscale(self) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        return unscale(self.network_)

    def decision_function(self, X: Any) -> Array:
        """Return the weighted sums of the last layer, largest for the class that is predicted.

        (examples, n_classes); for two classes (examples,), above 0 for the second.
        """
        logits = self._compute(X, "decision_function", NeuralNetwork.logits)
        if logits.shape[1] == 1:
            return logits[:, 0]
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each of `classes_`: (examples, n_classes)."""
        outputs = self._compute(X, "predict_proba", NeuralNetwork.think)
        xp, _ = get_namespace(outputs)
        if outputs.shape[1] == 1:
            return xp.concat([1 - outputs, outputs], axis=1)
        if self.network_.settings.rule == "softmax_cross_entropy":
            return outputs
        return normalize(outputs, xp)

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each example, (examples,)."""
        scores = self._compute(X, "predict", NeuralNetwork.logits)
        numbers = choose_classes(to_host(scores))
        classes = to_host(self.classes_)
        chosen = classes[numbers]
        return chosen if chosen.dtype.kind in "OUS" else bring(chosen, scores)

    def _compute(self, X: Any, method: str, function: Any) -> Array:
        """Return a function of the network, and of X, in the library of X."""
        check_is_fitted(self)
        check_same_library(X, self._home, f"{type(self).__name__}.{method}()")
        inputs = read_inputs(self, X, reset=False)
        outputs = function(self.network_, inputs)
        return bring(to_host(outputs), inputs)
