"""Numbers and words: how a cell's number is spelled, and which words a column holds."""

import numpy as np

from neuron_xp.tables.cells import Cells, Values, parsed


def words_of(cells: Cells, name: str) -> list[str]:
    """The cells of a column as words."""
    values = cells.others[name]
    return values if isinstance(values, list) else [spelled(value) for value in values.tolist()]


def spelled(number: float) -> str:
    """One word for one number, however the file spells it: '3' for 3 and 3.0."""
    return str(int(number)) if number.is_integer() else repr(number)


def numbers_of(values: Values, decimal: str) -> np.ndarray | None:
    """The values as numbers, or None if one of them is not."""
    if not isinstance(values, list):
        return values
    try:
        return np.asarray([parsed(word, decimal) for word in values])
    except ValueError:
        return None


def number_of(word: str, decimal: str) -> float | None:
    """The number that a word spells, or None."""
    try:
        return parsed(word, decimal)
    except ValueError:
        return None
