"""A neural network in a few lines, with the same bits on every array library.

train() is the article's trainer, "How to build a simple neural network in 9 lines of Python
code" (Milo Spencer-Harper, 2015), written once against the Array API standard.
"""

import neuron_xp.start  # noqa: F401  before what takes a while to import

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuron_xp import plots
    from neuron_xp.errors import (
        ClusterLostError,
        LearningWarning,
        MissingBackendError,
        ModelFileError,
        TrainingDivergedError,
        UnknownBackendError,
        UnusableBackendError,
    )
    from neuron_xp.estimator.classifier import NeuronClassifier
    from neuron_xp.model.network import NeuralNetwork
    from neuron_xp.progress import progress_bar
    from neuron_xp.tables.cells import TableError
    from neuron_xp.training.report import Progress
    from neuron_xp.training.train import train
    from neuron_xp.workflows.table_scoring import Predictions, Score, evaluate, predict
    from neuron_xp.workflows.table_training import TrainedOnTable, train_on_table
    from neuron_xp.workflows.verification import Verification, verify

__version__ = "0.1.0"

_HOMES = {
    "errors": (
        "ClusterLostError", "LearningWarning", "MissingBackendError", "ModelFileError",
        "TrainingDivergedError", "UnknownBackendError", "UnusableBackendError",
    ),
    "estimator.classifier": ("NeuronClassifier",),
    "model.network": ("NeuralNetwork",),
    "plots": ("plots",),
    "progress": ("progress_bar",),
    "tables.cells": ("TableError",),
    "training.report": ("Progress",),
    "training.train": ("train",),
    "workflows.table_scoring": ("Predictions", "Score", "evaluate", "predict"),
    "workflows.table_training": ("TrainedOnTable", "train_on_table"),
    "workflows.verification": ("Verification", "verify"),
}  # fmt: skip
"""Names by the modules that have them, each imported when it is first asked for."""

_EXTRAS = {"NeuronClassifier": "sklearn", "plots": "plots"}
"""What needs a library that not everybody has, and the extra that brings it."""


def __getattr__(name: str) -> Any:
    """Import what is asked for by its name."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        if name not in _EXTRAS:
            raise
        library = str(error.name).partition(".")[0]
        raise ImportError(
            f"{__name__}.{name} needs {library}, which is not installed; type: "
            f"pip install 'neuron-xp[{_EXTRAS[name]}]'"
        ) from error
    found = globals()[name] = module if home == name else getattr(module, name)
    return found


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})


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
