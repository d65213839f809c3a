"""A neural network in a few lines, with the same bits on every array library.

train() is the article's trainer, "How to build a simple neural network in 9 lines of Python
code" (Milo Spencer-Harper, 2015), written once against the Array API standard.
"""

import neuron_xp.start  # noqa: F401  before what takes a while to import

# isort: split
from importlib import import_module
from typing import Any

from neuron_xp.errors import (
    ClusterLostError,
    LearningWarning,
    MissingBackendError,
    ModelFileError,
    TrainingDivergedError,
    UnknownBackendError,
    UnusableBackendError,
)
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.tables.cells import TableError
from neuron_xp.training.report import Progress
from neuron_xp.training.train import train
from neuron_xp.workflows.table_scoring import Predictions, Score, evaluate, predict
from neuron_xp.workflows.table_training import TrainedOnTable, train_on_table
from neuron_xp.workflows.verification import Verification, verify

__version__ = "0.1.0"

_LAZY = {
    "NeuronClassifier": ("neuron_xp.estimator.classifier", "sklearn"),
    "plots": ("neuron_xp.plots", "plots"),
    "progress_bar": ("neuron_xp.progress", ""),
}
"""What needs a library that takes a while, or that not everybody has: its module and extra."""


def __getattr__(name: str) -> Any:
    """Import what is asked for by its name."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    path, extra = _LAZY[name]
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        raise ImportError(
            f"{__name__}.{name} needs {library}, which is not installed; type: "
            f"pip install 'neuron-xp[{extra}]'"
        ) from error
    return module if path == f"{__name__}.{name}" else getattr(module, name)


__all__ = [
    "ClusterLostError",
    "LearningWarning",
    "MissingBackendError",
    "ModelFileError",
    "NeuralNetwork",
    "NeuronClassifier",
    "Predictions",
    "Progress",
    "Score",
    "TableError",
    "TrainedOnTable",
    "TrainingDivergedError",
    "UnknownBackendError",
    "UnusableBackendError",
    "Verification",
    "evaluate",
    "plots",
    "predict",
    "progress_bar",
    "train",
    "train_on_table",
    "verify",
]
