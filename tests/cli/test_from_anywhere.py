"""Models and rows from anywhere: addresses, stdin, example tables; and completion of a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import neuron_xp

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"


def run(*words, folder, data=None, **more):
    return subprocess.run(
        [sys.executable, "-m", "neuron_xp", *map(str, words)], cwd=folder, capture_output=True,
        input=data, check=False, env=os.environ | more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "wine.safetensors"
    neuron_xp.train_on_table(TABLE, target="cultivar").network.save(path)
    return path


def test_rows_come_from_stdin(model, tmp_path):
    expected = run("predict", model, TABLE, folder=tmp_path)
    assert (expected.returncode, expected.stderr) == (0, b"")
    found = run("predict", model, "-", folder=tmp_path, data=TABLE.read_bytes())
    assert found.stdout == expected.stdout
    lines = TABLE.read_bytes().splitlines()
    one = run("predict", model, "-", folder=tmp_path, data=b"\n".join(lines[:2]))
    assert one.stdout == b"\n".join(expected.stdout.splitlines()[:2]) + b"\n"
    for data, message in (
        (b"", b"is empty; its first line must name the columns"),
        (lines[0], b"has columns but no rows; give at least one"),
    ):
        empty = run("predict", model, "-", folder=tmp_path, data=data)
        assert (empty.returncode, empty.stderr) == (2, b"neuron-xp: stdin.csv: " + message + b"\n")
    no_target = b"\n".join(line.rpartition(b",")[0] for line in lines)
    assert run("predict", model, "-", folder=tmp_path, data=no_target).stdout == expected.stdout


def test_the_model_comes_from_an_address_or_stdin(model, tmp_path):
    pytest.importorskip("fsspec")
    expected = run("predict", model, TABLE, folder=tmp_path)
    there = run("predict", f"file://{model}", TABLE, folder=tmp_path)
    assert (there.returncode, there.stdout) == (0, expected.stdout)
    piped = run("predict", "-", TABLE, folder=tmp_path, data=model.read_bytes())
    assert piped.stdout == expected.stdout
    shown = run("show", f"file://{model}", folder=tmp_path)
    assert shown.stdout == run("show", model, folder=tmp_path).stdout
    verified = run("verify", "-", TABLE, folder=tmp_path, data=model.read_bytes())
    assert verified.returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "-", "-"], "model and table cannot both be '-': stdin holds one of them"),
        (["show", "file:///nowhere/m"], "file:///nowhere/m: "),
        (["show", "nothing://m"], "nothing://m: Protocol not known"),
        (["show", "-"], "stdin is not a model file, or is damaged"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path, words, message):
    found = run(*words, folder=tmp_path, data=b"x")
    assert found.returncode == 2
    assert found.stderr.decode().startswith(f"neuron-xp: {message}")
    assert found.stderr.count(b"\n") == 1


def test_example_tables_are_written(tmp_path):
    listed = run("example", folder=tmp_path).stdout.decode()
    files = sorted(TABLE.parent.glob("*.csv"))
    for line, file in zip(listed.splitlines(), files, strict=True):
        header, *rows = file.read_text("utf-8").splitlines()
        *features, target = header.split(",")
        classes = ", ".join(sorted({row.rsplit(",", 1)[1] for row in rows}))
        said = f"{len(rows)} rows, {len(features)} features, target {target}: {classes}"
        assert line.split(maxsplit=1) == [file.stem, said]
    assert run("example", "wine", folder=tmp_path).returncode == 0
    assert (tmp_path / "wine.csv").read_bytes() == TABLE.read_bytes()
    again = run("example", "wine", folder=tmp_path)
    assert b"'wine.csv' is there already; give --force" in again.stderr
    assert run("example", "wine", "--force", folder=tmp_path).returncode == 0
    wrong = run("example", "win", folder=tmp_path)
    assert wrong.stderr == b"neuron-xp: unknown table 'win'; did you mean 'wine'?\n"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("neuron-xp tr", "plain,train"),
        ("neuron-xp train --hol", "plain,--holdout"),
        ("neuron-xp train --optimizer a", "plain,adam"),
        ("neuron-xp train --class", "plain,--class-weights"),
        ("neuron-xp predict w", "file,w"),
    ],
)
def test_a_shell_completes(tmp_path, typed, completed):
    program = "from neuron_xp.cli.app import commands; commands(prog_name='neuron-xp')"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {
            "_NEURON_XP_COMPLETE": "bash_complete", "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ")),
        },
    )  # fmt: skip
    assert completed in found.stdout.splitlines()
