"""Tables: the same float64 inputs from each format, and one clear line for each fault."""

import csv
import json
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import ON_KIND, TEXT, refused, save

from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import Table, read_table, read_training_table

DATA = Path(__file__).parent.parent.parent / "examples" / "data"
NUMBERS = [[1.5, 2.0], [-0.03, 4.0]]


@pytest.fixture
def saved(tmp_path):
    return partial(save, tmp_path)


@pytest.fixture
def parquet(tmp_path):
    """save(columns) -> path"""
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    def save(columns, name="data.parquet"):
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / name)
        return tmp_path / name

    return save


# --- what is read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "more"),
    [
        pytest.param(TEXT, {}, id="plain"),
        pytest.param("\ufeff" + TEXT, {}, id="BOM"),
        pytest.param(TEXT.replace("\n", "\r\n"), {}, id="CRLF"),
        pytest.param(TEXT.replace("\n", "\n\n"), {}, id="blank lines"),
        pytest.param(TEXT.replace(",", " , "), {}, id="spaces"),
        pytest.param(TEXT.rstrip(), {}, id="no last newline"),
        pytest.param(re.sub(r"[^,\n]+", r'"\g<0>"', TEXT), {}, id="quotes"),
        pytest.param(TEXT.replace(",", "\t"), {"delimiter": "\t"}, id="tabs"),
        pytest.param(
            TEXT.replace(",", ";").replace(".", ","),
            {"delimiter": ";", "decimal": ","},
            id="semicolons and decimal commas",
        ),
    ],
)
def test_one_table_in_many_spellings(saved, content, more):
    table = read_training_table(saved(content), Reading(target="kind", **more))
    assert table.inputs.tolist() == NUMBERS
    assert table.targets.tolist() == [[0.0], [1.0]]
    assert table.inputs.dtype == table.targets.dtype == "float64"
    assert table.columns == Columns(("radius", "area"), "kind", ("benign", "malignant"), ())
    assert (table.dropped, table.notes) == (0, ())


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [
        ("breast_cancer", 569, 30, ("benign", "malignant")),
        ("wine", 178, 13, ("class_0", "class_1", "class_2")),
    ],
)
def test_the_examples_are_what_scikit_learn_has(name, rows, features, classes):
    datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
    bunch = getattr(datasets, f"load_{name}")()
    target = {"wine": "cultivar", "breast_cancer": "diagnosis"}[name]
    table = read_training_table(DATA / f"{name}.csv", Reading(target=target))
    assert table.inputs.shape == (rows, features)
    assert table.inputs.tobytes() == bunch.data.tobytes()
    assert table.columns.features == tuple(bunch.feature_names)
    assert table.columns.classes == classes
    if len(classes) == 2:  # sorted, where scikit-learn has malignant first
        assert table.targets[:, 0].tolist() == (1 - bunch.target).tolist()
    else:
        assert table.targets.argmax(axis=1).tolist() == bunch.target.tolist()


def test_all_formats_give_the_same_bytes(saved, tmp_path, parquet):
    generator = np.random.default_rng(1)
    numbers = generator.standard_normal((50, 3)) * 10.0 ** generator.integers(-300, 300, (50, 3))
    whole = np.column_stack([numbers, generator.integers(0, 2, 50)])
    names = ["0", "1", "2", "3"]
    rows = "".join(",".join(map(repr, row)) + "\n" for row in whole.tolist())
    np.save(tmp_path / "data.npy", np.asfortranarray(whole))
    np.savez(tmp_path / "data.npz", inputs=numbers, targets=whole[:, 3])
    tables = [
        read_training_table(saved("0,1,2,3\n" + rows), Reading(target="3")),
        read_training_table(
            saved(("0,1,2,3\n" + rows).replace(",", "\t"), "data.tsv"), Reading(target=3)
        ),
        read_training_table(tmp_path / "data.npy", Reading(target=3)),
        read_training_table(tmp_path / "data.npz", Reading()),
        read_training_table(
            parquet(dict(zip(names, whole.T.copy(), strict=True))), Reading(target="3")
        ),
    ]
    for table in tables:
        assert table.inputs.tobytes() == numbers.tobytes()
        assert table.targets.tobytes() == whole[:, 3:].tobytes()
        assert table.inputs.flags.c_contiguous
        assert table.columns.features == ("0", "1", "2")
        assert table.columns.classes is None


FINITE = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(
    st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=4, unique=True),
    st.data(),
)
def test_generated_tables_come_back_exactly(tmp_path_factory, names, data):
    row = st.tuples(*[FINITE] * len(names))
    rows = data.draw(st.lists(row, min_size=2, max_size=5))
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    header = [*names, "the target"]
    with path.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file)
        written.writerow(header)
        written.writerows([*map(repr, row), i % 2] for i, row in enumerate(rows))
    table = read_training_table(path, Reading(target="the target"))
    assert table.inputs.tobytes() == np.asarray(rows, dtype="float64").tobytes()
    assert table.columns.features == tuple(names)
    again = read_table(path, Reading(), table.columns, targets=True)
    assert again.inputs.tobytes() == table.inputs.tobytes()


