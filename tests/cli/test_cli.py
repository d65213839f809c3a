"""The commands, as processes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import neuron_xp
from neuron_xp.cli import on_backends
from neuron_xp.workflows.cases import published
from neuron_xp.workflows.matrix import Result

DEMO = """\
Random starting synaptic weights:
[[-0.16595599]
 [ 0.44064899]
 [-0.99977125]]

New synaptic weights after training:
[[ 9.67299303]
 [-0.2078435 ]
 [-4.62963669]]

Considering new situation [1, 0, 0] -> ?:
[0.99993704]

"""


def command(*arguments, **options):
    line = [sys.executable, "-m", "neuron_xp", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, **options)


def test_demo_prints_the_articles_numbers():
    run = command("demo")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(DEMO)
    assert f"fingerprint {published()['article']}, as published\n" in run.stdout


def test_demo_in_native_arithmetic():
    run = command("demo", "--arithmetic", "native")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(DEMO)


def test_the_installed_script_is_the_module():
    script = Path(sys.executable).with_name("neuron-xp" + (".exe" if os.name == "nt" else ""))
    line = [str(script)] if script.exists() else [sys.executable, "-m", "neuron_xp"]
    run = subprocess.run([*line, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith(neuron_xp.__version__)


def test_help_without_a_command():
    run = command()
    assert run.returncode == 0
    assert all(name in run.stdout for name in ("demo", "backends", "matrix"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--backend", "nunpy"], "unknown backend 'nunpy'; did you mean 'numpy'?"),
        (["demo", "--device", "cuda"], "numpy has only the device 'cpu'"),
        (["demo", "--arithmetic", "fast"], "unknown arithmetic 'fast'; choose from native, repro"),
        (["demo", "--bakend", "numpy"], "No such option '--bakend'"),
        (["demo", "now"], "Got unexpected extra argument (now)"),
        (["demmo"], "No such command 'demmo'"),
        (["matrix", "--json", "no/such/folder/file"], "there is no folder 'no/such/folder'"),
        (["matrix", "--json", "."], "is a directory"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_status_2(arguments, words):
    run = command(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("neuron-xp: ")
    assert words in run.stderr
    assert run.stderr.count("\n") == 1


def test_backends_lists_every_library_as_plain_text_in_a_pipe():
    run = command("backends")
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["backend", "version", "device", "usable", "reason"]
    assert {line.split()[0] for line in lines[1:]} >= {"numpy", "cupy", "torch", "jax"}
    assert run.stdout.isascii()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
def test_backends_is_a_table_on_a_terminal():
    leader, follower = pty.openpty()
    line = [sys.executable, "-m", "neuron_xp", "backends"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run(line, stdout=follower, env=environment, check=True)
    os.close(follower)
    assert "┃" in os.read(leader, 65536).decode()


MATRIX = """
import sys
from neuron_xp.backends import libraries as backends
from neuron_xp.cli import app as cli, on_backends
from neuron_xp.workflows import cases, matrix
NAMES = "numpy", "array_api_strict"
matrix.find_usable_backends = lambda: [backends.open_backend(name) for name in NAMES]
if "different" in sys.argv:
    on_backends.published = lambda: dict.fromkeys(cases.published(), "0" * 64)
sys.exit(cli.main(["matrix", "--json", sys.argv[1]]))
"""


def matrix(*arguments):
    """On two backends, for the time it takes; ci/matrix runs it on all."""
    line = [sys.executable, "-c", MATRIX, *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_matrix_compares_and_writes_json(tmp_path):
    run = matrix(str(tmp_path / "matrix.json"))
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"numpy .* reproducible +(\d+) of \1 ", run.stdout)
    record = json.loads((tmp_path / "matrix.json").read_text())
    assert record["neuron_xp"] == neuron_xp.__version__
    rows = [r for r in record["results"] if r["arithmetic"] == "reproducible"]
    assert {r["backend"] for r in rows} == {"numpy", "array_api_strict"}
    assert record["finished"]
    assert all(r["fingerprint"] == published()[r["case"]] for r in rows)


@pytest.mark.slow
def test_matrix_fails_when_fingerprints_differ(tmp_path):
    run = matrix(str(tmp_path / "matrix.json"), "different")
    assert run.returncode == 1
    assert "DIFFERENT: article on numpy cpu: 47c54196" in run.stdout
    assert "0 of " in run.stdout


RESULT = {"backend": "cupy", "version": "14", "device": "cuda:0", "engine": "arrays",
          "arithmetic": "reproducible", "iterations": 1, "ulp": 0, "seconds": 0.5}  # fmt: skip
FOUND = [
    Result(**RESULT, case="article", fingerprint=published()["article"]),
    *(
        Result(**{**RESULT, "ulp": None}, case=case, fingerprint="", failure="OSError: it is lost")
        for case in ("random", "wide")
    ),
]


def test_a_matrix_in_which_trainings_failed(monkeypatch):
    monkeypatch.setattr(on_backends.matrix, "find_usable_backends", list)
    monkeypatch.setattr(on_backends.matrix, "run_matrix", lambda backends: FOUND)
    outcome = on_backends.run_matrix.main([], standalone_mode=False)
    assert outcome.status == 1
    _, row, failed, *_ = outcome.text.splitlines()
    assert re.fullmatch(r"cupy +14 +cuda:0 +arrays +reproducible +1 of 3 +0 +1\.50", row)
    assert failed == (
        "FAILED: random and 1 more on cupy cuda:0, arrays, reproducible: OSError: it is lost"
    )


def test_a_matrix_that_is_stopped_has_kept_what_it_found(monkeypatch, tmp_path):
    def run(backends):
        yield from FOUND
        raise KeyboardInterrupt

    file = tmp_path / "matrix.json"
    monkeypatch.setattr(on_backends.matrix, "find_usable_backends", list)
    monkeypatch.setattr(on_backends.matrix, "run_matrix", run)
    with pytest.raises(click.exceptions.Abort):
        on_backends.run_matrix.main(["--json", str(file)], standalone_mode=False)
    record = json.loads(file.read_text())
    assert [row["failure"] for row in record["results"]] == [r.failure for r in FOUND]
    assert record["finished"] is False


def test_a_reader_that_leaves_is_no_error():
    line = [sys.executable, "-m", "neuron_xp", "demo"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
