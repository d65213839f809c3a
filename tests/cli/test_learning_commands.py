"""How a command learns: its optimizers, how it says that it stopped, and its warnings."""

import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import neuron_xp
from neuron_xp.files.durable import name_previous

ROOT = Path(__file__).parent.parent.parent
WINE = ROOT / "examples" / "data" / "wine.csv"
OLD = ROOT / "tests" / "data" / "before_rooms" / "wine.safetensors"
TRAIN = ["train", WINE, "--target", "cultivar"]
DESCENT = ["--optimizer", "gradient_descent"]


def command(*arguments, **options):
    line = [sys.executable, "-m", "neuron_xp", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, **options)


def report_of(run):
    assert run.returncode == 0, run.stderr
    return dict(line.split(None, 1) for line in run.stdout.splitlines())


def test_gradient_descent_gives_the_bits_that_it_gave(tmp_path):
    """A model of version 0.1.0; and the fingerprint of one that was not standardized."""
    options = ["--holdout", "0.2", "--iterations", "500", "-o", tmp_path / "model"]
    run = command(*TRAIN, *DESCENT, *options)
    assert (run.returncode, run.stderr) == (0, "")
    network = neuron_xp.NeuralNetwork.load(tmp_path / "model")
    more = dict.fromkeys(("rows", "unordered", "groups", "held_out"))  # what it keeps since then
    assert all(getattr(network.table, name) is not None for name in more)
    before = replace(network, table=replace(network.table, **more))
    assert before.to_bytes() == OLD.read_bytes()
    run = command(*TRAIN, *DESCENT, "--no-standardize", "--iterations", "300", "-o",
                  tmp_path / "raw")  # fmt: skip
    known = "5ae43882edc14909533a58f4233b580860aebe7c233540a18ebe831b03dc631e"
    assert report_of(run)["fingerprint"] == known


