"""`neuron-xp bench`, and the parts of ci/benchmark that measure nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.cli import bench as bench_command
from neuron_xp.workflows import bench, clock

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT))  # ci/ is no part of the package

from ci.benchmarks import contest, options, processes, report, shapes, timed  # noqa: E402
from ci.benchmarks.programs import PLAIN  # noqa: E402
from ci.benchmarks.results import Contest, First, Way  # noqa: E402

TINY = ["--rows", "70", "--features", "3", "--hidden", "2", "--seconds", "0.001"]
TWO = ["--backend", "numpy", "--backend", "array_api_strict"]


def command(*arguments):
    line = [sys.executable, "-m", "neuron_xp", "bench", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """What it prints, and the JSON."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    run = command(*TINY, *TWO, "--json", str(file))
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines(), json.loads(file.read_text())


def test_a_row_for_each_way_to_train(tiny):
    lines, _ = tiny
    assert [word.strip() for word in lines[0].split("  ") if word] == list(bench_command.HEADER)
    kernels = open_backend("numpy").make_kernels is not None
    expected = [
        ("numpy", "plain"),
        *([("numpy", "kernels")] if kernels else []),
        *[("numpy", "arrays")] * 2,
        *[("array_api_strict", "arrays")] * 2,
    ]
    rows = [line.split() for line in lines[1 : 1 + len(expected)]]
    assert [(row[0], row[3]) for row in rows] == expected
    assert lines[1 + len(expected) :] == list(bench_command.LEGEND)


def test_reproducible_rows_share_their_bits_which_are_trains(tiny):
    lines, record = tiny
    found = {row["fingerprint"] for row in record["results"] if row["fingerprint"]}
    rows = [row for row in record["results"] if row["arithmetic"] == "reproducible"]
    assert len(found) == 1
    assert all(row["fingerprint"] for row in rows)
    assert sum(line.endswith(next(iter(found))[:12]) for line in lines) == len(rows)


