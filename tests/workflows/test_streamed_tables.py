"""Tables that are never whole in memory: the commands give the same bits, and leave nothing."""

import errno
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from table_files import sample, save, temporary_folder, write

from neuron_xp import evaluate, predict, train_on_table, verify
from neuron_xp.errors import TrainingDivergedError
from neuron_xp.files import npy
from neuron_xp.files import temporary as folders
from neuron_xp.files.npy import RowFile
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables import files as table_parts
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.columns import Columns
from neuron_xp.workflows import table_data
from neuron_xp.workflows.table_data import open_table_data
from neuron_xp.workflows.table_scoring import predict_in_chunks

MEMORY = 2**24
SHORT = {"optimizer": "gradient_descent", "standardize": False, "iterations": 20}
LBFGS = {"optimizer": "lbfgs", "standardize": True, "hidden": (3,)}
ADAM = {"optimizer": "adam", "standardize": True, "batch_size": 64, "shuffle": "leaves"}


@pytest.fixture(autouse=True)
def chunks_of_a_few_rows(monkeypatch):
    monkeypatch.setattr(table_parts, "LARGEST_CHUNK", 2000)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    yield from temporary_folder(tmp_path, monkeypatch)


def trained(path, reading, options, holdout=0.0, **more):
    """(network, the rest of what training on the table gave)"""
    given = {**asdict(reading), **options, **more}
    found = train_on_table(path, holdout=holdout, seed=3, **given)
    rest = (found.columns, found.rows, found.dropped, found.notes, told(found.held_out))
    return found.network, rest


def told(score):
    return score and {**asdict(score), "confusion": score.confusion.tolist()}


def check_all(path, reading, options=SHORT, holdout=0.0):
    """Training, scoring, verifying and predicting are the same with little memory."""
    network, rest = trained(path, reading, options, holdout)
    streamed, again = trained(path, reading, options, holdout, max_memory=MEMORY)
    assert streamed.to_bytes() == network.to_bytes()
    assert streamed.history == network.history
    assert again == rest
    assert told(evaluate(network, path, max_memory=MEMORY)) == told(evaluate(network, path))
    found = verify(network, path, backend=network.backend, max_memory=MEMORY)
    assert (found.network.fingerprint(), found.same_data) == (network.fingerprint(), True)
    assert found.same_bits
    return network


def check_predictions(network, path):
    (whole,) = predict_in_chunks(network, path)
    chunks = list(predict_in_chunks(network, path, max_memory=MEMORY))
    assert len(chunks) > 1
    outputs = np.concatenate([chunk.outputs for chunk in chunks])
    assert outputs.tobytes() == whole.outputs.tobytes()
    assert [name for chunk in chunks for name in chunk.classes] == whole.classes
    assert predict(network, path, max_memory=MEMORY).outputs.tobytes() == whole.outputs.tobytes()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".npy", ".parquet"])
def test_little_memory_changes_no_bit(tmp_path, temporary, kind, classes):
    columns, reading = sample(kind, classes=classes)
    path = write(tmp_path / f"data{kind}", columns)
    network = check_all(path, reading, {**SHORT, "standardize": True}, holdout=0.3)
    full = {name: np.nan_to_num(x) if name != "kind" and not isinstance(x[0], str) else x
            for name, x in columns.items()}  # fmt: skip
    check_predictions(network, write(tmp_path / f"full{kind}", full))


@pytest.mark.parametrize("kind", [".csv", ".npy", ".parquet"])
def test_folders_and_patterns(tmp_path, temporary, kind):
    columns, reading = sample(kind)
    whole, _ = trained(write(tmp_path / f"data{kind}", columns), reading, SHORT)
    for i in range(3):
        part = {name: values[50 * i : 50 * (i + 1)] for name, values in columns.items()}
        write(tmp_path / "parts" / f"part-{i}{kind}", part)
    for path in (tmp_path / "parts", tmp_path / "parts" / "part-*"):
        assert check_all(path, reading).to_bytes() == whole.to_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 64, "shuffle": "leaves", "learning_rate": 0.01},
        {"hidden": (3,), "learning_rate": 0.01, "rule": "cross_entropy"},
        {"l2": 0.1, "standardize": True},
        {"batch_size": 10},
        LBFGS,
        ADAM,
    ],
)
def test_settings(tmp_path, temporary, options):
    columns, reading = sample(".csv", rows=500)
    check_all(write(tmp_path / "data.csv", columns), reading, {**SHORT, **options}, holdout=0.1)


