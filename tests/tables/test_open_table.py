"""A table that is open: its names, its chunks, and a file that is closed whatever happens."""

import os
import re

import numpy as np
import pytest
from table_files import sample, write

from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.columns import select_for_training
from neuron_xp.tables.encode import read_chunks, read_training_table
from neuron_xp.tables.files import READERS, open_table
from neuron_xp.tables.readers import text

KINDS = [".csv", ".tsv", ".npy", ".parquet"]


def open_files(folder):
    """The names of the files of a folder that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # of listdir itself
            continue
    return [name for name in found if name.startswith(str(folder))]


@pytest.fixture
def nothing_open(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system tells no open files")
    yield
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_opened_chosen_and_read(tmp_path, nothing_open, kind):
    columns, reading = sample(kind)
    with open_table(write(tmp_path / f"data{kind}", columns), reading) as file:
        assert (file.source, file.names) == (f"data{kind}", tuple(columns))
        wanted = select_for_training(reading, file.source, file.names)
        chunks = list(file.chunks(wanted, rows=50))
    assert all(len(cells.lines) <= 50 for cells in chunks)
    assert sum(len(cells.lines) + cells.dropped for cells in chunks) == 150


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_closed_when_its_chunks_are_abandoned(tmp_path, nothing_open, kind):
    columns, reading = sample(kind)
    path = write(tmp_path / f"data{kind}", columns)
    known = read_training_table(path, reading).columns
    chunks = read_chunks([path], reading, known, targets=True, rows=lambda file, wanted: 1)
    next(chunks)
    assert str(path) in open_files(tmp_path)
    chunks.close()
    assert open_files(tmp_path) == []
    with open_table(path, reading) as file:
        chunks = file.chunks(select_for_training(reading, path.name, file.names), rows=1)
        next(chunks)
    del file, chunks  # an array is mapped as long as it is there
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("kind", READERS)
def test_a_file_is_closed_when_it_is_no_table(tmp_path, nothing_open, kind):
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    path = tmp_path / f"data{kind}"
    path.write_bytes(b"\0garbage")
    with pytest.raises(TableError), open_table(path, Reading()):
        pass
    assert open_files(tmp_path) == []


def test_an_archive_is_not_read_before_its_columns_are_chosen(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    np.savez(path, inputs=np.ones((3, 2)), targets=[0, 1, 1])
    with open_table(path, Reading()) as file:
        monkeypatch.setattr(np.lib.format, "read_array", None)  # would be in memory whole
        assert file.names == ("0", "1", "targets")
        wanted = select_for_training(Reading(), path.name, file.names)
        with pytest.raises(TableError, match=r"an archive is in memory whole; .* give max_memory="):
            next(file.chunks(wanted, rows=1))


def test_a_list_of_names_will_do(tmp_path):
    reading = Reading("y", features=["a"], categories=["a"])
    assert reading == Reading("y", features=("a",), categories=("a",))
    for role in ("features", "categories"):
        words = f"{role} must be a list of names; got 'colour': give {role}=['colour']"
        with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
            Reading(**{role: "colour"})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_how_text_is_cut_changes_nothing(tmp_path, monkeypatch, line_end):
    """Blocks and pieces have words of their own, and quotes and blank lines where they end."""
    generator = np.random.default_rng(5)
    words = ["", "b", '"b"', '"a,b"', '"two\nlines"', '"""q"""', '5" pipe']
    rows = [
        f"{generator.standard_normal()},{words[generator.integers(0, 2 + i // 100)]},{'xyz'[i % 3]}"
        for i in range(600)
    ]
    rows[250:250] = [""] * 70
    path = tmp_path / "data.csv"
    path.write_bytes(line_end.join(["x,word,kind", *rows]).encode())
    reading = Reading("kind", categories=["word"], drop_missing=True)
    whole = read_training_table(path, reading)
    assert whole.columns.categories == (("word", ('"q"', '5" pipe', "a,b", "b", "two\nlines")),)
    for block, piece in ((2**8, 2**4), (2**9, 2**20), (2**12, 2**8)):
        monkeypatch.setattr(text, "BLOCK", block)
        monkeypatch.setattr(text, "PIECE", piece)
        monkeypatch.setattr(text, "HEADER", 7)
        monkeypatch.setattr(text, "ROWS_OF_CELLS", 1)
        table = read_training_table(path, reading)
        assert (table.inputs == whole.inputs).all()
        assert (table.targets == whole.targets).all()
        assert (table.columns, table.dropped) == (whole.columns, whole.dropped)
