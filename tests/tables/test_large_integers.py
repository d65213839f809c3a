"""Integers beyond 2^53 in files: refused with their place, where float64 would round them."""

import re

import numpy as np
import pytest
from table_files import ON_KIND, at_most, refused, save

from neuron_xp.tables.cells import Reading
from neuron_xp.tables.encode import read_table, read_training_table
from neuron_xp.tables.survey import survey_file

LARGE = 2**53
WORDS = "is an integer beyond 2^53, where float64 cannot tell integers apart; scale the column, or"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (f"{LARGE}", 2.0**53),
        (f"-{LARGE}", -(2.0**53)),
        (f" +{LARGE} ", 2.0**53),
        (f"000{LARGE}", 2.0**53),
        (f"{LARGE + 2}", 2.0**53 + 2),
        (f"{2**60}", 2.0**60),
        (f"{10**22}", 1e22),
        (f"{LARGE + 1}.0", 2.0**53),
        ("9.007199254740993e15", 2.0**53),
        ("1e300", 1e300),
        ("-1.7976931348623157e308", -1.7976931348623157e308),
    ],
)
def test_what_float64_holds_and_what_is_a_decimal(tmp_path, cell, value):
    table = read_training_table(save(tmp_path, f"x,z,kind\n{cell},1,a\n2,1,b\n"), ON_KIND)
    assert table.inputs[0].tolist() == [value, 1.0]


@pytest.mark.parametrize("cell", [LARGE + 1, -LARGE - 1, 10**23, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("kind", [".csv", ".tsv"])
def test_text_that_would_be_rounded(tmp_path, cell, kind):
    text = f"z,x,kind\n1,2,a\n1,{cell},b\n".replace(",", "\t" if kind == ".tsv" else ",")
    path = save(tmp_path, text, f"data{kind}")
    message = f"data{kind}, line 3, column 'x': '{cell}' {WORDS}"
    refused(message, path)
    refused(message, path, read=survey_file, rows=at_most(1))
    other = save(tmp_path, "z,x,kind\n1,2,a\n1,3,b\n", "other.csv")
    columns = read_training_table(other, ON_KIND).columns
    refused(message, path, read=read_table, columns=columns, targets=False)


def test_spellings_that_would_be_rounded(tmp_path):
    for cell in (f"+{LARGE + 1}", f"00{LARGE + 1}", f'" {LARGE + 1} "'):
        path = save(tmp_path, f"x,kind\n1,a\n{cell},b\n")
        refused(f"data.csv, line 3, column 'x': '{cell.strip(chr(34))}' {WORDS}", path)
    reading = Reading("kind", delimiter=";", decimal=",")
    path = save(tmp_path, f"x;kind\n1,5;a\n{LARGE + 1};b\n")
    refused(f"data.csv, line 3, column 'x': '{LARGE + 1}' {WORDS}", path, reading)
    path = save(tmp_path, f"x;kind\n1,5;a\n{LARGE + 1},0;b\n")
    assert read_training_table(path, reading).inputs.tolist() == [[1.5], [2.0**53]]
    refused("data.csv, line 3, column 'x': '1111", save(tmp_path, f"x,kind\n1,a\n{'1' * 400},b\n"))


def test_a_row_that_is_left_out_is_not_looked_at(tmp_path):
    path = save(tmp_path, f"x,z,kind\n1,1,a\n2,2,b\n{LARGE + 1},,b\n")
    table = read_training_table(path, Reading("kind", drop_missing=True))
    assert (table.inputs.tolist(), table.dropped) == ([[1, 1], [2, 2]], 1)


@pytest.mark.parametrize("cells", [[LARGE, LARGE + 1], [LARGE + 1, "other"], ["1", LARGE + 1]])
def test_targets_as_text(tmp_path, cells):
    rows = "".join(f"1,{cell}\n" for cell in ["0", *cells])
    path = save(tmp_path, f"x,kind\n{rows}")
    line = 3 + cells.index(LARGE + 1)
    message = f"data.csv, line {line}, column 'kind': '{LARGE + 1}' {WORDS}"
    refused(message, path)
    refused(message, path, read=survey_file, rows=at_most(1))
    columns = read_training_table(
        save(tmp_path, "x,kind\n1,0\n1,7\n", "other.csv"), ON_KIND
    ).columns
    refused(message, path, read=read_table, columns=columns, targets=True)


def test_categories_as_text_are_words(tmp_path):
    path = save(tmp_path, f"x,kind\n{LARGE},a\n{LARGE + 1},b\n")
    table = read_training_table(path, Reading("kind", categories=("x",)))
    assert table.columns.categories == (("x", (str(LARGE), str(LARGE + 1))),)


def by_rows(path, reading):
    return survey_file(path, reading, at_most(1))


@pytest.mark.parametrize("read", [read_training_table, by_rows])
@pytest.mark.parametrize("dtype", ["int64", "uint64", ">i8"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_arrays(tmp_path, read, dtype, column):
    path = tmp_path / "data.npy"
    array = np.asarray([[1, 2, 0], [LARGE, 4, 1], [5, 6, 0]], dtype=dtype)
    np.save(path, array)
    assert read_training_table(path, Reading(2)).inputs[1].tolist() == [2.0**53, 4]
    array[2, column] = LARGE + 1
    np.save(path, array)
    message = f"data.npy, row 2, column '{column}': '{LARGE + 1}' {WORDS}"
    refused(message, path, Reading(2, categories=("1",)), read)
    np.save(path, array.astype("float64"))
    if column == 0:
        assert read_training_table(path, Reading(2)).inputs[2].tolist() == [2.0**53, 6]


def test_archives(tmp_path):
    path, inputs = tmp_path / "data.npz", np.asarray([[1, 2], [3, -LARGE - 1]])
    np.savez(path, inputs=inputs, targets=[0, 1])
    refused(f"data.npz, row 1, column '1': '{-LARGE - 1}' {WORDS}", path, Reading())
    for targets in ([0, LARGE + 1], [[0, 1], [1, LARGE + 1]], ["0", str(LARGE + 1)]):
        np.savez(path, inputs=np.eye(2), targets=targets)
        message = f"data.npz, row 1, column 'targets': '{LARGE + 1}' {WORDS}"
        refused(message, path, Reading())


@pytest.mark.parametrize("read", [read_training_table, by_rows])
@pytest.mark.parametrize("column", ["x", "colour", "kind"])
def test_parquet(tmp_path, read, column):
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"x": [1, None, LARGE, 4], "colour": [1, 2, 1, 2], "kind": [0, 1, 1, 0]}
    path = tmp_path / "data.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    reading = Reading("kind", categories=("colour",), drop_missing=True)
    assert read_training_table(path, reading).inputs[1].tolist() == [2.0**53, 1, 0]
    columns[column][3] = LARGE + 1
    parquet.write_table(pyarrow.table(columns), path)
    message = f"data.parquet, row 3, column '{column}': '{LARGE + 1}' {WORDS}"
    refused(message, path, reading, read)


def test_the_message_is_in_one_line(tmp_path):
    path = save(tmp_path, f"x,kind\n1,a\n{LARGE + 1},b\n")
    with pytest.raises(ValueError, match=re.escape(f"{WORDS} store it as floats")):
        read_training_table(path, ON_KIND)
