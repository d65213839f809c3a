"""Tables that a cluster reads and trains on: the model files of the same command in memory."""

import re
import signal
import subprocess
import sys
import time
from itertools import pairwise

import fsspec
import numpy as np
import pytest
from dask_clusters import deadline, local_cluster, processes

from neuron_xp.cluster.tables import spread_table
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.encode import read_training_table

pytestmark = pytest.mark.xdist_group("cluster")  # deadlines: one at a time

ROWS = 700
SETTINGS = ["--optimizer", "gradient_descent", "--rule", "cross_entropy", "--iterations", "20"]


def lines(rows=ROWS):
    """A table with a category, two classes, and a number in each other column."""
    generator = np.random.default_rng(4)
    numbers = generator.standard_normal((rows, 3)).round(6)
    colours = generator.choice(["red", "green", "blue"], rows)
    said = np.where(numbers[:, 0] + numbers[:, 1] > 0, "yes", "no")
    for row, colour, answer in zip(numbers.tolist(), colours, said, strict=True):
        yield ",".join([*map(str, row), colour, answer])


HEADER = "a,b,c,colour,said"
READING = Reading(target="said", categories=("colour",))


@pytest.fixture
def parts(tmp_path):
    """The table as one file and as parts, one of them without rows."""
    table = list(lines())
    (tmp_path / "whole.csv").write_text("\n".join([HEADER, *table]) + "\n")
    folder = tmp_path / "parts"
    folder.mkdir()
    cuts = [0, 1, 300, 300, 500, ROWS]
    for number, (start, stop) in enumerate(pairwise(cuts)):
        text = "\n".join([HEADER, *table[start:stop]]) + "\n"
        (folder / f"part-{number}.csv").write_text(text)
    return tmp_path


