"""Files with tables for the tests, and how a fault in one must be said."""

import csv
import re
import tempfile

import numpy as np
import pytest

from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.encode import read_training_table

TEXT = "radius,area,kind\n1.5,2,benign\n-3e-2,4,malignant\n"
ON_KIND = Reading(target="kind")


def save(folder, content, name="data.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(message, path, reading=ON_KIND, read=read_training_table, **more):
    with pytest.raises(TableError, match=re.escape(message)) as raised:
        read(path, reading, **more)
    assert str(raised.value).startswith(path.name)
    assert "\n" not in str(raised.value)


def write(path, columns):
    """A table of the kind that the path's ending says, from {name: values}."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, np.column_stack([np.asarray(x, dtype="float64") for x in columns.values()]))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.table(columns)
        parquet.write_table(table, path, row_group_size=50 if len(table) < 1000 else 5000)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return path


def at_most(rows):
    """Chunks of so many rows."""
    return lambda file, wanted: rows


def sample(kind, rows=150, classes=2):
    """(columns, reading): numbers, one of them constant, a category, gaps and classes."""
    generator = np.random.default_rng(rows)
    x = generator.standard_normal((rows, 2))
    x[generator.random((rows, 2)) < 0.03] = np.nan
    colour, kinds = generator.integers(0, 3, rows), generator.integers(0, classes, rows)
    if kind == ".npy":
        names = ["0", "1", "2", "3", "4"]
    else:
        names = ["length", "width", "one", "colour", "kind"]
        colour, kinds = (
            np.asarray(["red", "green", "blue"])[colour],
            np.asarray(["x", "y", "z"])[kinds],
        )
    values = [*x.T, np.ones(rows), colour, kinds]
    columns = {name: value.tolist() for name, value in zip(names, values, strict=True)}
    return columns, Reading(names[4], categories=(names[3],), drop_missing=True)


def temporary_folder(tmp_path, monkeypatch):
    """A TMPDIR of its own, in which nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert list(folder.iterdir()) == []
