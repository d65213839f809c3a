"""Text from files on a terminal: spelled out, cut, and never obeyed."""

import subprocess
import sys

import pytest

import neuron_xp
from neuron_xp.errors import did_you_mean, show_text

RED = "\x1b[31mred"
SPELLED = r"\x1b[31mred"


def command(*arguments):
    line = [sys.executable, "-m", "neuron_xp", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A table whose names and classes hold a terminal's commands, and its model."""
    folder = tmp_path_factory.mktemp("files")
    table, model = folder / "table.csv", folder / "model"
    rows = [f"{i},{i % 3},{RED if i % 2 else '=1+1'}" for i in range(20)]
    table.write_text("\n".join([f"{RED},x\u202e,kind", *rows]), encoding="utf-8")
    neuron_xp.train_on_table(table, target="kind").network.save(model)
    return table, model


def test_what_is_shown_of_a_model_is_spelled_out(files):
    table, model = files
    for arguments in (("show", model), ("evaluate", model, table), ("verify", model, table)):
        run = command(*arguments)
        assert run.returncode == 0, run.stderr
        assert all(line.isprintable() for line in (run.stdout + run.stderr).split("\n"))
    assert SPELLED in command("evaluate", model, table).stdout
    shown = command("show", model).stdout
    assert f"classes             {SPELLED}, =1+1\n" in shown
    assert f"inputs              {SPELLED}, x\\u202e\n" in shown


def test_messages_are_spelled_out_and_cut(files, tmp_path):
    table, model = files
    run = command("train", table, "--target", "kinds of many", "-o", tmp_path / "new")
    assert run.returncode == 2
    assert f"choose from {SPELLED}, kind, x\\u202e\n" in run.stderr
    long = tmp_path / "long.csv"
    long.write_text(f"{'a' * 100_000},x\x1b]0;title\x07\n1,2\n")
    run = command("predict", model, long)
    assert run.returncode == 2
    assert run.stderr[:-1].isprintable()
    assert len(run.stderr) < 600


def test_answers_are_what_the_table_says(files):
    table, model = files
    answers = command("predict", model, table).stdout.splitlines()
    assert answers[0] == "probability of =1+1,kind"
    assert {line.rpartition(",")[2] for line in answers[1:]} <= {"=1+1", RED}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with \u00e4 and \u6f22", "plain, with \u00e4 and \u6f22"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\x9b2J\u2066\ud800", r"\x9b2J\u2066\ud800"),
        (3, "3"),
    ],
)
def test_only_what_is_no_letter_is_spelled(text, shown):
    assert show_text(text) == shown
    assert show_text(shown) == shown


def test_long_text_loses_its_middle():
    shown = show_text("begin " + "x" * 10**6 + " end", 100)
    assert len(shown) <= 100
    assert shown.startswith("begin")
    assert shown.endswith(" end")


def test_a_long_list_of_names_is_cut():
    words = did_you_mean("zzz", [f"{RED}{number}" for number in range(1000)])
    assert len(words) <= 305
    assert words.isprintable()
    assert words.endswith(", ...")