def test_targets_that_are_numbers(tmp_path, temporary):
    for low in (0, 0.25):
        columns = {"0": np.linspace(-1, 1, 200), "1": np.linspace(low, 1, 200).round()}
        if low:
            columns["1"] = np.linspace(low, 1, 200)
        network = check_all(write(tmp_path / f"{low}.npy", columns), Reading(1), holdout=0.2)
        check_predictions(network, tmp_path / f"{low}.npy")


def test_a_checkpoint_goes_on_with_little_memory(tmp_path, temporary):
    columns, reading = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    saving = {"checkpoint": tmp_path / "run", "checkpoint_every": 5, "resume": False}
    whole, _ = trained(path, reading, {**SHORT, "iterations": 30})
    trained(path, reading, {**SHORT, "iterations": 10}, **saving)
    saving["resume"] = True
    on, _ = trained(path, reading, {**SHORT, "iterations": 20}, max_memory=MEMORY, **saving)
    assert (on.settings.iterations, on.data_fingerprint) == (20, whole.data_fingerprint)
    on, _ = trained(path, reading, {**SHORT, "iterations": 30}, **saving)
    assert on.to_bytes() == whole.to_bytes()


# --- what is refused, and leaves nothing -----------------------------------------------


def test_faults_leave_nothing(tmp_path, temporary):
    columns, reading = sample(".csv")
    text = write(tmp_path / "data.csv", columns).read_text()
    path = save(tmp_path, text + "oops,1,1,red,x\n", "more.csv")
    with pytest.raises(TableError, match=r"^more\.csv, line 152, column 'length': 'oops' is not"):
        trained(path, reading, SHORT, max_memory=MEMORY)
    network, _ = trained(tmp_path / "data.csv", reading, SHORT)
    for job in (evaluate, predict):
        with pytest.raises(TableError, match=r"^more\.csv, line"):
            job(network, path, max_memory=MEMORY)
    with pytest.raises(TrainingDivergedError, match=r"^weights became infinite or NaN"):
        trained(tmp_path / "data.csv", reading, {**SHORT, "learning_rate": 1e300, "l2": 1e300},
                max_memory=MEMORY)  # fmt: skip


def test_settings_are_checked_before_the_table_is_read(tmp_path, temporary):
    nothing = tmp_path / "nothing.csv"
    for options, words in (
        ({"shuffle": "rows", "batch_size": 5}, "shuffle='rows' draws single examples"),
        ({"hidden": (2,)}, "learning_rate='auto' is a safe step for one"),
        ({**LBFGS, "learning_rate": 0.5}, "learning_rate=0.5 does not go with optimizer='lbfgs'"),
    ):
        with pytest.raises(ValueError, match=words):
            trained(nothing, Reading("y"), {**SHORT, **options}, max_memory=MEMORY)
    with pytest.raises(ValueError, match="resume needs to know the file"):
        trained(nothing, Reading("y"), {}, max_memory=MEMORY,
                resume=True)  # fmt: skip


def test_a_model_of_shuffled_rows_can_be_scored(tmp_path, temporary):
    columns, reading = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    network, _ = trained(path, reading, {**SHORT, "batch_size": 50, "shuffle": "rows"})
    assert network.settings.shuffle == "rows"
    assert told(evaluate(network, path, max_memory=MEMORY)) == told(evaluate(network, path))


