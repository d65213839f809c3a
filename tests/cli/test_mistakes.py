"""What a person types wrong about tables: one line that says what to type."""

import os
import subprocess
import sys

import pytest
from command_lines import run_lines

import neuron_xp

TABLE = "a,b,y\n1,2,no\n3,4,yes\n5,6,yes\n7,1,no\n"
FILES = {
    "ok.csv": TABLE,
    "ok.txt": TABLE,
    "bare": TABLE,
    "empty.csv": "",
    "one.csv": "y\nno\nyes\n",
    "gap.csv": "a,b,y\n1,,no\n",
    "word.csv": "a,b,y\nred,1,no\n",
    "space.csv": TABLE.replace(",", " "),
    "semi.csv": TABLE.replace(",", ";"),
    "tab.csv": TABLE.replace(",", "\t"),
    "bare.csv": TABLE.partition("\n")[2],
    "comma.csv": "a;b;y\n1,5;2;no\n3;4;yes\n",
    "thousands.csv": 'a,b,y\n"1,200.50",2,no\n3,4,yes\n',
    "date.csv": "a,b,y\n31.12.2024,2,no\n1.1.2025,4,yes\n",
    "book.xlsx": "PK",
    "parts/part-1.csv": TABLE,
    "parts/part-2.csv": TABLE,
    "parts/more/readme.txt": "hello",
    "my data.csv": TABLE,
    "year.csv": "a,2024\n1,no\n3,yes\n",
}
MORE = "DATA is one table, {!r}, and more was given: "
LISTS = "; write lists as a,b,c, and quotes around what holds spaces"
URL = "https://example.com/x.csv"
DOWNLOAD = f"download it first (curl -O {URL}, or a browser)"
FOR_WORKERS = "for the workers of a cluster; type --workers N, and they read what fsspec knows, or"
TRAIN = {
    "'' --target y": "Invalid value for 'DATA': a name is empty: give a file",
    "ok.csv --target y --lr 1": "No such option '--lr'. Type --learning-rate.",
    "space.csv --target y": (
        "space.csv: no target 'y'; for another delimiter type --delimiter ' '; choose from a b y"
    ),
    "file:///x.csv --target y": (
        f"'file:///x.csv' is {FOR_WORKERS} download it first, or give its path"
    ),
    "ok.csv --target z": "ok.csv: no target 'z'; choose from a, b, y",
    "ok.csv --target 7": "ok.csv: no column 7; the columns are numbered 0 to 2",
    "empty.csv --target y": "empty.csv: is empty; its first line must name the columns",
    "one.csv --target y": "one.csv: no feature is left beside the target 'y'",
    "ok.csv --target y --categories a,b": (
        "ok.csv: no category 'a,b'; type --categories a --categories b"
    ),
    "ok.csv --target y --features 'a b'": "ok.csv: no feature 'a b'; type --features a,b",
    "ok.csv --target y --features a,": (
        "--features needs a name at each comma, such as a,b,c; got 'a,'"
    ),
    "ok.csv --target y --features a b": MORE.format("ok.csv") + "'b'" + LISTS,
    "ok.csv --target y --bias false": (
        MORE.format("ok.csv") + "'false'; a flag has no value: type --bias or --no-bias, and so on"
    ),
    "my data.csv --target y": (
        MORE.format("my") + "'data.csv'; put quotes around what holds spaces: 'my data.csv'"
    ),
    "parts/more --target y": (
        "more: the folder holds no table; its files are .csv, .tsv, .npy, .npz, .parquet; "
        "found readme.txt"
    ),
    "'parts/*.parquet' --target y": "no file matches the pattern 'parts/*.parquet'",
    "ok.txt --target y": (
        "ok.txt: unknown kind of table '.txt'; rename it to ok.csv, and type --delimiter tab, "
        "say, if no commas are in its lines"
    ),
    "book.xlsx --target y": (
        "book.xlsx: unknown kind of table '.xlsx'; save the sheet as CSV in the spreadsheet program"
    ),
    "OK.csv --target y": "'OK.csv' does not exist; did you mean 'ok.csv'?",
    "semi --target y": "'semi' does not exist; did you mean 'semi.csv'?",
    "zzzzz.csv --target y": "'zzzzz.csv' does not exist",
    "no/ok.csv --target y": "'no/ok.csv' does not exist: there is no folder 'no'",
    "semi.csv --target y": (
        "semi.csv, line 1: is one column, 'a;b;y'; for another delimiter type --delimiter ';'"
    ),
    "tab.csv --target y": (
        r"tab.csv, line 1: is one column, 'a\tb\ty'; for another delimiter type --delimiter tab"
    ),
    "ok.csv --target y --delimiter semicolon": (
        "--delimiter must be one character; got 'semicolon': type --delimiter ';', "
        "or --delimiter tab"
    ),
    "bare.csv --target y": (
        "bare.csv: no target 'y'; if the first line is a row type --no-header; choose from 1, 2, no"
    ),
    "bare.csv --target y --no-header": "bare.csv: no target 'y'; choose from 0, 1, 2",
    "comma.csv --target y --delimiter ';'": (
        "comma.csv, line 2, column 'a': '1,5' is not a number; for decimal commas type --decimal ,"
    ),
    "thousands.csv --target y": (
        "thousands.csv, line 2, column 'a': '1,200.50' is not a number; thousands separators are "
        "not read: write 1200.50"
    ),
    "date.csv --target y": (
        "date.csv, line 2, column 'a': '31.12.2024' is not a number; dates are not read: turn them "
        "into numbers in the table (days, say), or leave the column out: type --features ..."
    ),
    "ok.csv --target y --hidden big": (
        "Invalid value for '--hidden': give sizes of layers, such as 16 or 16,8; got 'big'"
    ),
    "ok.csv --target y --hidden 4,0": (
        "Invalid value for '--hidden': give sizes of layers, such as 16 or 16,8; got '4,0'"
    ),
    "ok.csv --target y --holdout 20%": (
        "Invalid value for '--holdout': give a share of rows below 1, such as 0.2; got '20%'"
    ),
    f"{URL} --target y": f"'{URL}' is {FOR_WORKERS} {DOWNLOAD}",
    "s3://b/x.csv --target y": f"'s3://b/x.csv' is {FOR_WORKERS} download it first",
}
OTHERS = {
    "train ok.csv --target y -o parts": (
        "Invalid value for '-o' / '--output': File 'parts' is a directory."
    ),
    f"predict model {URL}": (f"'{URL}' is an address; {DOWNLOAD}"),
    f"verify model {URL}": (f"'{URL}' is {FOR_WORKERS} {DOWNLOAD}"),
    "predict ok.csv model": (
        "ok.csv is not a model file but a table, by its name; MODEL stands before DATA"
    ),
    "predict model ok.csv -o x.xlsx": "answers are written as CSV: type -o x.csv",
    "predict model semi.csv": (
        "semi.csv, line 1: is one column, 'a;b;y'; for another delimiter type --delimiter ';'"
    ),
    "predict model bare.csv": (
        "bare.csv: no column 'a'; if the first line is a row type --no-header; choose from 1, 2, no"
    ),
    "predict model gap.csv": "gap.csv, line 2, column 'b': missing cell ''; fill it in",
    "evaluate model gap.csv": "gap.csv, line 2, column 'b': missing cell ''; fill it in",
    "verify model gap.csv": "gap.csv, line 2, column 'b': missing cell ''; fill it in",
    "predict model date.csv": (
        "date.csv, line 2, column 'a': '31.12.2024' is not a number; dates are not read: turn "
        "them into numbers in the table (days, say)"
    ),
    "predict model word.csv": "word.csv, line 2, column 'a': 'red' is not a number",
    "evaluate model ok.csv --target y": (
        "No such option '--target'. The model knows it from its training: leave it out."
    ),
    "evaluate model ok.csv y": MORE.format("ok.csv") + "'y'" + LISTS,
    "show model ok.csv": "Got unexpected extra argument (ok.csv)",
}
LINES = {f"train {words} -o x": said for words, said in TRAIN.items()} | OTHERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    line = "train ok.csv --target y -o model"
    subprocess.run([sys.executable, "-m", "neuron_xp", *line.split()], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def said(folder):
    found = run_lines(folder, LINES)
    assert not (folder / "x").exists()
    return found


@pytest.mark.parametrize("line", LINES)
def test_a_mistake_gets_one_line(said, line):
    assert said[line] == (2, "", f"neuron-xp: {LINES[line]}\n")


@pytest.mark.skipif(os.name == "nt", reason="its shell ends no command by a semicolon")
def test_a_delimiter_that_the_shell_has_taken(folder):
    line = f"{sys.executable} -m neuron_xp train semi.csv --target y -o x --delimiter ;"
    run = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False)
    said = "Option '--delimiter' requires an argument. A shell wants quotes around it: --delim"
    assert run.stderr.startswith(f"neuron-xp: {said}")


