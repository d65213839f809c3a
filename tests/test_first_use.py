"""The first use: what is imported, what is compiled and said, what is missing and said."""

import ast
import inspect
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.opening import missing_kernels
from neuron_xp.backends.opening.missing_kernels import estimate_seconds, hint_at_kernels
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.cli import app
from neuron_xp.cli.output import LogLines

NUMPY, STRICT = open_backend("numpy"), open_backend("array_api_strict")


def run_code(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip


# --- imports ---------------------------------------------------------------------------


def test_importing_neuron_xp_imports_nothing_before_it_is_asked_for():
    code = (
        "import sys, neuron_xp\n"
        "print(*(m for m in sys.modules if m.startswith(('numpy', 'neuron_xp.'))))"
    )
    assert run_code(code).stdout.split() == ["neuron_xp.start"]


def test_public_names_are_those_that_type_checkers_see():
    (block,) = (n for n in ast.parse(inspect.getsource(neuron_xp)).body if isinstance(n, ast.If))
    seen = {
        alias.name: node.module.removeprefix("neuron_xp").removeprefix(".") or alias.name
        for node in block.body
        for alias in node.names
    }
    homes = {name: home for home, names in neuron_xp._HOMES.items() for name in names}
    assert seen == homes
    assert sorted(seen) == neuron_xp.__all__


def test_every_public_name_is_found_and_listed():
    code = "from neuron_xp import *; print(*sorted(set(dir()) - {'__builtins__'}))"
    names = [name for name in dir(neuron_xp) if not name.startswith("_")]
    assert set(neuron_xp.__all__) <= set(names)
    assert all(getattr(neuron_xp, name) is not None for name in neuron_xp.__all__)
    assert set(neuron_xp.__all__) <= set(run_code(code).stdout.split())
    with pytest.raises(AttributeError, match=r"module 'neuron_xp' has no attribute 'tarin'"):
        neuron_xp.tarin  # noqa: B018


def test_the_demo_imports_what_it_needs():
    """Neither what draws bars, nor other commands, nor all of NumPy, nor what a compiler knows."""
    has_right_kernels(NUMPY)  # now they are compiled
    code = (
        "import sys; from neuron_xp.cli.app import main; main(['demo'])\n"
        "print(*(m for m in sys.argv[1:] if m in sys.modules), file=sys.stderr)"
    )
    others = "rich", "neuron_xp.cli.on_models", "numpy.testing", "numba.typed.typeddict"
    assert run_code(code, *others).stderr == "\n"


def test_the_command_imports_no_commands_before_one_is_named():
    code = "import sys, neuron_xp.cli.app; print('numpy' in sys.modules, 'rich' in sys.modules)"
    assert run_code(code).stdout == "False False\n"


@pytest.mark.parametrize("name", app.COMMANDS)
def test_commands_are_found_by_their_names(name):
    context = app.click.Context(app.commands)
    assert app.commands.get_command(context, name).name == name


# --- kernels that are compiled ---------------------------------------------------------

COMPILING = "compiling kernels, once on this machine; about ten seconds ..."


def add_one(x):
    return x + 1


def double(x):
    return x * 2


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """The compiler of a process that has compiled nothing, with an empty folder."""
    numba = pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    from neuron_xp.backends.numba_kernels import compiler

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiler._announcer, "_first", None)
    monkeypatch.setattr(compiler._announcer, "kernels", [])
    return compiler


def test_compiling_is_logged_once_in_a_process(compiler, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "neuron_xp")
    assert compiler.allocating(add_one)(1) == 2  # anybody's function
    assert compiler.kept_small(double)(1) == 2
    assert not caplog.records
    kernel = compiler.kept(add_one)
    assert not compiler.is_kept(kernel, 1)
    assert (kernel(1), compiler.kept(double)(2.0)) == (2, 4)
    assert compiler.is_kept(kernel, 1)
    assert not compiler.is_kept(kernel, 1.0)
    begun, done = caplog.records
    assert begun.getMessage() == COMPILING
    assert re.fullmatch(r"compiled kernels in \d+\.\d seconds", done.getMessage())
    assert {begun.levelno, done.levelno} == {logging.INFO}  # by default nobody sees it

    caplog.clear()
    monkeypatch.setattr(compiler._announcer, "_first", None)
    assert compiler.kept(add_one)(1) == 2  # as in a later process: it is loaded
    assert not caplog.records


def test_the_end_of_a_compilation_that_fails_is_logged(compiler, caplog):
    caplog.set_level(logging.INFO, "neuron_xp")
    with pytest.raises(Exception, match="Failed in nopython"):
        compiler.kept(add_one)("text")
    assert [record.under_way for record in caplog.records] == [True, False]


def run_command(folder, *words):
    run = run_code(
        "from neuron_xp.cli.app import console; console()", *words, NUMBA_CACHE_DIR=str(folder)
    )
    return run.stdout, run.stderr


