"""A network as a module of PyTorch, to be trained further, saved or deployed there."""

from typing import Any

import numpy as np

from neuron_xp.backends.libraries import open_backend


def make_torch_module(
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    scaling: tuple[np.ndarray, np.ndarray] | None,
    *,
    softmax: bool,
) -> Any:
    """Return a `torch.nn.Sequential` of the layers, with the dtype of the weights.

    scaling : (mean, inverse_scale) of a first module that standardizes, or None
    softmax : whether it takes the sigmoid's place in the last layer

    Raises MissingBackendError.
    """
    open_backend("torch")  # which says how to install it
    import torch
    from torch import nn

    class Standardize(nn.Module):  # type: ignore[misc]
        """(inputs - mean) * inverse_scale."""

        def __init__(self, mean: np.ndarray, inverse_scale: np.ndarray) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(mean))
            self.register_buffer("inverse_scale", torch.tensor(inverse_scale))

        def forward(self, inputs: Any) -> Any:
            return (inputs - self.mean) * self.inverse_scale

    modules: list[Any] = [] if scaling is None else [Standardize(*scaling)]
    for layer, matrix in enumerate(weights):
        linear = nn.Linear(*matrix.shape, bias=bool(biases), dtype=torch.tensor(matrix).dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(matrix.T))
            if biases:
                linear.bias.copy_(torch.tensor(biases[layer]))
        is_last = layer == len(weights) - 1
        modules += [linear, nn.Softmax(dim=1) if softmax and is_last else nn.Sigmoid()]
    return nn.Sequential(*modules)
