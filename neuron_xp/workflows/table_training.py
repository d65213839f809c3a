"""Training on tables, from a file to a network: train_on_table.

A table is a CSV, TSV, NPY, NPZ or Parquet file, a folder of parts, or a pattern. `max_memory`, in
bytes or as text ("500MB"), bounds what the data take: a table is then read in chunks, and trained
on from a working copy on the disk. It changes no bit. None reads the table whole. With
`on_cluster` the workers of the active Dask client read the table and train.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from inspect import signature
from os import PathLike
from pathlib import PurePath
from typing import Any

from neuron_xp import checks
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import unknown_keyword_error
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import AUTO, OPTIMIZER_DEFAULTS, WEIGHTED, Settings, check_settings
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.training.data.in_parts import SHUFFLE_ROWS
from neuron_xp.training.data.training_set import MOST_CLASSES, Given, Where, open_training_set
from neuron_xp.training.fit import explain_lost_cluster, fit
from neuron_xp.training.report import Progress
from neuron_xp.workflows.table_data import open_table_data
from neuron_xp.workflows.table_scoring import Score, add_unordered, describe_held_out
from neuron_xp.workflows.table_weights import check_class_weights, read_weights_too, weigh_rows

DEFAULTS: dict[str, Any] = {"optimizer": "lbfgs", "bias": True, "standardize": True}
BY_OPTIMIZER: dict[str, dict[str, Any]] = {
    "gradient_descent": {"learning_rate": AUTO},
    "lbfgs": {"l2": 1.0},
    "adam": {"l2": 1.0},
}
"""What differs from the defaults of `neuron_xp.train`."""


@dataclass(frozen=True)
class TableSettings:
    """Settings that were checked before the table is known; made by `check_table_settings`.

    base : for a target of two classes, or of numbers
    rule_by_target : whether a softmax takes the place of the rule for three classes and more
    """

    base: Settings
    rule_by_target: bool

    def choose(self, columns: Columns) -> Settings:
        """Return the settings for a table with these columns."""
        if self.rule_by_target and 2 < len(columns.classes or ()) <= MOST_CLASSES:
            return replace(self.base, rule="softmax_cross_entropy")
        return self.base


def check_table_settings(**given: Any) -> TableSettings:
    """Return settings of `neuron_xp.train`, or raise a line about the first that is wrong.

    Those that are not given, or None, have the defaults of tables.
    """
    said = {name: value for name, value in given.items() if value is not None}
    defaults = DEFAULTS | said
    optimizer = checks.check_choice("optimizer", defaults["optimizer"], OPTIMIZER_DEFAULTS)
    base = check_settings(**(BY_OPTIMIZER[optimizer] | defaults))
    return TableSettings(base, "rule" not in said and base.rule == "cross_entropy")


@dataclass(frozen=True, eq=False)
class TrainedOnTable:
    """A network that was trained on a table, and what the table was.

    rows : how many the network was trained on
    dropped : how many were left out for a missing cell
    held_out : how the network does on the rows that were held out, if any were
    notes : what the user may want to know of the table, a sentence each
    """

    network: NeuralNetwork
    columns: Columns
    rows: int
    dropped: int
    held_out: Score | None
    notes: tuple[str, ...]


def train_on_table(
    path: str | PathLike[str],
    *,
    target: str | int | None = None,
    features: Iterable[str] | None = None,
    categories: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str = ".",
    header: bool = True,
    drop_missing: bool = False,
    weights: str | None = None,
    class_weights: Any = None,
    holdout: float = 0.0,
    backend: Any = "numpy",
    device: Any = None,
    threads: int | None = None,
    max_memory: int | str | None = None,
    on_cluster: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
    **settings: Any,
) -> TrainedOnTable:
    r"""Learn a column of a table from the others, and see how that does on rows held out.

    Parameters
    ----------
    path : path or text
        A file, a folder, or a pattern such as "part-*.csv"; on a cluster also an address that
        fsspec knows.
    target : str or int
        The column to learn: its name, or its number counted from 0. Words are classes, and so
        are 2 to 20 whole numbers; other numbers lie in [0, 1].
    features : names, optional
        The columns to learn from; default: all others.
    categories : names
        The features that are words: one input of 0 and 1 for each word.
    delimiter, decimal : str
        Of text; default: a comma (in .tsv a tab), and a point.
    header : bool
        Whether the first line of text names the columns; else they are named "0", "1", ...
    drop_missing : bool
        Whether rows with missing cells are left out.
    weights : str
        The column that says how much each row counts, >= 0: it is no feature then.
    class_weights : "balanced", or a dict of class and number
        A factor of the weights of the rows of each class, 1 where none is given; balanced:
        rows / (classes * rows of the class). What is held out is scored without weights.
    holdout : float in [0, 1)
        The share of the rows that is kept out of training.
    backend, device, threads, max_memory, checkpoint, checkpoint_every, resume, on_progress
        As those of `neuron_xp.train`.
    on_cluster : bool
        Whether the workers of the active Dask client read the table and train.
    **settings
        Those of `neuron_xp.train`, with other defaults: bias=True, standardize=True,
        optimizer="lbfgs" and l2=1.0, and the rule by the target: "softmax_cross_entropy" for 3
        to 1000 classes, else "cross_entropy", of a sigmoid for each column of targets.
        With optimizer="gradient_descent" the rule, and l2, are those of `train`, and the
        learning rate is "auto".

    Raises what `neuron_xp.train` does, and TableError (a ValueError) for a file that is not the
    table that was asked for.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import neuron_xp
    >>> table = pathlib.Path(tempfile.mkdtemp(), "fruit.csv")
    >>> rows = "grams,kind", "150,apple", "160,apple", "8,cherry", "9,cherry"
    >>> _ = table.write_text("\n".join(rows))
    >>> trained = neuron_xp.train_on_table(table, target="kind")
    >>> trained.columns.classes, trained.rows
    (('apple', 'cherry'), 4)
    """
    of_training = asdict(Settings())
    for name in settings:
        if name not in of_training:
            known = set(signature(train_on_table).parameters) - {"path", "settings"}
            raise unknown_keyword_error("train_on_table", name, known.union(of_training))
    reading = Reading(
        target=target,
        features=features,
        categories=categories,
        delimiter=delimiter,
        decimal=decimal,
        header=header,
        drop_missing=drop_missing,
    )
    return fit_table(
        path,
        reading,
        check_table_settings(**settings),
        Where(backend=backend, device=device, threads=threads, max_memory=max_memory),
        holdout=holdout,
        weights=weights,
        class_weights=class_weights,
        on_cluster=on_cluster,
        saving=Saving.from_keywords(checkpoint, checkpoint_every, resume),
        on_progress=on_progress,
    )


def fit_table(
    path: str | PathLike[str],
    reading: Reading,
    table_settings: TableSettings,
    where: Where,
    *,
    holdout: float = 0.0,
    weights: str | None = None,
    class_weights: Any = None,
    on_cluster: bool = False,
    saving: Saving | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> TrainedOnTable:
    """Do what `train_on_table` does, from records."""
    holdout = _check_holdout(holdout)
    where = prepare(table_settings.base, where, on_cluster=on_cluster)
    use = TableUse(
        reading, Columns((), "", None, ()), holdout, table_settings.base.seed,
        weights=weights, class_weights=check_class_weights(class_weights),
    )  # fmt: skip
    memory = where.memory_bytes()
    with explain_lost_cluster(saving), open_table_data(
        path, replace(use, reading=read_weights_too(reading, weights)), known=False,
        max_memory=memory, on_cluster=on_cluster,
    ) as table:  # fmt: skip
        data, sample_weight = weigh_rows(table, use, memory)
        settings = table_settings.choose(data.columns)
        if settings.standardize is True and sample_weight is not None:
            settings = replace(settings, standardize=WEIGHTED)
        given = Given(data.training.inputs, data.training.targets, sample_weight)
        training = open_training_set(given, settings, where)
        network = fit(training, settings, saving=saving, on_progress=on_progress)
        unordered = add_unordered(training, network, data.held_out, memory)
        use = replace(use, columns=data.columns, rows=data.training.count, unordered=unordered)
        with training.backend.context():
            use = replace(use, groups=training.fingerprint_groups() or None)
            fingerprint = network.data_fingerprint or training.fingerprint()
        network, held_out = replace(network, table=use, data_fingerprint=fingerprint), None
        if data.held_out is not None:
            kept, held_out = describe_held_out(network, data.held_out, data.columns, memory)
            network = replace(network, table=replace(use, held_out=kept))
        return TrainedOnTable(
            network=network,
            columns=data.columns,
            rows=data.training.count,
            dropped=data.dropped,
            held_out=held_out,
            notes=data.notes
            + _header_notes(path, data.columns)
            + _constant_notes(path, settings, data.constant),
        )


def _check_holdout(value: float) -> float:
    holdout = checks.check_number("holdout", value, zero=True)
    if holdout >= 1:
        raise ValueError(f"holdout must be a share of the rows, below 1; got {value!r}")
    return holdout


def prepare(settings: Settings, where: Where, *, on_cluster: bool) -> Where:
    """Check what can be checked, and open the backend, before the table is read for long."""
    if settings.shuffle == "rows" and (where.max_memory is not None or on_cluster):
        raise ValueError(SHUFFLE_ROWS)
    if on_cluster:  # a worker may have a library that is not here
        return where
    return replace(where, backend=open_backend(where.backend, where.device), device=None)


def _header_notes(path: str | PathLike[str], columns: Columns) -> tuple[str, ...]:
    """Say where the first line, which named the columns, has been a row: nobody names one 17.99."""
    for name in (*columns.features, columns.target):
        if re.fullmatch(r"[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?", name):
            hint = "if the first line is a row give header=False"
            return (f"{PurePath(path).name}: a column is named {name!r}; {hint}",)
    return ()


def _constant_notes(
    path: str | PathLike[str], settings: Settings, constant: tuple[str, ...]
) -> tuple[str, ...]:
    if not settings.standardize or not constant:
        return ()
    source = PurePath(path).name
    if len(constant) == 1:
        return (f"{source}: column {constant[0]!r} is the same in each row, and tells nothing",)
    some = ", ".join(map(repr, constant[:5])) + (", ..." if len(constant) > 5 else "")
    return (
        f"{source}: {len(constant)} columns are the same in each row, and tell nothing: {some}",
    )
