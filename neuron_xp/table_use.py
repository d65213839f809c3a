"""How a model came from a table: kept in its file, so that others can check it."""

from dataclasses import asdict, dataclass
from typing import Any

from neuron_xp.backend import HostArray
from neuron_xp.backends import host
from neuron_xp.random_start import generator
from neuron_xp.tables import Columns, Reading, Table


@dataclass(frozen=True)
class TableUse:
    """What was read, what its columns mean, and which share was held out of training."""

    reading: Reading
    columns: Columns
    holdout: float = 0.0
    split_seed: int = 1

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, text and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "TableUse":
        """Back from JSON, which has no tuples."""
        reading, columns = (
            Reading(**_tuples(found["reading"])),
            Columns(**_tuples(found["columns"])),
        )
        return cls(**{**found, "reading": reading, "columns": columns})


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def split(table: Table, use: TableUse) -> tuple[HostArray, HostArray]:
    """(rows to train on, rows held out), each in the table's order.

    The held-out ones are the first share of RandomState(split_seed).permutation(rows).
    """
    rows = len(table.inputs)
    order = generator(use.split_seed).permutation(rows)
    held_out = round(use.holdout * rows)
    return host.sort(order[held_out:]), host.sort(order[:held_out])