QUOTES = "; put quotes around a pattern, so that the shell leaves it: "
PARTS = MORE.format("parts/part-1.csv") + "'parts/part-2.csv'"
EXPANDED = {
    "train parts/*.csv --target y -o x": f"{PARTS}{QUOTES}'parts/*.csv'",
    "train --target y -o x parts/part-?.csv": f"{PARTS}{QUOTES}'parts/*.csv'",
    "predict model parts/*.csv": f"{PARTS}{QUOTES}'parts/*.csv'",
    "evaluate model parts/*": (
        MORE.format("parts/more") + f"'parts/part-1.csv', 'parts/part-2.csv'{QUOTES}'parts/*'"
    ),
    "verify model t*.csv": MORE.format("tab.csv") + f"'thousands.csv'{QUOTES}'t*.csv'",
    "verify model semi.csv tab.csv": (
        MORE.format("semi.csv") + "'tab.csv'; put the parts of a table into a folder, and give that"
    ),
}


@pytest.mark.skipif(os.name == "nt", reason="its shell expands no pattern")
@pytest.mark.parametrize("line", EXPANDED)
def test_a_pattern_that_the_shell_has_expanded(folder, line):
    run = subprocess.run(
        f"{sys.executable} -m neuron_xp {line}", shell=True, cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (2, f"neuron-xp: {EXPANDED[line]}\n")


MEANT = {
    r"tab.csv --delimiter '\t'": 2,
    r"tab.csv --delimiter '\\t'": 2,
    "tab.csv --delimiter tab": 2,
    "ok.csv --features 'a, b'": 2,
    "'parts/*.csv' --hidden 4,3": 2,
    "ok.csv --hidden 4 --hidden '3, 2'": 2,
    "year.csv --target 2024": 1,
}


def test_what_is_meant_is_taken(folder):
    lines = [f"train --target y {words} -o x{i}" for i, words in enumerate(MEANT)]
    for (line, said), features in zip(
        run_lines(folder, lines).items(), MEANT.values(), strict=True
    ):
        assert said.status == 0, line
        assert f"features     {features}\n" in said.stdout
    sizes = [neuron_xp.NeuralNetwork.load(folder / f"x{i}").layer_sizes for i in (4, 5)]
    assert sizes == [(2, 4, 3, 1), (2, 4, 3, 2, 1)]
    first, *others = ((folder / f"x{i}").read_bytes() for i in range(3))
    assert others == [first, first]
