"""A neural network in a few lines, with the same bits on every array library.

train() is the article's trainer, "How to build a simple neural network in 9 lines of Python
code" (Milo Spencer-Harper, 2015), written once against the Array API standard.
"""

from neuron_xp.errors import (
    ClusterLostError,
    MissingBackendError,
    ModelFileError,
    TrainingDivergedError,
    UnknownBackendError,
    UnusableBackendError,
)
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.training.loop import Progress
from neuron_xp.training.train import train

__version__ = "0.1.0"

__all__ = [
    "ClusterLostError",
    "MissingBackendError",
    "ModelFileError",
    "NeuralNetwork",
    "Progress",
    "TrainingDivergedError",
    "UnknownBackendError",
    "UnusableBackendError",
    "train",
]
