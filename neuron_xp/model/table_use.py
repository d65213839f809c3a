"""The origin of a model in a table: kept in its file, so that others can check it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuron_xp.random_start import make_generator
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns

LATER = ("rows", "unordered", "groups", "held_out", "weights", "class_weights")
"""What is left out of a file where it is None, as the first formats did not have it."""


@dataclass(frozen=True)
class HeldOut:
    """Rows that were held out, and the score on them.

    rows : how many
    fingerprint : of inputs and targets
    loss : the mean loss, in hexadecimal, as JSON may round it
    accuracy : the share of right classes; None for numbers
    """

    rows: int
    fingerprint: str
    loss: str
    accuracy: float | None


@dataclass(frozen=True)
class TableUse:
    """Origin of a model in a table: how it was read, and which rows were held out of training.

    holdout : the share of the rows that is held out
    split_seed : of the permutation that chooses them
    rows : how many it was trained on, where that was kept
    unordered : a digest of these that does not know their order
    groups : digests of each 64 rows that it was trained on, where they are not many
    held_out : what was held out, and how the network did there
    weights : the column that says how much each row counts
    class_weights : "balanced", or (class, weight) pairs
    """

    reading: Reading
    columns: Columns
    holdout: float = 0.0
    split_seed: int = 1
    rows: int | None = None
    unordered: str | None = None
    groups: tuple[str, ...] | None = None
    held_out: HeldOut | None = None
    weights: str | None = None
    class_weights: str | tuple[tuple[str, float], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return dictionaries, lists, text and numbers, which JSON can hold."""
        found = asdict(self)
        return {k: v for k, v in found.items() if k not in LATER or v is not None}

    def needs_later_format(self) -> bool:
        """Tell whether it says more than the first formats of model files could."""
        return any(getattr(self, name) is not None for name in LATER)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "TableUse":
        """Return the record from what JSON holds, which has no tuples."""
        reading, columns = (
            Reading(**_tuples(found["reading"])),
            Columns(**_tuples(found["columns"])),
        )
        held_out = found.get("held_out")
        return cls(
            **{
                **_tuples(found),
                "reading": reading,
                "columns": columns,
                "held_out": None if held_out is None else HeldOut(**held_out),
            }
        )


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def split_rows(rows: int, use: TableUse) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows to train on, rows held out), numbers in the table's order.

    The held-out ones are the first share of RandomState(split_seed).permutation(rows).
    """
    order = make_generator(use.split_seed).permutation(rows)
    held_out = round(use.holdout * rows)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def mark_held_out(rows: int, use: TableUse) -> np.ndarray:
    """Return the split of `split_rows` as (rows,) booleans: True where a row is held out."""
    order = make_generator(use.split_seed).permutation(rows)
    marks = np.zeros(rows, dtype=bool)
    marks[order[: round(use.holdout * rows)]] = True
    return marks
