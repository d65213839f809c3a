"""The neural network that training returns: its weights, and what they are good for."""

from dataclasses import dataclass
from typing import Any

from neuron_xp import checks
from neuron_xp.backend import Backend
from neuron_xp.fingerprint import fingerprint
from neuron_xp.neuron import layers
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.types import Array
from neuron_xp.probe import trusted_arithmetic


@dataclass(frozen=True, eq=False, repr=False)
class NeuralNetwork:
    """A network of sigmoid neurons.

    weights : tuple of arrays, one a layer, (inputs, neurons), float64 or float32
        In the library and on the device of `backend`.
    backend : Backend
    arithmetic : "reproducible" or "native"
    """

    weights: tuple[Array, ...]
    backend: Backend
    arithmetic: str

    def think(self, inputs: Any) -> Array:
        """The outputs of the last layer: sigmoid(inputs @ weights), layer after layer.

        inputs : lists or an array, (features,) for one example or (examples, features)
        Returns an array (neurons,) or (examples, neurons) in the network's library.
        Raises ValueError or TypeError for inputs that are not finite real numbers, or
        whose number of features is not the network's.

        >>> import neuron_xp
        >>> print(neuron_xp.train().think([1, 0, 0]))
        [0.99993704]
        """
        backend = self.backend
        with backend.context():
            dtype = "float64" if self.weights[0].dtype == backend.xp.float64 else "float32"
            single = checks.depth(inputs) == 1
            dimensions = 1 if single else 2
            x = checks.numbers("inputs", inputs, backend, dtype=dtype, dimensions=dimensions)
            features = self.weights[0].shape[0]
            if x.shape[-1] != features:
                raise ValueError(
                    f"inputs have {x.shape[-1]} features but the network has {features}"
                )
            outputs = self._think(backend.xp.reshape(x, (-1, features)))
        return outputs[0, :] if single else outputs

    def _think(self, x: Array) -> Array:
        xp = self.backend.xp
        ordinary = checks.ordinary(x, self.backend)
        arithmetic = trusted_arithmetic(self.backend, self.arithmetic, ordinary=ordinary)
        rows = x.shape[0]
        block = block_rows(self.weights, self.backend)
        return xp.concat(
            [
                layers.think(x[a : min(a + block, rows), :], self.weights, arithmetic=arithmetic)
                for a in range(0, rows, block)
            ]
        )

    def fingerprint(self) -> str:
        """SHA-256 over name, dtype, shape and little-endian bytes of the weights.

        The same for the same bits, whichever library holds them.
        """
        with self.backend.context():
            arrays = [self.backend.to_host(layer) for layer in self.weights]
        return fingerprint((f"weights.{i}", array) for i, array in enumerate(arrays))

    def __repr__(self) -> str:
        sizes = "-".join(str(size) for size in layer_sizes(self.weights))
        return (
            f"<NeuralNetwork {sizes}, {self.arithmetic}, {self.backend}, "
            f"fingerprint {self.fingerprint()[:12]}>"
        )


def layer_sizes(weights: tuple[Array, ...]) -> list[int]:
    """Inputs, then the neurons of each layer."""
    return [weights[0].shape[0], *(layer.shape[1] for layer in weights)]


def block_rows(weights: tuple[Array, ...], backend: Backend) -> int:
    """How many examples to take at a time: whole leaves, about `backend.block_elements`."""
    widest: int = max(layer.shape[0] * layer.shape[1] for layer in weights)
    return max(1, backend.block_elements // (widest * LEAF)) * LEAF