@pytest.mark.slow
def test_workers_find_compiled_what_the_command_has_said_that_it_compiles(tmp_path):
    """Else each would compile for itself, and nobody would say why nothing happens."""
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    pytest.importorskip("distributed")
    table, model = Path(__file__).parent.parent / "examples" / "data" / "wine.csv", tmp_path / "m"
    words = "train", str(table), "--target", "cultivar", "--workers", "2", "-o", str(model)
    assert run_command(tmp_path, *words)[1] == f"neuron-xp: {COMPILING}\n"
    (kept,) = tmp_path.rglob("network.iterate-*.nbc")
    written = kept.stat().st_mtime_ns
    assert run_command(tmp_path, *words, "--force")[1] == ""
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_command_says_that_it_compiles_and_later_nothing(tmp_path):
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    assert "kernels: not yet compiled on this machine" in run_command(tmp_path, "backends")[0]
    shown, said = run_command(tmp_path, "demo")
    assert said == f"neuron-xp: {COMPILING}\n"
    assert "as published" in shown
    shown, said = run_command(tmp_path, "demo")
    assert said == ""
    assert "as published" in shown
    assert run_command(tmp_path, "backends")[0].endswith("kernels: compiled on this machine\n")


class Spinner:
    """What rich's status is to the command."""

    def __init__(self, text):
        self.text, self.turns = text, None

    def start(self):
        self.turns = True

    def stop(self):
        self.turns = False


def test_a_terminal_has_a_spinner_while_it_compiles(monkeypatch):
    from rich.console import Console
    from rich.file_proxy import FileProxy

    said, spinners = [], []
    monkeypatch.setattr(
        Console, "status", lambda self, text: spinners.append(Spinner(text)) or spinners[-1]
    )
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setattr(Console, "is_dumb_terminal", False)
    lines = LogLines(said.append)
    record = logging.makeLogRecord({"msg": COMPILING, "under_way": True})
    lines.emit(record)
    (spinner,) = spinners
    assert (spinner.text, spinner.turns, said) == (f"neuron-xp: {COMPILING}", True, [])
    lines.emit(logging.makeLogRecord({"msg": "compiled", "under_way": False}))
    assert (spinner.turns, said) == (False, [])
    monkeypatch.setattr(sys, "stderr", FileProxy(Console(stderr=True), sys.stderr))  # it has a bar
    lines.emit(record)
    assert (len(spinners), said) == (1, [COMPILING])


def test_a_closed_stderr_does_no_harm_to_what_is_logged():
    def say(line):
        raise BrokenPipeError

    LogLines(say).emit(logging.makeLogRecord({"msg": COMPILING}))


# --- Numba that is missing -------------------------------------------------------------

HINT = (
    "array operations do this training, which take many times as long as kernels, since "
    "Numba is not installed; type: pip install 'neuron-xp[fast]'"
)
WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"
LONG_TRAINING = """
import neuron_xp
for _ in range(2):
    try:  # it would be long, and ends at once
        neuron_xp.train(iterations=10**6, on_progress=lambda progress: 1 / 0, progress_every=1)
    except ZeroDivisionError:
        pass
"""


@pytest.fixture
def no_numba(monkeypatch):
    monkeypatch.setattr(missing_kernels.importlib.util, "find_spec", lambda name: None)
    missing_kernels._hint_once.cache_clear()
    yield
    missing_kernels._hint_once.cache_clear()


def test_a_long_training_without_numba_is_told_once_what_would_help():
    assert run_code(WITHOUT_NUMBA + LONG_TRAINING).stderr == f"{HINT}\n"
    assert run_code(WITHOUT_NUMBA + "import neuron_xp; neuron_xp.train(iterations=9)").stderr == ""


def test_the_command_says_what_would_help(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "1,1\n0,0\n" * 9)
    program = WITHOUT_NUMBA + "from neuron_xp.cli.app import console; console()"
    words = "--optimizer", "gradient_descent", "--learning-rate", "1e-9", "--tolerance", "0.9"
    run = run_code(
        program, "train", str(table), "-o", str(tmp_path / "model"), "--iterations", "1000000",
        "--target", "b", *words,
    )  # fmt: skip
    assert run.stderr.splitlines()[0] == f"neuron-xp: {HINT}"
    assert run.stderr.count(HINT) == 1
    found = run_code(program, "backends").stdout
    assert found.endswith(
        "kernels: none, as Numba is not installed; type: pip install 'neuron-xp[fast]'\n"
    )


def test_only_long_trainings_on_a_processor_are_told(no_numba, caplog):
    hint_at_kernels(NUMPY, (3, 1), 4, 10_000)  # the article's: seconds
    hint_at_kernels(STRICT, (20, 1), 10**6, 10_000)
    assert not caplog.records
    hint_at_kernels(NUMPY, (20, 1), 10**6, 100)
    hint_at_kernels(NUMPY, (20, 1), 10**6, 100)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("WARNING", HINT)


def test_nobody_is_told_where_numba_is(caplog):
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    hint_at_kernels(NUMPY, (20, 1), 10**6, 10**6)
    assert not caplog.records


def test_the_estimate_grows_with_the_work():
    sizes = estimate_seconds((20, 1), 1000, 100), estimate_seconds((20, 16, 1), 1000, 100)
    assert np.all(np.diff([0.0, *sizes, estimate_seconds((20, 16, 1), 10**6, 100)]) > 0)
