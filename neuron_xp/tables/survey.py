"""One look at a table, file by file: all that must be known before it can be trained on.

The survey of each file is small, can be sent to another process and merged with that of the
file after it; what the columns mean follows from the survey of all.
"""

from dataclasses import dataclass, replace
from functools import partial, reduce
from os import PathLike
from pathlib import Path

import numpy as np

from neuron_xp.tables.cells import Cells, Reading, Wanted
from neuron_xp.tables.columns import Columns, for_training, refuse_other_columns
from neuron_xp.tables.files import Rows, named, part_chunks, refuse_empty
from neuron_xp.tables.targets import Targets, classes_of, few_words, merge_targets, targets_in
from neuron_xp.tables.words import words_of


@dataclass(frozen=True, eq=False)
class Survey:
    """What some rows of a table hold.

    source, parts : the name of the first file, and how many there are
    names : of all columns, or none where they are not compared
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
    def table(self) -> str:
        """What messages call the table."""
        return named(self.source, self.parts)


def survey_file(path: str | PathLike[str], reading: Reading, rows: Rows | None = None) -> Survey:
    """The survey of one file, read in chunks of as many rows as `rows` says, or whole.

    Raises TableError for what is no table or cannot be learned from, or OSError.
    """
    found = list[tuple[str, ...]]()

    def choose(source: str, names: tuple[str, ...]) -> Wanted:
        found.append(names)
        return for_training(reading, source, names)

    chunks = part_chunks(Path(path), reading, choose, rows)
    whole = reduce(_merge_rows, (survey_of(cells, reading.decimal) for cells in chunks))
    return replace(whole, names=found[0])


def survey_of(cells: Cells, decimal: str) -> Survey:
    """The survey of one chunk."""
    words = (
        few_words(cells.source, name, frozenset(words_of(cells, name)))
        for name in cells.wanted.categories
    )
    return Survey(
        cells.source,
        1,
        (),
        cells.wanted,
        len(cells.lines),
        cells.dropped,
        cells.numbers.min(axis=0, initial=np.inf),
        cells.numbers.max(axis=0, initial=-np.inf),
        tuple(words),
        targets_in(cells, decimal),
    )


def merge(a: Survey, b: Survey) -> Survey:
    """The survey of the files of both, those of `a` first; TableError if they do not fit."""
    refuse_other_columns(a.source, a.names, b.source, b.names)
    return replace(_merge_rows(a, b), parts=a.parts + b.parts)


def _merge_rows(a: Survey, b: Survey) -> Survey:
    """The survey of the rows of both."""
    categories = zip(a.wanted.categories, a.words, b.words, strict=True)
    return replace(
        a,
        rows=a.rows + b.rows,
        dropped=a.dropped + b.dropped,
        low=np.minimum(a.low, b.low),
        high=np.maximum(a.high, b.high),
        words=tuple(few_words(b.source, name, x | y) for name, x, y in categories),
        targets=merge_targets(b.source, str(a.wanted.target), a.targets, b.targets),
    )


def survey_chunks(chunks: list[Cells], decimal: str, parts: int) -> Survey:
    """The survey of chunks that are in memory, of so many files."""
    whole = reduce(_merge_rows, map(partial(survey_of, decimal=decimal), chunks))
    return replace(whole, parts=parts)


def columns_of(survey: Survey) -> Columns:
    """What the columns mean in training.

    Two words as targets become 0 and 1, more of them one column each. Targets in [0, 1] are
    taken as they are; 2 to 20 other whole numbers are classes. Raises TableError for no rows,
    a single class, and targets that are neither classes nor numbers in [0, 1].
    """
    refuse_empty(survey.table, survey.rows, survey.dropped)
    wanted = survey.wanted
    words = tuple(map(tuple, map(sorted, survey.words)))
    target = str(wanted.target)
    classes = classes_of(survey.table, target, survey.targets)
    categories = tuple(zip(wanted.categories, words, strict=True))
    return Columns(wanted.features, target, classes, categories)


def constant_inputs(survey: Survey, columns: Columns) -> tuple[str, ...]:
    """The names of the inputs that are the same in each row."""
    same = dict(zip(survey.wanted.numbers, (survey.low == survey.high).tolist(), strict=True))
    same |= {name: len(words) == 1 for name, words in columns.categories}
    alone = {name: words for name, words in columns.categories if len(words) == 1}
    return tuple(
        f"{name}={alone[name][0]}" if name in alone else name
        for name in columns.features
        if same[name]
    )