def test_the_json_says_what_was_done(tiny):
    _, record = tiny
    assert record["neuron_xp"] == neuron_xp.__version__
    assert record["task"] == {
        "rows": 70, "features": 3, "hidden": [2], "threads": None, "seconds": 0.001,
    }  # fmt: skip
    for row in record["results"]:
        assert row["iterations"] >= clock.LEAST_ITERATIONS
        assert row["seconds"] > 0
        assert row["ratio"] > 0
    assert record["results"][0]["ratio"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "0"], "rows must be a whole number from 1 to 1000000000; got 0"),
        (["--features", "0"], "features must be a whole number from 1 to 1000000; got 0"),
        (["--rows", "many"], "'many' is not a valid integer"),
        (["--hidden", "4,x"], "hidden must be sizes of layers, such as 16,8; got '4,x'"),
        (["--hidden", "4,0"], "a layer size in hidden must be a whole number from 1"),
        (["--threads", "0"], "threads must be a whole number from 1 to 1024; got 0"),
        (["--seconds", "nan"], "seconds must be a finite number above 0; got nan"),
        (["--backend", "nunpy"], "unknown backend 'nunpy'; did you mean 'numpy'?"),
        (["--json", "no/such/folder/file"], "there is no folder 'no/such/folder'"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_status_2(arguments, words):
    run = command(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("neuron-xp: ")
    assert words in run.stderr
    assert run.stderr.count("\n") == 1


DIFFERENT = """
import sys
from neuron_xp.cli import app as cli
from neuron_xp.workflows import bench
bench.bits_differ = lambda measured: True
sys.exit(cli.main(["bench", *sys.argv[1:]]))
"""


def test_different_bits_are_status_1_and_a_line():
    line = [sys.executable, "-c", DIFFERENT, *TINY, "--backend", "array_api_strict"]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == bench_command.DIFFERENT


def measurement(fingerprint):
    plain = {"backend": "", "version": "", "device": "", "engine": "", "arithmetic": ""}
    numbers = dict.fromkeys(("seconds", "ratio", "gigabytes_per_second", "first_call"), 1.0)
    return bench.Measurement(**plain, **numbers, iterations=3, fingerprint=fingerprint)


def test_native_measurements_have_no_bits_to_differ():
    assert not bench.bits_differ(map(measurement, [None, "a", "a"]))
    assert bench.bits_differ(map(measurement, [None, "a", "b"]))


@pytest.mark.parametrize("hidden", [(), (4,), (5, 3)])
def test_the_plain_program_trains_as_train_does(hidden):
    workload = bench.check_workload(rows=90, features=6, hidden=hidden, threads=None, seconds=1)
    start, rate = bench.start_weights(workload), 0.01
    inputs = np.random.RandomState(3).random_sample((90, 6))
    targets = inputs[:, 1:2]
    plain = bench.plain_program(inputs, targets, start, rate, 20)
    network = neuron_xp.train(inputs, targets, hidden=hidden, learning_rate=rate, iterations=20)
    for ours, theirs in zip(network.weights, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# --- ci/benchmark ------------------------------------------------------------------------

SHAPE = shapes.Shape("4 x 2", 4, 2, 1.0)
TRIALS = {  # made up: three rounds; in the second the whole machine was slow
    PLAIN: ([1e-3, 4e-3, 2e-3], None, [0.5, 1.0]),
    "neuron_xp numpy": ([2e-3, 8e-3, 3e-3], "abc" * 20, [0.5, 1.0 + 1e-9]),
    "neuron_xp jax, native": ([1e-4, 4e-4, 3e-4], None, [0.5, 1.0]),
}


def summarized(shape=SHAPE, trials=TRIALS, left_out=()):
    empty = Contest(shape.name, PLAIN, shape, shape.input_bytes, left_out=dict(left_out))
    firsts = {name: (First(1.25, 0, of[1]), of[2]) for name, of in trials.items()}
    runs = {
        name: [{name: Way((seconds,), 3, 2_000_000)} for seconds in of[0]]
        for name, of in trials.items()
    }
    return contest.summarize(empty, firsts, runs)


def test_medians_and_each_rounds_ratios():
    found = summarized()
    assert found.ways["neuron_xp numpy"].median == 3e-3
    assert found.ratio("neuron_xp numpy") == 2.0
    assert found.firsts["neuron_xp numpy"].distance == pytest.approx(1e-9)
    assert found.ratio(PLAIN) == 1


def test_the_table():
    assert report.report(summarized()).splitlines() == [
        "4 x 2 (6.4e-05 MB), x: to plain NumPy",
        "                         time    x  million rows/s      GB/s  memory MB  first call s",
        "plain NumPy              2 ms    1           0.002   3.2e-05          2          1.25",
        "neuron_xp numpy          3 ms    2         0.00133  2.13e-05          2          1.25",
        "neuron_xp jax, native  300 us  0.1          0.0133  0.000213          2          1.25",
        "one fingerprint of the reproducible: abcabcabcabc",
    ]


def test_faults_are_told():
    assert contest.find_faults(summarized()) == []
    trials = {**TRIALS, "other": ([1, 1, 1], "def" * 20, [0.5, float("nan")])}
    found = summarized(trials=trials, left_out={"torch": "ended with status -9"})
    left_out, apart, different = contest.find_faults(found)
    assert left_out == "4 x 2: torch is left out: ended with status -9"
    assert apart == "4 x 2: other ends nan from plain NumPy"
    assert "DIFFERENT fingerprints" in different


def test_a_shape_without_plain_numpy_has_no_ratios():
    found = summarized(trials={name: of for name, of in TRIALS.items() if name != PLAIN})
    assert contest.find_faults(found) == []
    assert found.ratio("neuron_xp numpy") is None
    assert report.report(found).splitlines()[1].split()[:2] == ["time", "million"]


def test_a_shape_too_large_for_the_machine_is_no_fault():
    result = replace(summarized(), too_large="needs some 80 GB")
    assert contest.find_faults(result) == []
    assert report.report(result) == "4 x 2: needs some 80 GB"


def test_a_contender_that_fails_is_left_out():
    pace = timed.Pace(2, 0.001)
    result = contest.measure(SHAPE, [PLAIN, "nobody"], pace)
    assert list(result.ways) == list(result.firsts) == [PLAIN]
    assert len(result.ways[PLAIN].rounds) == 2
    assert result.left_out == {"nobody": "KeyError: 'nobody'"}


def test_runs_are_as_long_as_was_asked_for():
    """Three iterations of so few rows would take a millisecond, and measure the clock."""
    shape = shapes.random_shape(100, 3)
    found = contest.measure(shape, [PLAIN], timed.Pace(1, 0.05))
    way = found.ways[PLAIN]
    assert way.iterations > 10 * clock.LEAST_ITERATIONS
    assert way.iterations * way.median > 0.01


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.4e-6, "4.4 us"), (0, "0 us")]
)
def test_durations(seconds, said):
    assert report.format_duration(seconds) == said


def test_options_survive_the_way_to_another_folder(tmp_path):
    words = ["--quick", "--json", str(tmp_path / "a.json"), "--rounds", "3"]
    arguments = options.parse(words)
    assert options.parse(options.format_words(arguments)) == arguments


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--json", "no/such/folder/file"]])
def test_options_that_make_no_sense(words, capsys):
    with pytest.raises(SystemExit):
        options.parse(words)
    assert "ci/benchmark: error: argument" in capsys.readouterr().err


def test_the_start_is_trains():
    shape = shapes.random_shape(30, 5, hidden=(4,))
    inputs, targets, start, rate, hidden, _ = shapes.make_problem(shape)
    network = neuron_xp.train(inputs, targets, hidden=hidden, learning_rate=rate, iterations=0)
    assert all((a == b).all() for a, b in zip(network.weights, start, strict=True))


def test_rows_are_the_same_without_those_before_them():
    whole = shapes.make_inputs(0, 100, 7)
    assert (shapes.make_inputs(33, 20, 7) == whole[33:53]).all()


def test_a_worker_that_cannot_start_says_why():
    with processes.Process(partial(timed.TimedProgram, nonsense=1), {}) as process:
        with pytest.raises(processes.WorkerError, match=r"TypeError: .*nonsense"):
            process.ask(timed.Worker.get_ready)
        with pytest.raises(processes.WorkerError, match="ended with status 0"):
            process.ask(timed.run)
