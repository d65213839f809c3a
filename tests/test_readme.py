"""What the README and the examples show is what happens."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuron_xp.workflows.cases import CASES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_the_readmes_python_gives_what_it_says(monkeypatch):
    monkeypatch.chdir(ROOT)  # where its reader is
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0


def test_the_matrix_that_is_shown_is_todays():
    """As many cases as there are for each kind of backend, and none that differs."""
    shown = re.findall(r"^(\w+) .* reproducible +(\d+) of (\d+) +0 ", README, re.MULTILINE)
    patience = {"array_api_strict": 3000}
    assert {name for name, _, _ in shown} == {"numpy", "torch", "jax", "array_api_strict"}
    for name, same, all_ in shown:
        cases = [case for case in CASES if case.iterations <= patience.get(name, 10_000)]
        assert int(same) == int(all_) == len(cases)


def test_every_file_that_the_readme_names_is_there():
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    commands = re.findall(r"python3 (ci/\w+)", README)
    assert len(links) > 5
    assert len(commands) > 3
    assert [name for name in links + commands if not (ROOT / name).exists()] == []


def test_every_path_that_contributing_names_is_there():
    words = re.findall(r"[\w.-]+(?:/[\w.-]*)+|[\w.-]+\.(?:md|toml|yaml)", CONTRIBUTING)
    paths = [word for word in words if not word.startswith(".venv")]
    assert len(set(paths)) > 25
    assert [path for path in paths if not (ROOT / path.rstrip(".")).exists()] == []


def test_every_name_that_contributing_gives_to_code_is_there():
    """`LIBRARIES` in `neuron_xp/backends/libraries.py`, and so on."""
    names = re.findall(r"`(\w+)`\s+(?:in\s+|\()`(neuron_xp/[\w/]+\.py)`", CONTRIBUTING)
    assert len(names) >= 5
    for name, path in names:
        assert re.search(rf"^(def )?{name}\b", (ROOT / path).read_text("utf-8"), re.MULTILINE), name


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, marks=pytest.mark.xdist_group("cluster") if "dask" in path.stem else [])
        for path in EXAMPLES
    ],
    ids=lambda path: path.stem,
)
def test_examples_run(example):
    run = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout


def test_the_nine_lines_are_as_the_readme_says():
    """The trained bits of neuron_xp; the nine lines' own depend on the processor."""
    example = ROOT / "examples" / "nine_lines.py"
    run = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=True)
    ours = [line for line in run.stdout.splitlines() if line.startswith("neuron_xp: ")]
    assert len(ours) == 2
    assert set(ours) == set(re.findall(r"^neuron_xp: .*$", README, re.MULTILINE))
