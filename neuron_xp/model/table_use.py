"""The origin of a model in a table: kept in its file, so that others can check it."""

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from neuron_xp.checks import check_whole_number
from neuron_xp.errors import ModelFileError
from neuron_xp.model.fingerprint import GROUP, MOST_GROUPS
from neuron_xp.random_start import make_generator
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.readers.arrays import TARGETS

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

    def makes_sense(self) -> bool:
        """Tell whether a training can have said this."""
        loss = float.fromhex(self.loss)  # NaN where a cell is far beyond those of the training
        return (
            _is_count(self.rows)
            and _is_hexadecimal(self.fingerprint, 64)
            and loss.hex() == self.loss
            and (self.accuracy is None or _is_share(self.accuracy))
        )


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
        if self.reading.header:  # which the first formats did not say
            del found["reading"]["header"]
        return {k: v for k, v in found.items() if k not in LATER or v is not None}

    def needs_later_format(self) -> bool:
        """Tell whether it says more than the first formats of model files could."""
        says_more = any(getattr(self, name) is not None for name in LATER)
        return says_more or not self.reading.header

    def read_with(self, **given: Any) -> "TableUse":
        """Return the same, read otherwise than in training where a setting is given, not None."""
        said = {name: value for name, value in given.items() if value is not None}
        return replace(self, reading=replace(self.reading, **said))

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

    def check(self, inputs: int, outputs: int) -> None:
        """Raise ModelFileError unless a network of such sizes can have come from this table."""
        for what, is_right in self._look(inputs, outputs):
            if not is_right:
                raise ModelFileError(f"its table has {what} that no training of it gives")

    def _look(self, inputs: int, outputs: int) -> Iterator[tuple[str, bool]]:
        """Yield what is looked at, and whether it is right; each rests on those before it."""
        columns = self.columns
        yield "settings for reading", _can_be_read(self.reading)
        yield "features", _are_names(columns.features) and bool(columns.features)
        yield "categories", _are_categories(columns)
        yield "columns", len(columns.input_names) == inputs
        yield "targets", _is_name(columns.target) and columns.target not in columns.features
        classes = columns.classes
        yield "classes", classes is None or (_are_names(classes) and len(classes) > 1)
        # numbers are several in an archive's array only
        several = classes is None and columns.target == TARGETS
        yield "classes", several or columns.neurons == outputs
        yield (
            "weights of rows",
            self.weights is None
            or (_is_name(self.weights) and self.weights not in (*columns.features, columns.target)),
        )
        yield "weights of classes", _can_weigh(self.class_weights, classes)
        check_whole_number("split_seed", self.split_seed, most=2**32 - 1)
        yield "shares held out", _is_share(self.holdout) and self.holdout < 1
        yield "rows", self.rows is None or _is_count(self.rows)
        yield "digests", self.unordered is None or _is_hexadecimal(self.unordered, 16)
        yield "digests", self._are_groups()
        yield "rows held out", self.held_out is None or self._fits(self.held_out)

    def _are_groups(self) -> bool:
        groups = self.groups
        if groups is None:
            return True
        return (
            isinstance(groups, tuple)
            and len(groups) <= MOST_GROUPS
            and all(_is_hexadecimal(group, 8) for group in groups)
            and self.rows is not None
            and len(groups) == math.ceil(self.rows / GROUP)
        )

    def _fits(self, held_out: HeldOut) -> bool:
        if not held_out.makes_sense():
            return False
        if held_out.accuracy is None and self.columns.classes is not None:
            return False
        whole = held_out.rows + (self.rows or 0)
        return self.rows is None or round(self.holdout * whole) == held_out.rows


# --- what a file may hold --------------------------------------------------------------


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= 2**53


def _is_share(value: Any) -> bool:
    return type(value) is float and 0 <= value <= 1


def _is_hexadecimal(value: Any, digits: int) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value))


def _is_name(value: Any) -> bool:
    """Tell whether it is text; halves of characters, which JSON can hold, are none."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _are_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_name, value)) and len(set(value)) == len(value)


def _can_be_read(reading: Reading) -> bool:
    return (
        (reading.target is None or isinstance(reading.target, str | int))
        and (reading.features is None or _are_names(reading.features))
        and all(map(_is_name, reading.categories))  # one may have been given twice
        and (reading.delimiter is None or _is_name(reading.delimiter))
        and isinstance(reading.drop_missing, bool)
        and isinstance(reading.header, bool)
    )


def _are_categories(columns: Columns) -> bool:
    categories = columns.categories
    if not isinstance(categories, tuple) or not all(_is_category(pair) for pair in categories):
        return False
    names = [name for name, _ in categories]
    return len(set(names)) == len(names) and set(names) <= set(columns.features)


def _is_category(pair: Any) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and _is_name(pair[0])
        and _are_names(pair[1])
        and bool(pair[1])
    )


def _can_weigh(weights: Any, classes: tuple[str, ...] | None) -> bool:
    if weights is None:
        return True
    if classes is None or isinstance(weights, str):
        return classes is not None and weights == "balanced"
    pairs = dict(weights)
    return (
        isinstance(weights, tuple)
        and len(pairs) == len(weights)
        and set(pairs) <= set(classes)
        and all(type(weight) is float and 0 <= weight < math.inf for weight in pairs.values())
        and any(pairs.get(name, 1.0) for name in classes)
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