def test_categories_become_a_column_for_each_word(saved):
    text = "colour,size,kind\nred,1,a\nblue,2,b\n red ,3,a\n"
    reading = Reading(target="kind", categories=("colour",))
    table = read_training_table(saved(text), reading)
    assert table.columns.categories == (("colour", ("blue", "red")),)
    assert table.columns.input_names == ("colour=blue", "colour=red", "size")
    assert table.inputs.tolist() == [[0, 1, 1], [1, 0, 2], [0, 1, 3]]
    only = read_training_table(
        saved(text), Reading(target="kind", features=("colour",), categories=("colour",))
    )
    assert only.inputs.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_a_column_by_its_number_and_chosen_features(saved):
    table = read_training_table(saved(TEXT), Reading(target=2, features=("area", "radius")))
    assert table.inputs.tolist() == [[2.0, 1.5], [4.0, -0.03]]


@pytest.mark.parametrize(
    ("cells", "classes", "targets"),
    [
        (["0", "1.0", "0.25"], None, [[0], [1], [0.25]]),
        (["b", "c", "a"], ("a", "b", "c"), [[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        (["10", "9.0", "10"], ("9", "10"), [[1], [0], [1]]),
        (["-1", "1", "1"], ("-1", "1"), [[0], [1], [1]]),
        (["0", "2", "1"], ("0", "1", "2"), [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        (["1", "unknown", "1"], ("1", "unknown"), [[0], [1], [0]]),
    ],
)
def test_what_targets_mean(saved, cells, classes, targets):
    path = saved("x,kind\n" + "".join(f"1,{cell}\n" for cell in cells))
    table = read_training_table(path, ON_KIND)
    assert table.columns.classes == classes
    assert table.targets.tolist() == targets
    again = read_table(path, Reading(), table.columns, targets=True)
    assert again.targets.tolist() == targets


def test_rows_with_missing_cells_are_dropped_and_counted(saved):
    text = "x,y,kind,more\n1,2,a,\n,2,a,1\n1,NA,b,1\nx,null,b,1\n3,4,b,1\n5,6,,1\n"
    reading = Reading(target="kind", features=("x", "y"), drop_missing=True)
    table = read_training_table(saved(text), reading)
    assert table.inputs.tolist() == [[1, 2], [3, 4]]
    assert table.dropped == 4


def test_reading_and_columns_are_plain_values():
    columns = Columns(("a",), "b", None, (("a", ("x", "y")),))
    for value in (Reading(features=("a",)), columns):
        json.dumps(asdict(value))


# --- a table for a model that is there -------------------------------------------------

MODEL = Columns(("radius", "colour"), "kind", ("a", "b"), (("colour", ("blue", "red")),))


def test_columns_are_matched_by_name_and_the_rest_is_noted(saved):
    path = saved("id,colour,radius\n7,red,1\n8,blue,2\n")
    table = read_table(path, Reading(), MODEL, targets=False)
    assert isinstance(table, Table)
    assert table.inputs.tolist() == [[1, 0, 1], [2, 1, 0]]
    assert table.targets is None
    assert table.notes == (
        "data.csv: the model does not use 'id'",
        "data.csv: columns in another order than the model's, matched by name",
    )


def test_targets_are_read_only_where_they_are_wanted(saved):
    path = saved("radius,colour,kind\n1,red,b\n2,red,what\n")
    table = read_table(path, Reading(), MODEL, targets=False)
    assert (table.targets, table.notes) == (None, ())
    refused(
        "data.csv, line 3, column 'kind': 'what' was not seen in training; choose from a, b",
        path,
        read=read_table,
        columns=MODEL,
        targets=True,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("radius,color,kind\n1,red,a\n", "data.csv: no column 'colour'; did you mean 'color'?"),
        ("radius,colour\n1,red\n", "data.csv: no target 'kind'; choose from colour, radius"),
        (
            "radius,colour,kind\n1,red,a\n1,rad,a\n",
            "line 3, column 'colour': 'rad' was not seen in training; did you mean 'red'?",
        ),
    ],
)
def test_a_table_that_does_not_fit_the_model(saved, content, message):
    refused(message, saved(content), read=read_table, columns=MODEL, targets=True)


def test_targets_that_are_no_numbers_where_the_model_has_numbers(saved):
    columns = Columns(("x",), "kind", None, ())
    for cell, message in (("yes", "'yes' is not a number"), ("2", "target 2.0 is outside [0, 1]")):
        path = saved(f"x,kind\n1,1\n1,{cell}\n")
        refused(
            f"data.csv, line 3, column 'kind': {message}",
            path,
            read=read_table,
            columns=columns,
            targets=True,
        )