@pytest.mark.parametrize(
    ("options", "stopped", "iterations"),
    [
        ([], "converged: no slope above 1e-07", None),
        (["--gradient-tolerance", "0.01"], "converged: no slope above 0.01", None),
        (["--gradient-tolerance", "0"], "no step lowers the loss", None),
        (["--iterations", "4"], "all 4 iterations done", 4),
        ([*DESCENT, "--iterations", "7"], "all 7 iterations done", 7),
        ([*DESCENT, "--tolerance", "0.1"], "the loss fell by no more than 0.1 of itself", None),
        (["--optimizer", "adam", "--iterations", "8"], "all 8 iterations done", 8),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_report_says_how_it_stopped(tmp_path, options, stopped, iterations):
    report = report_of(command(*TRAIN, *options, "-o", tmp_path / "model"))
    assert report["stopped"] == stopped
    assert ("evaluations" in report) == ("--optimizer" not in options)
    if iterations is None:
        assert 0 < int(report["iterations"]) < 1000
    else:
        assert int(report["iterations"]) == iterations
    shown = report_of(command("show", tmp_path / "model"))
    optimizer = options[1] if "--optimizer" in options else "lbfgs"
    assert shown["optimizer"] == optimizer
    assert shown["standardize"] == "True"
    assert (shown["learning_rate"], shown["gradient_tolerance"] == "-") == {
        "lbfgs": ("-", False), "adam": ("0.001", True), "gradient_descent": ("auto", True)
    }[optimizer]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--learning-rate", "0.5"],
            "--learning-rate 0.5 does not go with --optimizer lbfgs, whic",
        ),
        (["--batch-size", "64"], "leave it out, or type --optimizer adam"),
        (["--tolerance", "0.1"], "--tolerance 0.1 does not go with --optimizer lbfgs: type --grad"),
        ([*DESCENT, "--hidden", "3"], "type --optimizer lbfgs, which needs no rate, or a number"),
        ([*DESCENT, "--gradient-tolerance", "1"], "--gradient-tolerance says when L-BFGS stops: t"),
        (["--optimizer", "sgd"], "'sgd' is not one of 'lbfgs', 'adam', 'gradient_descent'"),
        (["--optimizer", "adam", "--learning-rate", "auto"], "with --optimizer adam give a number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_said_in_flags(tmp_path, options, words):
    run = command(*TRAIN, *options, "-o", tmp_path / "model")
    assert (run.returncode, run.stdout) == (2, "")
    assert words in run.stderr
    assert run.stderr.count("\n") == 1


def test_help_tells_the_defaults():
    text = " ".join(command("train", "--help").stdout.split())
    for words in (
        "--optimizer [lbfgs|adam|gradient_descent] How weights are adjusted. [default: lbfgs]",
        "[default: by the target (lbfgs, adam); error_weighted_derivative (gradient_descent)]",
        "[default: 1.0 (lbfgs, adam); 0.0 (gradient_descent)]",
        "[default: 0.001 (adam); auto (gradient_descent)]",
        "[default: 1000 (lbfgs); 10000 (adam, gradient_descent)]",
        "[default: 1e-07 (lbfgs)]",
        "Scale columns to mean 0, deviation 1. [default: standardize]",
    ):
        assert words in text


# --- warnings --------------------------------------------------------------------------


def test_what_was_not_learned_is_a_warning_in_a_line(tmp_path):
    options = ["--iterations", "3", "--no-standardize", "-o", tmp_path / "model"]
    run = command(*TRAIN, *options)
    assert report_of(run)["iterations"] == "3"
    assert run.stderr == (
        "neuron-xp: warning: the training did all of its --iterations 3 and has not converged to "
        "--gradient-tolerance 1e-07; type --iterations 30 or --standardize\n"
    )
    run = command("verify", tmp_path / "model", WINE)
    assert (run.returncode, run.stderr) == (0, "")  # it was said once
    with pytest.warns(neuron_xp.LearningWarning, match="give iterations=30 or standardize=True"):
        neuron_xp.train_on_table(WINE, target="cultivar", iterations=3, standardize=False)


def test_a_damaged_checkpoint_is_a_warning_in_a_line(tmp_path):
    run, saving = tmp_path / "run", ["--checkpoint", tmp_path / "run", "--checkpoint-every", "1"]
    line = [*TRAIN, "-o", tmp_path / "model"]
    whole = report_of(command(*line))["fingerprint"]
    report_of(command(*line, "--force", "--iterations", "6", *saving))
    run.write_bytes(run.read_bytes()[:-1])
    again = command(*line, "--force", *saving, "--resume")
    assert report_of(again)["fingerprint"] == whole
    assert again.stderr.startswith(f"neuron-xp: warning: {run} is not a model file, or is damaged")
    assert again.stderr.endswith(f"; going on from {name_previous(run)}\n")
    assert again.stderr.count("\n") == 1


# --- on a terminal ---------------------------------------------------------------------


def seen_on_a_terminal(*arguments):
    """What a terminal shows of stderr, without its colours."""
    leader, follower = pty.openpty()
    line = [sys.executable, "-m", "neuron_xp", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 65536):
            seen += piece
    except OSError:  # Linux: the other end is closed
        pass
    process.communicate()
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
def test_the_bar_of_lbfgs_promises_no_number_of_iterations(tmp_path):
    """Both take some seconds: of a training that is done within one nothing is shown."""
    seen = seen_on_a_terminal(*TRAIN, "--hidden", "100,50", "-o", tmp_path / "model")
    assert re.search(r"\d+ iterations loss \d\S+", seen)
    assert "1000" not in seen
    assert ":--" not in seen
    seen = seen_on_a_terminal(*TRAIN, *DESCENT, "--iterations", "1000000", "-o", tmp_path / "other")
    assert re.search(r"\d+/1000000 \d*-?:[\d-]+.* loss \d\S+", seen)
