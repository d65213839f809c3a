"""Errors of this package, each a subclass of the built-in exception that a caller would catch."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

LEARN_CLASSES = (
    "to learn classes use neuron_xp.NeuronClassifier, or give their numbers: "
    "numpy.unique(targets, return_inverse=True)[1]"
)
INSTALL_KERNELS = "pip install 'neuron-xp[fast]'"
NO_DASK = "dask is not installed; type: pip install 'neuron-xp[dask]'"


class UnknownBackendError(ValueError):
    """A backend was asked for by a name that none has."""


class MissingBackendError(ImportError):
    """The backend's library is not installed."""


class UnusableBackendError(RuntimeError):
    """The library is installed, but it, or the device, cannot do what was asked."""


class ModelFileError(ValueError):
    """A file is not a model file of this format, or is damaged."""

    def __init__(self, message: str) -> None:
        super().__init__(show_text(message, 300))  # it may hold what is in the file


class LearningWarning(UserWarning):
    """A training ended, and has learned little: the message says why, and what to try."""


@contextmanager
def ignore_learning() -> Iterator[None]:
    """Be silent about what trainings learn, where that is not what they are for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningWarning)
        yield


class ClusterLostError(ConnectionError):
    """The scheduler, or every worker, is gone."""


class TrainingDivergedError(FloatingPointError):
    """The weights, or the loss of the first ones, became infinite or NaN.

    `iteration` is the first iteration (from 1) after which they were; `learning_rate` is None
    for L-BFGS, which starts from a finite loss and then stays there.
    """

    def __init__(self, iteration: int, learning_rate: float | None = None) -> None:
        if learning_rate is None:
            super().__init__(
                "the loss or its gradient is infinite or NaN before the first iteration: give "
                "standardize=True, or inputs of smaller magnitude"
            )
        else:
            super().__init__(
                f"weights became infinite or NaN in iteration {iteration} "
                f"with learning_rate={learning_rate!r}: try a smaller learning_rate, "
                "or inputs of smaller magnitude"
            )
        self.iteration = iteration
        self.learning_rate = learning_rate

    def __reduce__(self) -> tuple[type, tuple[int, float | None]]:
        """Pickle by the two arguments, as for the way back from a pool of workers."""
        return type(self), (self.iteration, self.learning_rate)


def did_you_mean(given: object, options: Iterable[str]) -> str:
    """End a message: "; did you mean 'x'?", or "; choose from x, y" without a close name."""
    names = sorted(options)
    close = get_close_matches(str(given).lower()[:100], names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    words = show_text(f"; choose from {', '.join(names)}")
    return words if len(words) <= 300 else f"{words[:300].rpartition(',')[0] or words[:300]}, ..."


OTHER_NAMES = {
    "C": "l2=1/C",
    "alpha": "l2",
    "epochs": "iterations",
    "fit_intercept": "bias",
    "hidden_layer_sizes": "hidden",
    "lr": "learning_rate",
    "max_iter": "iterations",
    "n_iter": "iterations",
    "n_jobs": "threads",
    "random_state": "seed",
    "sample_weight": "weights",
    "solver": "optimizer",
    "tol": "gradient_tolerance",
    "verbose": "on_progress=neuron_xp.progress_bar()",
    "weight_decay": "l2",
}
"""Names of settings in other libraries, and what they are called here."""


def unknown_keyword_error(function: str, given: str, known: Iterable[str]) -> TypeError:
    """Return the error for a keyword that a function has not, with the one that was meant."""
    known_as = OTHER_NAMES.get(given)
    hint = did_you_mean(given, known) if known_as is None else f"; give {known_as}"
    return TypeError(f"unknown keyword {given!r} of {function}(){hint}")


def show_text(text: object, most: int | None = None) -> str:
    r"""Spell what a terminal would act on, as text from a file may hold, and cut what is long.

    most : characters; more lose those in the middle

    >>> print(show_text("red\x1b[31m"), show_text("a" * 100, 15))
    red\x1b[31m aaaaa ... aaaaa
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(map(_spell_character, shown))
    if most is None or len(shown) <= most:
        return shown
    half = (most - 5) // 2
    return f"{shown[:half]} ... {shown[-half:]}"


def _spell_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def one_line(error: BaseException | None) -> str:
    """Shorten the message of a library's error to one line of at most 200 characters."""
    return show_text(" ".join(str(error).split()))[:200] or type(error).__name__
