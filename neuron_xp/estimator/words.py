"""Words of the estimator: what the trainer says, in scikit-learn's names of its settings."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = {
    "gradient_tolerance": "tol",
    "inputs": "X",
    "iterations": "max_iter",
    "seed": "random_state",
    "targets": "y",
    "tolerance": "tol",
}
"""The names of `neuron_xp.train`, and the estimator's."""
SETTING = re.compile(r"\b(?:gradient_tolerance|iterations|seed|tolerance)(?==| must be| says)")
DATA = re.compile(r"\b(?:inputs|targets)(?=\[)|^(?:inputs|targets)(?= )")


def say(message: str) -> str:
    """Say a message of the trainer in the estimator's words.

    >>> say("the training did all of its iterations=5; give iterations=50 or l2=1.0")
    'the training did all of its max_iter=5; give max_iter=50 or l2=1.0'
    >>> say("inputs[0, 1] is nan; inputs must be finite numbers")
    'X[0, 1] is nan; inputs must be finite numbers'
    """
    for pattern in (SETTING, DATA):
        message = pattern.sub(lambda found: NAMES[found[0]], message)
    return message


@contextmanager
def in_own_words() -> Iterator[None]:
    """Raise errors in the estimator's words."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(say(str(error))) from error
