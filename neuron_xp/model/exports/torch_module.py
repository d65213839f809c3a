"""A network as a module of PyTorch, to be trained further, saved or deployed there."""

from collections import OrderedDict
from functools import cache
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

    Its modules are `standardize`, then `linear0`, `sigmoid0`, `linear1` and so on.

    scaling : (mean, inverse_scale) of a first module that standardizes, or None
    softmax : whether it takes the sigmoid's place in the last layer

    Raises MissingBackendError.
    """
    open_backend("torch")  # which says how to install it
    import torch
    from torch import nn

    modules: OrderedDict[str, Any] = OrderedDict()
    if scaling is not None:
        modules["standardize"] = _make_standardize_class()(*scaling)
    for layer, matrix in enumerate(weights):
        linear = nn.Linear(*matrix.shape, bias=bool(biases), dtype=torch.tensor(matrix).dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(matrix.T))
            if biases:
                linear.bias.copy_(torch.tensor(biases[layer]))
        modules[f"linear{layer}"] = linear
        if softmax and layer == len(weights) - 1:
            modules[f"softmax{layer}"] = nn.Softmax(dim=-1)  # of one example, too
        else:
            modules[f"sigmoid{layer}"] = nn.Sigmoid()
    return nn.Sequential(modules)


@cache
def _make_standardize_class() -> Any:
    """Return the class `Standardize`, which there is only with PyTorch."""
    import torch
    from torch import nn

    class Standardize(nn.Module):  # type: ignore[misc]
        """(inputs - mean) * inverse_scale."""

        def __init__(self, mean: np.ndarray, inverse_scale: np.ndarray) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(mean))
            self.register_buffer("inverse_scale", torch.tensor(inverse_scale))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return (inputs - self.mean) * self.inverse_scale

    Standardize.__qualname__ = "Standardize"  # by which a pickle finds it in this file
    return Standardize


def __getattr__(name: str) -> Any:
    """Return what a pickle of a module asks for, without PyTorch at the top of this file."""
    if name == "Standardize":
        return _make_standardize_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
