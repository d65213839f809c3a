"""Columns of a table: which are read, found by name, and what they are called."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from neuron_xp.errors import did_you_mean
from neuron_xp.tables.cells import Reading, TableError, Wanted
from neuron_xp.tables.readers.arrays import TARGETS


@dataclass(frozen=True)
class Columns:
    """The meaning of a table's columns.

    features : their names, in the order of the inputs
    target : its name
    classes : what the target's words stand for, in order; None for numbers in [0, 1].
        Of two, the second is 1; more have one column each.
    categories : (name, its words in order) of each feature that becomes one column a word
    """

    features: tuple[str, ...]
    target: str
    classes: tuple[str, ...] | None
    categories: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs' columns, such as 'radius' and 'colour=red'."""
        words = dict(self.categories)
        return tuple(
            expanded
            for name in self.features
            for expanded in (
                [f"{name}={word}" for word in words[name]] if name in words else [name]
            )
        )

    @property
    def neurons(self) -> int:
        """The number of columns of the targets, in a table of text or of one array."""
        return 1 if self.classes is None or len(self.classes) == 2 else len(self.classes)


def select_for_training(reading: Reading, source: str, names: tuple[str, ...]) -> Wanted:
    """Select the columns that the reading asks for, among a file's names."""
    target = _find_target(source, reading.target, names)
    given = reading.features
    features = tuple(name for name in names if name != target) if given is None else tuple(given)
    _check_known(source, features, names, "feature")
    if len(set(features)) < len(features):
        raise TableError(f"{source}: a feature is given twice in {', '.join(features)}")
    if target in features:
        raise TableError(f"{source}: {target!r} is the target and cannot be a feature, too")
    if not features:
        raise TableError(f"{source}: no feature is left beside the target {target!r}")
    if "" in features:
        number = names.index("") + 1
        raise TableError(f"{source}: column {number} has no name; name it, or give features=[...]")
    _check_known(source, reading.categories, features, "category")
    categories = tuple(name for name in features if name in reading.categories)
    return Wanted(features, categories, target)


def _find_target(source: str, target: str | int | None, names: tuple[str, ...]) -> str:
    if source.lower().endswith(".npz"):
        if target not in (None, TARGETS):
            raise TableError(f"{source}: its target is the array 'targets'; give target='targets'")
        if TARGETS not in names:
            raise TableError(f"{source}: has no array 'targets'; save it beside 'inputs'")
        return TARGETS
    if target is None:
        last = f"; the last column is {names[-1]!r}"
        raise TableError(f"{source}: which column is the target? give target=NAME{last}")
    if isinstance(target, int):
        if str(target) in names and not 0 <= target < len(names):  # a year, say
            return str(target)
        if not 0 <= target < len(names):
            raise TableError(
                f"{source}: no column {target}; the columns are numbered 0 to {len(names) - 1}"
            )
        return names[target]
    _check_known(source, (target,), names, "target")
    return target


def _check_known(source: str, given: Iterable[str], names: tuple[str, ...], role: str) -> None:
    known = set(names)
    for name in given:
        if name not in known:
            hint = _split_hint(name, known, role) or (
                _header_hint(source, names) + did_you_mean(name, names)
            )
            raise TableError(f"{source}: no {role} {name!r}{hint}")


def _header_hint(source: str, names: tuple[str, ...]) -> str:
    """Go on with a message where the first line of text may be a row, or no line of names."""
    is_text = source.lower().endswith((".csv", ".tsv"))
    if is_text and len(names) == 1 and " " in names[0]:
        return "; for another delimiter give delimiter=' '"
    is_row = any(map(_spells_number, names)) and names != tuple(map(str, range(len(names))))
    return "; if the first line is a row give header=False" if is_text and is_row else ""


def _spells_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?", name) is not None


def _split_hint(given: str, known: set[str], role: str) -> str:
    """End a message where several names were given as one."""
    setting = {"feature": "features", "category": "categories"}.get(role)
    names = [name for name in re.split(r"[,;\s]+", given) if name]
    several = setting is not None and len(names) > 1 and known.issuperset(names)
    return f"; give {setting}={names}" if several else ""


def select_for_model(
    columns: Columns, source: str, names: tuple[str, ...], *, targets: bool
) -> Wanted:
    """Select the columns of a model among a file's names; its target only with `targets`."""
    _check_known(source, columns.features, names, "column")
    if targets:
        _check_known(source, (columns.target,), names, "target")
    categories = tuple(name for name, _ in columns.categories)
    return Wanted(columns.features, categories, columns.target if targets else None)


def note_differences(columns: Columns, source: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Say, a sentence each, what else is in a file, and whether the order is another."""
    notes, known = list[str](), set(columns.features)
    extra = [name for name in names if name not in known and name != columns.target]
    if extra:
        some = ", ".join(map(repr, extra[:5])) + (", ..." if len(extra) > 5 else "")
        notes.append(f"{source}: the model does not use {some}")
    if [name for name in names if name in known] != list(columns.features):
        notes.append(f"{source}: columns in another order than the model's, matched by name")
    return tuple(notes)


def check_same_columns(
    first: str, names: tuple[str, ...], source: str, others: tuple[str, ...]
) -> None:
    """Raise unless a file has the columns of the first one, in their order."""
    if others == names:
        return
    wanted = "; parts of a table must have the same columns in the same order"
    for name in names:
        if name not in others:
            raise TableError(f"{source}: no column {name!r}, which {first} has{wanted}")
    for name in others:
        if name not in names:
            raise TableError(f"{source}: column {name!r}, which {first} has not{wanted}")
    name, other = next(pair for pair in zip(names, others, strict=True) if pair[0] != pair[1])
    raise TableError(f"{source}: column {other!r} stands where {first} has {name!r}{wanted}")
