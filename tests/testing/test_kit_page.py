"""The page of the kit: its files are written, its commands run, and give what it shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from kit_runs import run_pytest, write_files

PAGE = Path(__file__).parents[2] / "neuron_xp" / "testing" / "README.md"
TEXT = PAGE.read_text("utf-8")
FLAGS = re.MULTILINE | re.DOTALL
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```python\n(.*?)^```$", TEXT, FLAGS))
CONSOLES = re.findall(r"^```console\n\$ pytest (.*?)\n(.*?)^```$", TEXT, FLAGS)


def simplify(text):
    """Leave out what differs from run to run: versions, times, and the widths that follow."""
    text = re.sub(r"\b\d+\.\d+\.\d+\S*", "VERSION", text)
    text = re.sub(r"in \d+\.\d+s", "in TIME", text)
    text = re.sub(r"={3,}", "===", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def check_shown(shown, output):
    """Find the parts of what is shown, between lines of dots, in this order in the output."""
    rest = "\n".join(["", *simplify(output), ""])
    for part in "\n".join(simplify(shown)).split("..."):
        wanted = part.strip()
        if wanted:
            _, found, rest = rest.partition(f"\n{wanted}\n")
            assert found, f"{wanted}\n\nis not in what came:\n\n{output}"
            rest = f"\n{rest}"


@pytest.mark.parametrize(("options", "shown"), CONSOLES, ids=[options for options, _ in CONSOLES])
def test_a_command_gives_what_is_shown(tmp_path, options, shown):
    pytest.importorskip("torch")
    write_files(tmp_path, FILES)
    run = run_pytest(tmp_path, *shlex.split(options), CUDA_VISIBLE_DEVICES="")
    check_shown(shown, run.stdout)
    assert run.returncode == (1 if "FAILED" in run.stdout or "ERROR" in run.stdout else 0)


def test_the_explanation_of_two_that_do_not_part(tmp_path):
    pytest.importorskip("torch")
    words, shown = re.search(r"\$ neuron-xp (explain[^\n]*numpy)\n(.*?)^```", TEXT, FLAGS).groups()
    line = [sys.executable, "-m", "neuron_xp", *words.split()]
    run = subprocess.run(line, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout == shown


def test_there_is_something_to_run():
    assert list(FILES) == [
        "shares.py", "test_shares.py", "cleaning.py", "test_cleaning.py", "test_later.py",
    ]  # fmt: skip
    assert len(CONSOLES) == TEXT.count("$ pytest ") == 4
    with pytest.raises(AssertionError, match=r"^3 failed\s+is not in what came:\s+2 failed\s"):
        check_shown("...\n3 failed\n...", "2 failed\n")


def test_the_hook_that_is_shown(tmp_path):
    (hook,) = re.findall(r"```python\n(def pytest_neuron_xp.*?)```", TEXT, re.DOTALL)
    pytest.importorskip("torch")
    write_files(tmp_path, {**FILES, "conftest.py": hook})
    run = run_pytest(tmp_path, "--backends", "torch", "-v", "test_shares.py")
    assert "test_find_shares[torch:cpu:compiled] PASSED" in run.stdout


def test_the_marks_that_are_shown(tmp_path):
    (test,) = re.findall(r"```python\n(@pytest.mark.skip_.*?)```", TEXT, re.DOTALL)
    write_files(tmp_path, {"test_fill.py": f"import pytest\n\n{test}"})
    run = run_pytest(tmp_path, "--backends", "numpy", "test_fill.py")
    assert "1 passed" in run.stdout
