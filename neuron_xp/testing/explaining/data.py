"""Data to compare two runs on: a table, or random numbers."""

from os import PathLike
from typing import Any

import numpy as np

from neuron_xp.model.settings import Settings
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.testing.explaining.explain import ITERATIONS, explain
from neuron_xp.testing.explaining.explanation import Explanation
from neuron_xp.workflows.bench import check_workload, make_examples
from neuron_xp.workflows.table_data import open_table_data
from neuron_xp.workflows.table_training import check_table_settings


def explain_table(
    a: Any,
    b: Any,
    path: str | PathLike[str],
    *,
    target: str | int,
    categories: tuple[str, ...] = (),
    **settings: Any,
) -> Explanation:
    """Do what `explain` does, on a table, with the settings of `train_on_table`.

    The optimizer is gradient descent: with hidden layers, at a rate of 1 / rows.
    """
    given = {"iterations": ITERATIONS, "optimizer": "gradient_descent"} | settings
    reading = Reading(target=target, categories=categories)
    use = TableUse(reading, Columns((), "", None, ()), 0.0, Settings().seed)
    with open_table_data(path, use, known=False) as table:
        rows = table.training
        if given.get("hidden"):
            given = {"learning_rate": 1 / rows.count} | given
        chosen = check_table_settings(**given).choose(table.columns)
        return explain(
            a, b, rows.inputs, rows.targets,
            **{name: value for name, value in vars(chosen).items() if value is not None},
        )  # fmt: skip


def explain_random(
    a: Any, b: Any, *, rows: int = 1000, features: int = 20, **settings: Any
) -> Explanation:
    """Do what `explain` does, on the random numbers of the benchmark, at a rate of 1 / rows."""
    workload = check_workload(rows=rows, features=features, hidden=(), threads=None, seconds=1.0)
    inputs, targets = make_examples(workload)
    return explain(a, b, np.asarray(inputs), targets, **{"learning_rate": 1 / rows} | settings)
