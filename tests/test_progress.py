"""The progress bar: on a real terminal, in a pipe, in a notebook, and when a training fails."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from neuron_xp.progress import ProgressBar

PROGRAM = """
import neuron_xp
bar = neuron_xp.progress_bar()
neuron_xp.train(iterations=400, {more} on_progress=bar, progress_every=50)
"""
SHOW_CURSOR = "\x1b[?25h"


def run_on_terminal(program):
    """Run it with a terminal as its stderr; return its exit status and what was drawn."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    run = subprocess.run(
        [sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=environment,
        check=False,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += (read := os.read(ours, 65536))
        except OSError:  # what Linux says at the end
            break
        if not read:
            break
    os.close(ours)
    return run.returncode, drawn.decode()


def test_a_terminal_shows_a_bar_and_keeps_its_cursor():
    status, drawn = run_on_terminal(PROGRAM.format(more=""))
    assert status == 0
    assert "50/400" in drawn
    assert "400/400" in drawn
    assert "loss" in drawn
    assert SHOW_CURSOR in drawn[drawn.rindex("400/400") :]


def test_what_stops_when_it_is_done_is_counted():
    status, drawn = run_on_terminal(PROGRAM.format(more="optimizer='lbfgs', l2=1.0,"))
    assert status == 0
    assert "iterations" in drawn
    assert "/400" not in drawn


def test_a_training_that_fails_leaves_the_cursor():
    program = """
import neuron_xp
bar = neuron_xp.progress_bar()
class Failing:
    close = bar.close
    def __call__(self, progress):
        bar(progress)
        raise KeyError("mine")
neuron_xp.train(on_progress=Failing(), progress_every=100)
"""
    status, drawn = run_on_terminal(program)
    assert status == 1
    assert "KeyError" in drawn[drawn.rindex(SHOW_CURSOR) :]


@pytest.mark.parametrize("news", ["", "if progress.iteration > 99: raise KeyboardInterrupt"])
def test_a_callback_around_the_bar_leaves_the_cursor(news):
    """Which has no close of its own: the bar ends with the training, or with Python."""
    program = f"""
import sys, neuron_xp
bar = neuron_xp.progress_bar()
def tell(progress):
    bar(progress)
    {news or "pass"}
neuron_xp.train(iterations=400, on_progress=tell, progress_every=50)
print("after", file=sys.stderr)
"""
    status, drawn = run_on_terminal(program)
    assert (status == 0) == (news == "")
    assert SHOW_CURSOR in drawn[: drawn.rindex("after") if news == "" else None]


def test_a_bar_is_a_context_and_can_be_used_again():
    program = """
import sys, neuron_xp
with neuron_xp.progress_bar() as bar:
    bar(neuron_xp.Progress(1, 400, 0.5))
print("between", file=sys.stderr)
neuron_xp.train(iterations=400, on_progress=bar, progress_every=50)
"""
    status, drawn = run_on_terminal(program)
    assert status == 0
    assert drawn.index("1/400") < drawn.index(SHOW_CURSOR) < drawn.index("between")
    assert SHOW_CURSOR in drawn[drawn.rindex("400/400") :]


def test_a_pipe_shows_nothing():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(more="")], capture_output=True, check=True
    )
    assert (run.stdout, run.stderr) == (b"", b"")


def test_a_notebook_has_one_line_that_is_written_over(capsys):
    bar = ProgressBar()
    bar._console = SimpleNamespace(is_jupyter=True)
    news = SimpleNamespace(ending=None, __str__=lambda: "x")
    bar(news)
    news.ending = "converged"
    bar(news)
    bar.close()
    first, second = capsys.readouterr().out.split("\r")[1:]
    assert "\n" not in first
    assert second.endswith("\n")
    assert "ended: converged" in second
