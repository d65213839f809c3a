"""Targets of a training: whether they are classes or numbers, from what can be merged."""

from dataclasses import dataclass

import numpy as np

from neuron_xp.tables.cells import Cells, TableError, Words, is_rounded, spell_number

MOST_NUMBERED_CLASSES = 20
MOST_WORDS = 2**16
"""In one column: each becomes a column of inputs or of targets."""


@dataclass(frozen=True)
class Targets:
    """The distinct targets of some rows, as far as they decide between classes and numbers.

    neurons : 1, or the columns of an array of targets
    is_text : whether the file holds them as text; None without rows
    words : those that are no numbers
    spellings : those that are, as the file spells them; None for more than MOST_WORDS
    numbers : the same, each in one spelling; None for more than MOST_NUMBERED_CLASSES
    first_word, first_outside : the message about the first target that is no number, and about
        the first number outside [0, 1]
    """

    neurons: int = 1
    is_text: bool | None = None
    words: frozenset[str] = frozenset()
    spellings: frozenset[str] | None = frozenset()
    numbers: frozenset[str] | None = frozenset()
    first_word: str | None = None
    first_outside: str | None = None


def survey_targets(cells: Cells) -> Targets:
    """Survey the targets of a chunk."""
    values = cells.others[cells.target]
    if not len(values):
        return Targets()
    if isinstance(values, Words):
        return _survey_words(cells, values)
    return _survey_numbers(cells, values)


def _survey_words(cells: Cells, values: Words) -> Targets:
    numbers = parse_targets(cells, values)
    words = values.used() - numbers.keys()
    outside = {word for word, number in numbers.items() if not 0 <= number <= 1}
    first_word = first_outside = None
    if words:
        row = values.first(words)
        first_word = str(values.number_error(cells.locate(row, cells.target), row))
    if outside:
        row = values.first(outside)
        first_outside = str(outside_error(cells, row, numbers[values.distinct[values.codes[row]]]))
    return Targets(
        is_text=True,
        words=check_few_words(cells.source, cells.target, words),
        spellings=_at_most(MOST_WORDS, frozenset(numbers)),
        numbers=_at_most(MOST_NUMBERED_CLASSES, frozenset(map(spell_number, numbers.values()))),
        first_word=first_word,
        first_outside=first_outside,
    )


def parse_targets(cells: Cells, values: Words) -> dict[str, float]:
    """Find the number that each distinct target spells; TableError for one that is rounded."""
    numbers = values.numbers()
    rounded = {word for word, number in numbers.items() if is_rounded(word, number)}
    if rounded:
        row = values.first(rounded)
        raise values.number_error(cells.locate(row, cells.target), row)
    return numbers


def _survey_numbers(cells: Cells, values: np.ndarray) -> Targets:
    at = find_outside(values)
    first_outside = None
    if at is not None:
        first_outside = str(outside_error(cells, at[0], float(values[at])))
    neurons = 1 if values.ndim == 1 else values.shape[1]
    # sorting all of them is dear, and a few tell that there are many
    few = np.unique(values[:1000])
    if len(few) <= MOST_NUMBERED_CLASSES:
        few = np.unique(values)
    numbers = frozenset(map(spell_number, few[: MOST_NUMBERED_CLASSES + 1].tolist()))
    numbers_or_none = _at_most(MOST_NUMBERED_CLASSES, numbers)
    return Targets(
        neurons, is_text=False, spellings=None, numbers=numbers_or_none, first_outside=first_outside
    )


def find_outside(numbers: np.ndarray) -> tuple[int, ...] | None:
    """Find the index of the first number that is not in [0, 1]."""
    found = np.argwhere(~((numbers >= 0) & (numbers <= 1)))
    return tuple(found[0].tolist()) if len(found) else None


def outside_error(cells: Cells, row: int, value: float) -> TableError:
    """Explain that a target is no number in [0, 1] and no class."""
    return TableError(
        f"{cells.locate(row, cells.target)}: target {value!r} is outside [0, 1]; scale "
        f"the targets, or give 2 to {MOST_NUMBERED_CLASSES} classes, as words or whole numbers"
    )


def merge_targets(source: str, name: str, a: Targets, b: Targets) -> Targets:
    """Merge two surveys, a's rows before b's; `source` and the column's `name` are for messages."""
    if None in (a.is_text, b.is_text):
        return a if b.is_text is None else b
    if a.is_text != b.is_text:
        raise TableError(
            f"{source}: column {name!r} holds {'text' if b.is_text else 'numbers'}, and "
            f"{'text' if a.is_text else 'numbers'} in the parts before; store it alike"
        )
    if a.neurons != b.neurons:
        raise TableError(
            f"{source}: 'targets' have {b.neurons} columns, and {a.neurons} in the parts before"
        )
    return Targets(
        a.neurons,
        a.is_text,
        check_few_words(source, name, a.words | b.words),
        _unite(MOST_WORDS, a.spellings, b.spellings),
        _unite(MOST_NUMBERED_CLASSES, a.numbers, b.numbers),
        a.first_word or b.first_word,
        a.first_outside or b.first_outside,
    )


def _unite(most: int, a: frozenset[str] | None, b: frozenset[str] | None) -> frozenset[str] | None:
    return None if a is None or b is None else _at_most(most, a | b)


def _at_most(most: int, words: frozenset[str]) -> frozenset[str] | None:
    return words if len(words) <= most else None


def check_few_words(source: str, name: str, words: frozenset[str]) -> frozenset[str]:
    """Return the words of a column, or raise if they are too many to have a column each."""
    if len(words) > MOST_WORDS:
        raise TableError(
            f"{source}: column {name!r} holds more than {MOST_WORDS} different words, each of "
            "which would become a column; are they names, and no classes?"
        )
    return words


def find_classes(source: str, name: str, targets: Targets) -> tuple[str, ...] | None:
    """Find the classes, in order, or None for numbers in [0, 1]; TableError for neither."""
    if targets.neurons == 1:
        found = _list_distinct(targets)
        if found is not None and len(found) < 2:
            raise TableError(
                f"{source}: column {name!r} is {found[0]!r} in each row; "
                "give examples of at least two classes"
            )
        if found is not None and (targets.words or _are_classes(targets, found)):
            return found
    if targets.first_outside:
        raise TableError(targets.first_outside)
    return None


def _list_distinct(targets: Targets) -> tuple[str, ...] | None:
    """List the distinct targets in order; None for many numbers."""
    if targets.first_word is None:
        return None if targets.numbers is None else tuple(sorted(targets.numbers, key=float))
    # a word or two in a long column of numbers is a mistake, and no class
    words, numbers = targets.words, targets.spellings
    if numbers is None or (
        len(words) + len(numbers) > MOST_NUMBERED_CLASSES and len(numbers) > len(words)
    ):
        raise TableError(targets.first_word)
    return tuple(sorted(words | numbers))


def _are_classes(targets: Targets, found: tuple[str, ...]) -> bool:
    return bool(targets.first_outside) and all(float(word).is_integer() for word in found)