def command(*arguments):
    with deadline(100):
        return subprocess.run(
            [sys.executable, "-m", "neuron_xp", *map(str, arguments)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def trained(data, model, *options):
    run = command("train", data, "--target", "said", "--categories", "colour", *SETTINGS,
                  "-o", model, *options)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return model.read_bytes()


def test_workers_started_for_the_run_make_the_same_model(parts):
    expected = trained(parts / "whole.csv", parts / "memory.safetensors", "--holdout", "0.2")
    options = ("--holdout", "0.2", "--workers", "2")
    assert trained(parts / "parts", parts / "cluster.safetensors", *options) == expected
    run = command("verify", parts / "cluster.safetensors", parts / "parts", "--workers", "1")
    assert run.returncode == 0, run.stderr
    assert "the same bits" in run.stdout


def test_workers_learn_as_the_command_does_where_nothing_is_said(parts):
    line = ["--target", "said", "--categories", "colour", "-o"]
    here = command("train", parts / "whole.csv", *line, parts / "here")
    there = command("train", parts / "parts", *line, parts / "there", "--workers", "2")
    assert (there.returncode, there.stderr) == (0, "")
    assert (parts / "there").read_bytes() == (parts / "here").read_bytes()
    reports = [[row for row in run.stdout.splitlines() if re.match("stopped|iter|eval|loss", row)]
               for run in (here, there)]  # fmt: skip
    assert reports[0] == reports[1]
    assert re.fullmatch("stopped +converged: no slope above 1e-07", reports[0][0])


@pytest.mark.slow
def test_a_running_cluster_makes_the_same_model(parts):
    expected = trained(parts / "whole.csv", parts / "memory.safetensors")
    with deadline(120), processes(parts, 2) as cluster:
        pattern = str(parts / "parts" / "part-*.csv")
        options = ("--scheduler", cluster.address)
        assert trained(pattern, parts / "cluster.safetensors", *options) == expected
        address = "file://" + pattern
        assert trained(address, parts / "address.safetensors", *options) == expected


@pytest.mark.slow
def test_a_stopped_run_goes_on_without_the_cluster(parts):
    """SIGTERM, as a shell or a batch system sends it."""
    saving = ("--checkpoint", parts / "run.safetensors", "--checkpoint-every", "10")
    long = ("--iterations", "1000", *saving)
    with deadline(120):
        run = subprocess.Popen(
            [sys.executable, "-m", "neuron_xp", "train", str(parts / "parts"), "--target", "said",
             "--categories", "colour", *SETTINGS, "-o", str(parts / "never.safetensors"),
             "--workers", "2", *map(str, long)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        while not (parts / "run.safetensors").exists():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate()
        assert run.returncode == 128 + signal.SIGTERM
        assert said.splitlines()[-1].startswith("neuron-xp: stopped; a run with --checkpoint")
        model = trained(parts / "whole.csv", parts / "resumed.safetensors", *long, "--resume")
        assert model == trained(parts / "whole.csv", parts / "memory.safetensors",
                                "--iterations", "1000")  # fmt: skip


def test_the_table_is_the_one_in_memory(parts):
    table = read_training_table(parts / "whole.csv", READING)
    elsewhere = fsspec.filesystem("memory")
    elsewhere.put(f"{parts}/parts", "/table", recursive=True)
    elsewhere.pipe("/table/_SUCCESS", b"")
    elsewhere.pipe("/table/.hidden.csv", b"")
    places = [parts / "parts", parts / "whole.csv", "memory://table", "memory://table/*.csv"]
    for place in places:
        spread = spread_table(str(place), READING)
        assert spread.columns == table.columns
        assert spread.inputs.compute().tobytes() == table.inputs.tobytes()
        assert spread.targets.compute().tobytes() == table.targets.tobytes()


def test_an_archive_and_a_table_stored_by_columns(tmp_path):
    generator = np.random.default_rng(6)
    inputs, targets = generator.random((200, 3)), generator.integers(0, 2, 200)
    np.savez(tmp_path / "t.npz", inputs=inputs, targets=targets)
    np.save(tmp_path / "t.npy", np.asfortranarray(np.column_stack([inputs, targets])))
    for name, target in (("t.npz", None), ("t.npy", "3")):
        table = read_training_table(tmp_path / name, Reading(target=target))
        spread = spread_table(str(tmp_path / name), Reading(target=target))
        assert spread.inputs.compute().tobytes() == table.inputs.tobytes()
        assert spread.targets.compute().tobytes() == table.targets.tobytes()


def test_what_a_worker_finds_is_said_with_its_place(parts):
    broken = parts / "parts" / "part-3.csv"
    text = broken.read_text()
    large = re.sub("\n[^,]+", f"\n{2**53 + 1}", text, count=1)
    with deadline(60), local_cluster(1):
        for fault, words in (
            (text.replace("red", "red,", 1), r"part-3.csv, line \d+: 6"),
            (large, r"part-3.csv, line 2, column 'a': '9007199254740993' is an integer beyond 2"),
        ):
            broken.write_text(fault)
            with pytest.raises(TableError, match=words):
                spread_table(str(parts / "parts"), READING)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2", "--scheduler", "tcp://x:1"], "--scheduler joins a cluster and --work"),
        (["--workers", "0"], "0 is not in the range x>=1"),
        (["--dashboard"], "--dashboard shows what --workers do"),
        (["--workers", "1", "--max-memory", "1GB"], "--max-memory bounds this process"),
        (["--workers", "1", "--backend", "nump"], "did you mean 'numpy'"),
        (
            ["--workers", "1", "--optimizer", "adam", "--shuffle", "rows", "--batch-size", "64"],
            "type --shuffle leaves",
        ),
        (["--scheduler", "nowhere"], "no scheduler answers at 'nowhere'"),
        pytest.param(
            ["--scheduler", "tcp://127.0.0.1:1"],
            "no scheduler answers at 'tcp://127.0.0.1:1'",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_get_one_line(options, message, parts, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")
    run = command("train", parts / "parts", "--target", "said", "--categories", "colour",
                  "-o", parts / "m.safetensors", *options)  # fmt: skip
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (parts / "m.safetensors").exists()


def test_an_address_needs_a_cluster(parts):
    run = command("train", f"file://{parts}/whole.csv", "--target", "said", "-o", parts / "m")
    assert run.returncode == 2
    assert "is for the workers of a cluster; type --workers N" in run.stderr


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_said_in_a_line(parts):
    """With Dask's own patience, and within a minute; the run goes on without a cluster."""
    saving = ("--checkpoint", parts / "run.safetensors", "--checkpoint-every", "5")
    long = ("--iterations", "2000", *saving)
    with deadline(120), processes(parts, 2) as cluster:
        run = subprocess.Popen(
            [sys.executable, "-m", "neuron_xp", "train", str(parts / "parts"), "--target", "said",
             "--categories", "colour", *SETTINGS, "-o", str(parts / "never.safetensors"),
             "--scheduler", cluster.address, *map(str, long)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        while not (parts / "run.safetensors").exists():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.05)
        cluster.scheduler.kill()
        began = time.monotonic()
        _, said = run.communicate()
        assert time.monotonic() - began < 60
    assert run.returncode == 2
    warning, line = said.splitlines()
    assert "runs whatever it is sent, by anybody who reaches it; with TLS" in warning
    assert line.startswith("neuron-xp: the scheduler at tcp://127.0.0.1:")
    assert "type --resume to go on from" in line
    model = trained(parts / "whole.csv", parts / "resumed.safetensors", *long, "--resume")
    assert model == trained(parts / "whole.csv", parts / "memory.safetensors",
                            "--iterations", "2000")  # fmt: skip