def test_too_many_rows_to_hold_some_out(tmp_path, temporary):
    columns, reading = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    use = TableUse(reading, Columns((), "", None, ()), 0.1, 3)
    few = open_table_data(path, use, known=False, max_memory=4000)
    words = r"^to hold rows out of 1\d\d takes 1,\d\d\d bytes, .* keep those rows in"
    with pytest.raises(ValueError, match=words), few:
        pass
    with pytest.raises(ValueError, match=r"^holdout=0\.999 leaves no row of 1\d\d to train on$"):
        trained(path, reading, SHORT, holdout=0.999)
    with pytest.raises(ValueError, match=r"^holdout=0\.999 leaves no row of 1\d\d to train on$"):
        trained(path, reading, SHORT, holdout=0.999, max_memory=MEMORY)


def test_a_disk_that_is_too_small(tmp_path, temporary, monkeypatch):
    columns, reading = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    usage = folders.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda folder: usage._replace(free=5000))
    words = r"^the folder '.*temporary' has 5,000 bytes left, and a working copy of the table takes"
    with pytest.raises(OSError, match=words + r" \d,\d\d\d; set TMPDIR to one on a larger disk$"):
        trained(path, reading, SHORT, max_memory=MEMORY)


def test_a_disk_that_becomes_full(tmp_path, temporary, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            if self.file.tell() + len(data) > 3000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

    columns, reading = sample(".csv")
    network, _ = trained(write(tmp_path / "data.csv", columns), reading, SHORT)
    path_open = npy.Path.open
    monkeypatch.setattr(
        npy.Path, "open",
        lambda self, mode="r", *more, **options: (
            Full(path_open(self, mode, *more, **options)) if mode == "xb"
            else path_open(self, mode, *more, **options)
        ),
    )  # fmt: skip
    words = r"^the folder '.*neuron-xp-.*' is full after \d,\d\d\d bytes of training-inputs\.npy"
    with pytest.raises(OSError, match=words):
        evaluate(network, tmp_path / "data.csv", max_memory=MEMORY)


def test_a_table_that_grows_while_it_is_read(tmp_path, temporary, monkeypatch):
    columns, reading = sample(".csv")
    path = write(tmp_path / "data.csv", columns)
    survey = table_data.survey_file

    def growing(*given):
        found = survey(*given)
        with path.open("a") as file:
            file.write("1,1,1,red,x\n")
        return found

    monkeypatch.setattr(table_data, "survey_file", growing)
    with pytest.raises(OSError, match=r"^the table has changed while it was read: 1\d\d rows bec"):
        trained(path, reading, SHORT, max_memory=MEMORY)


# --- the working copy ------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[], [0], [3], [1, 0, 1000, 7]])
def test_row_files_are_what_numpy_saves(tmp_path, sizes):
    rows = np.random.default_rng(1).standard_normal((sum(sizes), 3))
    with RowFile(tmp_path / "rows.npy", 3) as file:
        for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
            file.append(np.asfortranarray(rows[stop - size : stop]))
    np.save(tmp_path / "saved.npy", rows)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


PEAK = """
import resource, sys
from pathlib import Path
from neuron_xp.model.table_use import TableUse
from neuron_xp.files.npy import RowFile
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.workflows.table_data import open_table_data

def peak():
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes

def copy(path):
    use = TableUse(Reading(sys.argv[2]), Columns((), "", None, ()), 0.1)
    with open_table_data(path, use, known=False, max_memory=2**24) as data:
        return sum(len(inputs) for inputs, _ in data.training.blocks(2**24))

copy(sys.argv[3])
before = peak()
assert copy(sys.argv[1]) == 900 * 200
print(peak() - before)
"""


@pytest.mark.parametrize("kind", [".npy", ".parquet"])
def test_memory_is_bounded_by_what_is_given(tmp_path, temporary, kind):
    pytest.importorskip("resource", reason="this system tells no process's peak of memory")
    rows = 200_000
    generator = np.random.default_rng(1)
    columns = {str(i): generator.random(rows) for i in range(40)}
    path = write(tmp_path / f"data{kind}", columns)
    few = write(tmp_path / f"few{kind}", {name: x[:10_000] for name, x in columns.items()})
    line = [sys.executable, "-c", PEAK, path, "39", few]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 2**24  # of 64 MB, and half a megabyte while they are split
