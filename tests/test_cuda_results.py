"""ci/cuda, where no GPU is needed: what its parts tell, and the page that is written of it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from neuron_xp.workflows.bench import plain_sigmoid
from neuron_xp.workflows.cases import CASES

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # ci/ is no part of the package

from ci.benchmarks import programs, shapes  # noqa: E402
from ci.cuda_stages import bench, lines, page, plan, trainings  # noqa: E402


def python(*words, **environment):
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def told(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_without_a_package_it_says_what_to_install():
    program = (
        "import sys; sys.modules['array_api_compat'] = None; sys.argv = ['', 'cupy', 'cuda:0']\n"
        "from ci.cuda_stages.opens import main; main()"
    )
    run = python("-c", program)
    assert run.returncode == 1
    assert (
        f"type: {sys.executable} -m pip install array-api-compat (without a network" in run.stderr
    )


def test_each_training_is_told_and_compared_with_the_published_bits(capsys, monkeypatch):
    short = [case for case in CASES if case.iterations <= 10][:2]
    assert trainings.train("numpy", "cpu", "arrays", short) == 0
    found = told(capsys)
    assert [(line["case"], line["arithmetic"], line["same"]) for line in found] == [
        (case.name, arithmetic, same)
        for arithmetic, same in (("reproducible", True), ("native", None)) for case in short
    ]  # fmt: skip
    monkeypatch.setattr(trainings, "published", lambda: dict.fromkeys([c.name for c in CASES], "0"))
    assert trainings.train("numpy", "cpu", "arrays", short) == 2
    with pytest.raises(SystemExit, match=r"the kernels of array_api_strict on .* are not used"):
        trainings.train("array_api_strict", "cpu", "kernels", short)


def make_numpy(problem):
    return bench.make_plain(problem, np.asarray, plain_sigmoid, wait=lambda: None)


def test_contenders_are_measured_and_one_that_fails_is_a_result(capsys, monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 1e-4)
    tiny = shapes.random_shape(130, 3)
    article = replace(shapes.FULL.shapes[0], compared=50, iterations=50)

    def fail(problem):
        raise MemoryError("of the GPU")

    contenders = {
        "plain": make_numpy,
        "ours": partial(programs.make_ours, backend="numpy", kernels=False),
        "bad": fail,
    }
    assert bench.measure_all([tiny, article], contenders, with_numpy=True) == 2
    found = {(line["shape"], line["contender"]): line for line in told(capsys)}
    assert len(found) == 8
    for shape in (tiny, article):
        assert found[shape.name, "bad"]["failure"] == "MemoryError: of the GPU"
        ours, numpy = (found[shape.name, name] for name in ("ours", "numpy"))
        assert len(ours["fingerprint"]) == 64
        assert ours["fingerprint"] == numpy["fingerprint"]
        expected = shape.input_bytes / ours["seconds"] / 1e9
        assert ours["gigabytes_per_second"] == pytest.approx(expected)
    assert found["article", "ours"]["iterations"] == 50


@pytest.mark.parametrize("all_pass", [False, True])
def test_how_each_test_ends_is_told_and_a_file_that_needs_more_is_no_failure(tmp_path, all_pass):
    bad = "def test_bad(): pass" if all_pass else "def test_bad(): assert 1 == 2, 'so it is'"
    for room in ("a", "backends"):
        (tmp_path / room).mkdir()
    (tmp_path / "a" / "test_some.py").write_text(
        f"import pytest\ndef test_good(): pass\n{bad}\ndef test_left(): pytest.skip('no GPU')\n"
    )
    (tmp_path / "test_more.py").write_text("import nothing_of_this_name\n")
    options = ["-p", "no:cacheprovider", "-p", "ci.cuda_stages.recorder", "-c", os.devnull]
    (tmp_path / "backends" / "test_first.py").write_text(
        "def test_of_a_room_that_tells_most(): ...\n"
    )
    words = ["-m", "pytest", *options, "--continue-on-collection-errors", str(tmp_path)]
    file = tmp_path / "lines"
    run = python(*words, **{lines.FILE: str(file), lines.PART: "tests", "PYTHONPATH": str(ROOT)})
    assert run.returncode == (0 if all_pass else 1)
    found = {
        Path(line.get("name", "count").split("::")[-1]).name: line for line in lines.read(file)
    }
    assert found["count"]["count"] == 4
    assert list(found)[2] == "test_of_a_room_that_tells_most"
    outcomes = {
        name: (line["outcome"], line["why"]) for name, line in found.items() if name != "count"
    }
    assert outcomes == {
        "test_of_a_room_that_tells_most": ("passed", ""),
        "test_good": ("passed", ""),
        "test_bad": ("passed", "") if all_pass else ("failed", "AssertionError: so it is"),
        "test_left": ("skipped", "no GPU"),
        "test_more.py": (
            "not collected", "ModuleNotFoundError: No module named 'nothing_of_this_name'"
        ),
    }  # fmt: skip


CHOSEN = {
    part.command[part.command.index("-k") + 1]
    for stage in (*plan.STAGES, plan.LOOK) for part in stage.parts
    if plan.KERNEL_TESTS in part.command
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("chosen", sorted(CHOSEN | {"on_a_device and 100- and plain"}))
def test_each_choice_of_the_kernels_tests_chooses_some(chosen):
    """A test whose name has changed would else be missed on the GPU only."""
    run = python("-m", "pytest", "--collect-only", "-q", "--all", plan.KERNEL_TESTS, "-k", chosen)
    assert run.returncode == 0, run.stdout


PLACE = {"stage": "matrix", "part": "cupy arrays"}
TRAINING = {**PLACE, "kind": "training", "backend": "cupy", "version": "14", "device": "cuda:0",
            "engine": "arrays", "arithmetic": "reproducible", "seconds": 0.25}  # fmt: skip
TEST = {"stage": "kernels", "part": "tests", "kind": "test", "seconds": 1.0}
TIME = {"stage": "bench", "part": "arrays", "kind": "time", "shape": "10 x 2", "seconds": 2e-3,
        "gigabytes_per_second": 100.0, "first_call": 1.0, "iterations": 3}  # fmt: skip
END = {"kind": "end", "seconds": 3.0, "tail": ""}
FOUND = [
    {"stage": "kernels", "kind": "begin", "about": "an older run", "date": "yesterday"},
    {**TEST, "name": "test_old", "outcome": "failed", "why": "long ago"},
    {"stage": "kernels", "kind": "begin", "about": "the kernels", "date": "2030-01-01 10:00"},
    {"stage": "kernels", "part": "cupy opens", "kind": "library", "library": "cupy",
     "gpu": "NVIDIA H100", "memory": 80_000_000_000, "driver": "13.0"},
    {"stage": "kernels", "part": "tests", "kind": "collected", "count": 5},
    {**TEST, "name": "test_a", "outcome": "passed", "why": ""},
    {**TEST, "name": "test_b", "outcome": "failed", "why": "a | b"},
    {**TEST, "name": "test_c", "outcome": "failed", "why": "a | b"},
    {"stage": "kernels", "part": "tests", **END, "ended": "stopped after 3 seconds",
     "tail": "one\ntwo"},
    {"stage": "matrix", "kind": "begin", "about": "the cases", "date": "2030-01-01 10:01"},
    {**TRAINING, "case": "article", "same": True, "ulp": 0, "fingerprint": "a", "failure": ""},
    {**TRAINING, "case": "wide", "same": False, "ulp": 9, "fingerprint": "b", "failure": ""},
    {**TRAINING, "case": "tall", "same": False, "ulp": None, "fingerprint": "", "failure": "Oops"},
    {"stage": "bench", "kind": "begin", "about": "times", "date": "2030-01-01 10:02"},
    {"stage": "bench", "part": "arrays", "kind": "copy", "gigabytes_per_second": 3000.0},
    {**TIME, "contender": "plain CuPy", "seconds": 1e-3, "fingerprint": None},
    {**TIME, "contender": "arrays", "fingerprint": "c" * 64},
    {"stage": "bench", "part": "arrays", "kind": "time", "shape": "10 x 2", "contender": "numpy",
     "fingerprint": "d" * 64},
    {"stage": "bench", "part": "kernels", "kind": "time", "shape": "10 x 2",
     "contender": "kernels", "failure": "Oops"},
]  # fmt: skip


def test_the_page_says_what_was_found():
    text = page.write(FOUND, "abc123")
    assert "at abc123" in text
    assert "| cupy | gpu NVIDIA H100, memory 80.0 GB, driver 13.0 |" in text
    assert "| kernels | 2030-01-01 10:00 | tests | stopped after 3 seconds | 3.0 |" in text
    assert "| matrix | 2030-01-01 10:01 | cupy arrays | not ended |  |" in text
    assert "| tests | 5 | 1 | 2 | 0 | 2 | 0 |" in text
    assert r"- failed: test_b and 1 more (tests): a \| b" in text
    assert "| cupy | 14 | cuda:0 | arrays | reproducible | 1 of 3 | 9 | 0.75 |" in text
    assert "- wide on cupy, arrays, reproducible: DIFFERENT: b" in text
    assert "- tall on cupy, arrays, reproducible: Oops" in text
    assert "reads and writes 3000 GB/s" in text
    assert "| 10 x 2 | plain CuPy | 1 ms | 1 | 100 | 1.00 | - |" in text
    assert "| 10 x 2 | arrays | 2 ms | 2 | 100 | 1.00 | cccccccccccc |" in text
    assert "- 10 x 2: DIFFERENT bits: arrays cccccccccccc, numpy dddddddddddd" in text
    assert "- 10 x 2, kernels: Oops" in text
    assert "```\none\ntwo\n```" in text
    assert "test_old" not in text


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    file = tmp_path / "lines"
    lines.append(file, stage="a", kind="begin")
    with file.open("a") as stream:
        stream.write('{"stage": "a", "ki')
    assert lines.read(file) == [{"stage": "a", "kind": "begin"}]
