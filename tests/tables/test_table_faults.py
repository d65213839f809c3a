"""Faults in tables of text: one clear line each, with the place."""

from functools import partial

import pytest
from table_files import ON_KIND, TEXT, refused, save

from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.encode import read_training_table


@pytest.fixture
def saved(tmp_path):
    return partial(save, tmp_path)


FAULTS = {
    "empty": ("", "data.csv: is empty; its first line must name the columns"),
    "header only": (TEXT[:17], "data.csv: has columns but no rows; give at least one"),
    "short row": (TEXT + "1,2\n", "data.csv, line 4: 2 cells; expected 3"),
    "long row": (TEXT + "1,2,benign,4\n", "data.csv, line 4: 4 cells; expected 3"),
    "word": (
        TEXT + "red,2,benign\n",
        "data.csv, line 4, column 'radius': 'red' is not a number; "
        "if the column holds categories give categories=['radius']",
    ),
    "decimal comma": (
        TEXT + '"1,5",2,benign\n',
        "line 4, column 'radius': '1,5' is not a number; for decimal commas give decimal=','",
    ),
    "underscore": (TEXT + "1_0,2,benign\n", "column 'radius': '1_0' is not a number"),
    "after a long cell": (
        'radius,area,kind\n1,2,"be\nnign"\n1,x,benign\n',
        "data.csv, line 4, column 'area': 'x' is not a number",
    ),
    "inf": (TEXT + "1,-inf,benign\n", "line 4, column 'area': '-inf' is -inf; numbers must be"),
    "overflow": (TEXT + "1e999,2,benign\n", "'1e999' is inf; numbers must be finite"),
    "NAN": (TEXT + "NAN,2,benign\n", "'NAN' is nan; numbers must be finite"),
    "missing": (
        TEXT + "1,,benign\n",
        "data.csv, line 4, column 'area': missing cell ''; fill it in, or give drop_missing=True",
    ),
    "nan": (TEXT + "nan,2,benign\n", "data.csv, line 4, column 'radius': missing cell 'nan'"),
    "missing target": (TEXT + "1,2,NA\n", "data.csv, line 4, column 'kind': missing cell 'NA'"),
    "NUL": (TEXT + "1,\0,benign\n", "data.csv, line 4: holds a NUL byte; save it as UTF-8 text"),
    "Latin-1": (
        (TEXT + "1,2,b\xf6se\n").encode("latin-1"),
        "data.csv, line 4: is not UTF-8; save it as UTF-8 text",
    ),
    "UTF-16": (TEXT.encode("utf-16"), "data.csv, line 1: holds a NUL byte"),
    "named twice": ("a,b,a,kind\n", "data.csv, line 1: two columns are named 'a'; rename one"),
    "no name": (
        ",x,kind\n1,1,a\n",
        "data.csv: column 1 has no name; name it, or give features=[...]",
    ),
    "no header": (
        "1.5,2\n3,4\n",
        "data.csv, line 1: holds only numbers and must name the columns; if it does not, give "
        "header=False",
    ),
    "semicolons": (
        "radius;kind\n1;a\n",
        "data.csv, line 1: is one column, 'radius;kind'; for another delimiter give delimiter=';'",
    ),
    "open quote": (TEXT + '"1,2,benign\n', "data.csv, line 4: unexpected end of data; is a quote"),
    "target": (
        TEXT.replace("kind", "kinds"),
        "data.csv: no target 'kind'; did you mean 'kinds'?",
    ),
    "one class": (
        "x,kind\n1,a\n2,a\n",
        "data.csv: column 'kind' is 'a' in each row; give examples",
    ),
    "one number": ("x,kind\n1,0\n2,0\n", "data.csv: column 'kind' is '0' in each row"),
    "no feature": ("kind\na\nb\n", "data.csv: no feature is left beside the target 'kind'"),
    "fractional target": (
        "x,kind\n1,1\n2,2.5\n",
        "data.csv, line 3, column 'kind': target 2.5 is outside [0, 1]; scale the targets, "
        "or give 2 to 20 classes",
    ),
    "line break in a name": (
        'x,"some\nword"\n1,a\n',
        r"data.csv: no target 'kind'; choose from some\nword, x",
    ),
    "infinite target": (
        "x,kind\n1,1\n2,inf\n",
        "data.csv, line 3, column 'kind': target inf is outside [0, 1]",
    ),
    "many numbers": (
        "x,kind\n" + "".join(f"1,{i}\n" for i in range(21)),
        "data.csv, line 4, column 'kind': target 2.0 is outside [0, 1]",
    ),
    "word among numbers": (
        "x,kind\n" + "".join(f"1,0.{i}\n" for i in range(25)) + "1,oops\n",
        "data.csv, line 27, column 'kind': 'oops' is not a number",
    ),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_in_text(saved, content, message):
    refused(message, saved(content))


READINGS = [
    (Reading(), "data.csv: which column is the target? give target=NAME; the last column is"),
    (Reading(target=3), "data.csv: no column 3; the columns are numbered 0 to 2"),
    (Reading("kind", ("raduis",)), "data.csv: no feature 'raduis'; did you mean 'radius'?"),
    (Reading("kind", ("area", "area")), "data.csv: a feature is given twice in area, area"),
    (Reading("kind", ("kind",)), "data.csv: 'kind' is the target and cannot be a feature, too"),
    (Reading("kind", ()), "data.csv: no feature is left"),
    (Reading("kind", categories=("kind",)), "data.csv: no category 'kind'; choose from area"),
    (Reading("kind", decimal=","), "data.csv: ',' cannot be delimiter and decimal mark"),
]


@pytest.mark.parametrize(("reading", "message"), READINGS)
def test_faults_in_what_is_asked(saved, reading, message):
    refused(message, saved(TEXT), reading)


def test_a_long_list_of_columns_is_cut(saved):
    path = saved(",".join(f"column{i}" for i in range(100)) + "\n")
    with pytest.raises(TableError, match=r"no target 'zzz'; choose from .*, \.\.\.$") as raised:
        read_training_table(path, Reading(target="zzz"))
    assert len(str(raised.value)) < 400


def test_all_rows_dropped(saved):
    path = saved("x,kind\n,a\n1,\n")
    refused(
        "data.csv: each of the 2 rows has a missing cell, and none is left",
        path,
        Reading(target="kind", drop_missing=True),
    )


def test_a_decimal_point_where_commas_are_said(saved):
    reading = Reading(target="kind", delimiter=";", decimal=",")
    refused("'1.5' is not a number", saved("x;kind\n1.5;a\n"), reading)


def test_bad_readings():
    with pytest.raises(ValueError, match=r"decimal must be '\.' or ','; got '_'"):
        Reading(decimal="_")
    with pytest.raises(ValueError, match="delimiter must be one character; got ';;'"):
        Reading(delimiter=";;")
    words = (
        "delimiter must be one character; got 'semicolon': give delimiter=';', or delimiter='tab'"
    )
    with pytest.raises(ValueError, match=f"^{words}$"):
        Reading(delimiter="semicolon")
    for header in (0, None, "no"):  # the first two are a first line and none, in pandas
        with pytest.raises(
            TypeError, match=f"header must be True, .* or False, .*; got {header!r}"
        ):
            Reading(header=header)
    with pytest.raises(ValueError, match="delimiter must be no line break and no quote; got '"):
        Reading(delimiter="\n")


@pytest.mark.parametrize("ending", ["csv", "tsv", "npy", "npz", "parquet"])
def test_no_file(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    with pytest.raises(FileNotFoundError):
        read_training_table(tmp_path / f"data.{ending}", ON_KIND)


def test_an_unknown_ending(saved):
    message = "data.py: unknown kind of table '.py'; choose from .csv, .tsv, .npy, .npz, .parquet"
    refused(message, saved("", "data.py"))


@pytest.mark.parametrize("spelled", ["\t", r"\t", r"\\t", "tab"])
def test_a_tab_has_several_spellings(spelled):
    assert Reading(delimiter=spelled) == Reading(delimiter="\t")
