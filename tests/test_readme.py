"""What the README and the examples show is what happens."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuron_xp.workflows.cases import CASES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "ci" / "README.md",
    *(
        page
        for page in sorted((ROOT / "neuron_xp").glob("*/README.md"))
        if page.parent.name != "neuron"  # the specification, which has tests of its own
    ),
]
GITHUB = r"https://(?:github|raw\.githubusercontent)\.com/neuron-xp/neuron_xp"
HEADER = "`NeuronClassifier` | `LogisticRegression` | `MLPClassifier` | `SGDClassifier`"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_python_of_a_page_gives_what_it_says(page, monkeypatch):
    monkeypatch.chdir(ROOT)  # where its reader is
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted == page.read_text("utf-8").count(">>> ")


def test_the_readme_is_short_and_its_links_work_everywhere():
    assert README.count("\n") <= 160
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []
    files = re.findall(rf"{GITHUB}/(?:blob/)?main/([^)]+)\)", README)
    commands = re.findall(r"python3 (ci/\w+)", README)
    assert len(files) > 10
    assert set(commands) == {"ci/demo", "ci/test"}
    assert [name for name in files + commands if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(((?!http|#)[^)]+)\)", text)
    assert links
    assert [name for name in links if not (page.parent / name).resolve().exists()] == []
    commands = re.findall(r"python3 (ci/\w+)", text)
    assert [name for name in commands if not (ROOT / name).exists()] == []


def test_the_matrix_that_is_shown_is_todays():
    """As many cases as there are for each kind of backend, and none that differs."""
    text = (ROOT / "neuron_xp" / "backends" / "README.md").read_text("utf-8")
    shown = re.findall(r"^(\w+) .* reproducible +(\d+) of (\d+) +0 ", text, re.MULTILINE)
    patience = {"array_api_strict": 3000}
    assert {name for name, _, _ in shown} == {"numpy", "torch", "jax", "array_api_strict"}
    for name, same, all_ in shown:
        cases = [case for case in CASES if case.iterations <= patience.get(name, 10_000)]
        assert int(same) == int(all_) == len(cases)


def test_the_table_of_estimators_is_as_it_was_measured():
    record = json.loads((ROOT / "ci" / "results" / "estimators.json").read_text("utf-8"))
    for found in record["results"]:
        (row,) = re.findall(rf"^\| {re.escape(found['data'])} \| (.*) \|$", README, re.MULTILINE)
        names = [name.strip("`") for name in HEADER.split(" | ")]
        cell = row.split(" | ")[names.index(found["classifier"])]
        assert cell.startswith(f"{found['accuracy']:.4f}, ")
        assert row in (ROOT / "ci" / "README.md").read_text("utf-8")


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


def test_the_nine_lines_are_as_the_page_says():
    """The trained bits of neuron_xp; the nine lines' own depend on the processor."""
    page = (ROOT / "neuron_xp" / "backends" / "README.md").read_text("utf-8")
    example = ROOT / "examples" / "nine_lines.py"
    run = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=True)
    ours = [line for line in run.stdout.splitlines() if line.startswith("neuron_xp: ")]
    assert len(ours) == 2
    assert set(ours) == set(re.findall(r"^neuron_xp: .*$", page, re.MULTILINE))
