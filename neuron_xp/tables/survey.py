"""The survey of a table, file by file: all that must be known before it can be trained on.

The survey of each file is small, can be sent to another process and merged with that of the
file after it; what the columns mean follows from the survey of all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path

import numpy as np

from neuron_xp.tables.cells import Cells, Reading, Wanted
from neuron_xp.tables.columns import Columns, check_same_columns, select_for_training
from neuron_xp.tables.files import RowLimit, check_not_empty, name_table, open_table
from neuron_xp.tables.targets import (
    Targets,
    check_few_words,
    find_classes,
    merge_targets,
    survey_targets,
)


@dataclass(frozen=True, eq=False)
class Survey:
    """A summary of some rows of a table.

    source, parts : the name of the first file, and how many there are
    names : of all columns
    wanted : the columns to learn from, and the target
    rows, dropped : how many there are, and how many more were left out for a missing cell
    low, high : (numbers,) the ends of each of `wanted.numbers`
    words : of each of `wanted.categories`
    targets : what decides between classes and numbers
    """

    source: str
    parts: int
    names: tuple[str, ...]
    wanted: Wanted
    rows: int
    dropped: int
    low: np.ndarray
    high: np.ndarray
    words: tuple[frozenset[str], ...]
    targets: Targets

    @property
    def table_name(self) -> str:
        """The table's name in messages."""
        return name_table(self.source, self.parts)


def survey_file(
    path: str | PathLike[str], reading: Reading, rows: RowLimit | None = None
) -> Survey:
    """Survey one file, in chunks of as many rows as `rows` says, or whole.

    Raises TableError for what is no table or cannot be learned from, or OSError.
    """
    with open_table(Path(path), reading) as file:
        wanted = select_for_training(reading, file.source, file.names)
        chunks = file.chunks(wanted, None if rows is None else rows(file, wanted))
        return survey_chunks(chunks, file.names)


def survey_chunks(chunks: Iterable[Cells], names: tuple[str, ...]) -> Survey:
    """Survey the chunks of a file with these columns."""
    return reduce(_merge_rows, (_survey_cells(cells, names) for cells in chunks))


def _survey_cells(cells: Cells, names: tuple[str, ...]) -> Survey:
    words = (
        check_few_words(cells.source, name, cells.words(name).used())
        for name in cells.wanted.categories
    )
    return Survey(
        source=cells.source,
        parts=1,
        names=names,
        wanted=cells.wanted,
        rows=len(cells.lines),
        dropped=cells.dropped,
        low=cells.numbers.min(axis=0, initial=np.inf),
        high=cells.numbers.max(axis=0, initial=-np.inf),
        words=tuple(words),
        targets=survey_targets(cells),
    )


def merge_surveys(a: Survey, b: Survey) -> Survey:
    """Merge surveys of files, those of `a` before those of `b`; TableError if they do not fit."""
    check_same_columns(a.source, a.names, b.source, b.names)
    return replace(_merge_rows(a, b), parts=a.parts + b.parts)


def _merge_rows(a: Survey, b: Survey) -> Survey:
    categories = zip(a.wanted.categories, a.words, b.words, strict=True)
    return replace(
        a,
        rows=a.rows + b.rows,
        dropped=a.dropped + b.dropped,
        low=np.minimum(a.low, b.low),
        high=np.maximum(a.high, b.high),
        words=tuple(check_few_words(b.source, name, x | y) for name, x, y in categories),
        targets=merge_targets(b.source, str(a.wanted.target), a.targets, b.targets),
    )


def decide_columns(survey: Survey) -> Columns:
    """Decide what the columns mean in training.

    Two words as targets become 0 and 1, more of them one column each. Targets in [0, 1] are
    taken as they are; 2 to 20 other whole numbers are classes. Raises TableError for no rows,
    a single class, and targets that are neither classes nor numbers in [0, 1].
    """
    check_not_empty(survey.table_name, survey.rows, survey.dropped)
    wanted = survey.wanted
    words = tuple(map(tuple, map(sorted, survey.words)))
    target = str(wanted.target)
    classes = find_classes(survey.table_name, target, survey.targets)
    categories = tuple(zip(wanted.categories, words, strict=True))
    return Columns(wanted.features, target, classes, categories)


def find_constant_inputs(survey: Survey, columns: Columns) -> tuple[str, ...]:
    """Find the names of the inputs that are the same in each row."""
    same = dict(zip(survey.wanted.numbers, (survey.low == survey.high).tolist(), strict=True))
    same |= {name: len(words) == 1 for name, words in columns.categories}
    alone = {name: words for name, words in columns.categories if len(words) == 1}
    return tuple(
        f"{name}={alone[name][0]}" if name in alone else name
        for name in columns.features
        if same[name]
    )
