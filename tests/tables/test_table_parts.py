"""Tables by chunks and in several files: the same as read whole, from one."""

import pickle
import re
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_files import ON_KIND, TEXT, at_most, refused, sample, save, write

from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.encode import read_chunks, read_table, read_training_table
from neuron_xp.tables.files import find_parts, limit_rows
from neuron_xp.tables.survey import (
    decide_columns,
    find_constant_inputs,
    merge_surveys,
    survey_file,
)
from neuron_xp.tables.targets import MOST_WORDS

KINDS = [".csv", ".tsv", ".npy", ".parquet"]


def joined(chunks):
    """(inputs, targets, dropped, notes) of all of them."""
    found = list(chunks)
    return (
        np.concatenate([table.inputs for table in found]).tobytes(),
        np.concatenate([table.targets for table in found]).tobytes(),
        sum(table.dropped for table in found),
        sum((table.notes for table in found), ()),
    )


def the_same(table, chunks, survey):
    columns = decide_columns(survey)
    assert columns == table.columns
    assert (survey.rows, survey.dropped) == (len(table.inputs), table.dropped)
    assert find_constant_inputs(survey, columns) == table.constant
    assert joined(chunks) == joined([table])


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_the_table_read_whole(tmp_path, kind, rows):
    columns, reading = sample(kind)
    path = write(tmp_path / f"data{kind}", columns)
    whole = read_training_table(path, reading)
    assert 100 < len(whole.inputs) < 150
    assert len(whole.constant) == 1
    chunks = list(read_chunks([path], reading, whole.columns, targets=True, rows=at_most(rows)))
    assert max(len(table.inputs) for table in chunks) <= rows
    the_same(whole, chunks, survey_file(path, reading, at_most(rows)))
    by_memory = read_chunks([path], reading, whole.columns, targets=True, rows=limit_rows(2**24))
    the_same(whole, by_memory, survey_file(path, reading))


def in_parts(folder, kind, columns, cuts):
    for i, (start, stop) in enumerate(pairwise([0, *cuts, None])):
        write(folder / f"part-{i}{kind}", {n: v[start:stop] for n, v in columns.items()})
    return folder


@pytest.mark.parametrize("kind", [*KINDS, ".npz"])
def test_parts_are_one_table(tmp_path, kind):
    columns, reading = sample(kind)
    if kind == ".npz":
        reading = Reading()
        x, y = np.asarray(columns["length"]), columns["kind"]
        x = np.nan_to_num(x)[:, None]
        np.savez(tmp_path / "data.npz", inputs=x, targets=y)
        folder = tmp_path / "parts"
        folder.mkdir()
        np.savez(folder / "a.npz", inputs=x[:30], targets=y[:30])
        np.savez(folder / "b.npz", inputs=x[30:], targets=y[30:])
        path = tmp_path / "data.npz"
    else:
        path = write(tmp_path / f"data{kind}", columns)
        folder = in_parts(tmp_path / "parts", kind, columns, [64, 64, 71])
    whole = read_training_table(path, reading)
    for name in (folder, str(folder / f"*{kind}"), folder / "*"):
        table = read_training_table(name, reading)
        assert table.columns == whole.columns
        assert table.constant == whole.constant
        assert joined([table]) == joined([whole])
    assert joined([read_table(folder, reading, whole.columns, targets=True)]) == joined([whole])
    if kind == ".npz":
        return
    parts = find_parts(folder)
    surveys = [pickle.loads(pickle.dumps(survey_file(part, reading))) for part in parts]
    chunks = list(read_chunks(parts, reading, whole.columns, targets=True, rows=at_most(7)))
    the_same(whole, chunks, reduce(merge_surveys, surveys))
    the_same(
        whole,
        chunks,
        merge_surveys(surveys[0], merge_surveys(surveys[1], merge_surveys(*surveys[2:]))),
    )


def test_the_parts_follow_the_order_of_their_names(tmp_path):
    folder = tmp_path / "parts"
    for name, value in (("b.csv", 2), ("a.csv", 1), ("B.csv", 0)):
        write(folder / name, {"x": [value], "kind": [f"k{value}"]})
    assert [part.name for part in find_parts(folder)] == ["B.csv", "a.csv", "b.csv"]
    assert [part.name for part in find_parts(folder / "[ab].csv")] == ["a.csv", "b.csv"]
    assert read_training_table(folder, ON_KIND).inputs.tolist() == [[0], [1], [2]]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    folder = tmp_path / "parts"
    write(folder / "a.CSV", {"x": [1, 2], "kind": ["a", "b"]})
    for name in (".hidden.csv", ".b.parquet", "_SUCCESS", "notes.txt", "c.csv.crc"):
        save(folder, "what", name)
    (folder / "more.csv").mkdir()
    assert [part.name for part in find_parts(folder)] == ["a.CSV"]


def test_a_name_that_looks_like_a_pattern_is_a_file(tmp_path):
    path = save(tmp_path, TEXT, "data[1].csv")
    assert find_parts(path) == (path,)


def test_faults_in_what_is_given(tmp_path, monkeypatch):
    folder = tmp_path / "parts"
    folder.mkdir()
    message = "parts: the folder holds no table; its files are .csv, .tsv, .npy, .npz, .parquet"
    refused(message, folder)
    monkeypatch.chdir(folder)
    with pytest.raises(TableError, match=r"^parts: the folder holds no table"):
        read_training_table(".", ON_KIND)
    save(folder, TEXT, "a.csv")
    save(folder, TEXT, "b.tsv")
    message = "parts: holds a.csv and b.tsv; the parts of a table must be of one kind, so give a "
    refused(message + "pattern such as '*.csv'", folder)
    with pytest.raises(TableError, match=r"^\*: holds a\.csv and b\.tsv; the parts of a table"):
        read_training_table(folder / "*", ON_KIND)
    with pytest.raises(FileNotFoundError, match=r"^'none\.csv' does not exist$"):
        read_training_table("none.csv", ON_KIND)
    with pytest.raises(FileNotFoundError, match=r"^no file matches the pattern 'none\*\.csv'$"):
        read_training_table("none*.csv", ON_KIND)


ALIKE = "; parts of a table must have the same columns in the same order"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("radius,kind", f"b.csv: no column 'area', which a.csv has{ALIKE}"),
        ("radius,area,kind,id", f"b.csv: column 'id', which a.csv has not{ALIKE}"),
        ("area,radius,kind", f"b.csv: column 'area' stands where a.csv has 'radius'{ALIKE}"),
    ],
)
def test_parts_with_other_columns(tmp_path, header, message):
    save(tmp_path, TEXT, "a.csv")
    part = save(tmp_path, f"{header}\n", "b.csv")
    model = read_training_table(tmp_path / "a.csv", ON_KIND).columns
    first, second = (survey_file(file, ON_KIND) for file in (tmp_path / "a.csv", part))
    for read in (
        lambda: read_training_table(tmp_path, ON_KIND),
        lambda: read_table(tmp_path, Reading(), model, targets=False),
        lambda: merge_surveys(first, second),
    ):
        with pytest.raises(TableError, match=f"^{re.escape(message)}$"):
            read()


def test_the_same_columns_whose_kinds_differ(tmp_path):
    write(tmp_path / "a.parquet", {"x": [1.0, 2.0], "kind": ["0", "1"]})
    write(tmp_path / "b.parquet", {"x": [1, 2], "kind": [0, 1]})
    message = "b.parquet: column 'kind' holds numbers, and text in the parts before; store it alike"
    with pytest.raises(TableError, match=f"^{message}$"):
        read_training_table(tmp_path, ON_KIND)


PART = "x,colour,kind\n1,red,a\n2,blue,b\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PART + "\n3,red\n", "b.csv, line 5: 2 cells; expected 3"),
        (PART + "x,red,a\n", "b.csv, line 4, column 'x': 'x' is not a number"),
        (PART + "1,,a\n", "b.csv, line 4, column 'colour': missing cell ''"),
        (PART + "1,red,c\n", "b.csv, line 4, column 'kind': 'c' was not seen in training"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_faults_in_a_later_part(tmp_path, content, message, rows):
    reading = Reading("kind", categories=("colour",))
    columns = read_training_table(save(tmp_path, PART, "a.csv"), reading).columns
    save(tmp_path, content, "b.csv")
    with pytest.raises(TableError, match=f"^{re.escape(message)}"):
        list(read_chunks(find_parts(tmp_path), reading, columns, targets=True, rows=at_most(rows)))


@pytest.mark.parametrize("kind", [".npy", ".parquet"])
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_rows_are_counted_in_the_file(tmp_path, kind, rows):
    columns = {"0": [1.0, 2, 3, np.nan, 5], "1": [0, 1, 0, 1, 0.5]}
    path = write(tmp_path / f"data{kind}", columns)
    refused(f"data{kind}, row 3, column '0': missing cell 'nan'", path, Reading("1"),
            survey_file, rows=at_most(rows))  # fmt: skip
    columns = {"0": [1.0, 2, np.nan, 4, 5], "1": [0, 1, 0, 1, 1.5]}
    path = write(tmp_path / f"data{kind}", columns)
    refused(f"data{kind}, row 4, column '1': target 1.5 is outside [0, 1]", path,
            Reading("1", drop_missing=True),
            lambda *given, **more: decide_columns(survey_file(*given, **more)),
            rows=at_most(rows))  # fmt: skip


def test_text_where_numbers_should_be_is_said_at_its_first_word(tmp_path):
    columns = {"x": ["", None, "NA", "red", "5"], "kind": [0, 1, 0, 1, 0]}
    path = write(tmp_path / "data.parquet", columns)
    for rows in (1, 2, 100):
        refused("data.parquet, row 3, column 'x': 'red' is text", path, ON_KIND, survey_file,
                rows=at_most(rows))  # fmt: skip


def test_what_cannot_be_read_by_rows(tmp_path):
    np.save(tmp_path / "data.npy", np.asfortranarray(np.ones((3, 2))))
    refused("data.npy: is stored column by column and cannot be read by rows; save numpy.ascont",
            tmp_path / "data.npy", Reading("1"), survey_file, rows=at_most(1))  # fmt: skip
    np.savez(tmp_path / "data.npz", inputs=np.ones((3, 2)), targets=[0, 1, 1])
    refused("data.npz: an archive is in memory whole; save inputs and targets as the columns of",
            tmp_path / "data.npz", Reading(), survey_file, rows=at_most(1))  # fmt: skip


def test_empty_parts_and_tables_without_rows(tmp_path):
    save(tmp_path, "x,kind\n", "a.csv")
    save(tmp_path, "x,kind\n1,a\n2,b\n", "b.csv")
    save(tmp_path, "x,kind\n,a\n", "c.csv")
    reading = Reading("kind", drop_missing=True)
    table = read_training_table(tmp_path, reading)
    assert (table.inputs.tolist(), table.dropped) == ([[1], [2]], 1)
    (tmp_path / "b.csv").unlink()
    message = "a.csv and 1 more: each of the 1 rows has a missing cell, and none is left"
    with pytest.raises(TableError, match=f"^{message}$"):
        read_training_table(tmp_path, reading)
    (tmp_path / "c.csv").unlink()
    refused("a.csv: has columns but no rows; give at least one", tmp_path / "a.csv")


def test_notes_are_said_once(tmp_path):
    for name in ("a.csv", "b.csv"):
        save(tmp_path, "id," + TEXT.replace("\n", "\n1,").rstrip("1,"), name)
    columns = read_training_table(tmp_path, Reading("kind", ("radius", "area"))).columns
    found = read_chunks(find_parts(tmp_path), Reading(), columns, targets=True, rows=at_most(1))
    assert joined(found)[3] == ("a.csv: the model does not use 'id'",)


def test_too_many_words(tmp_path):
    words = [f"w{i}" for i in range(MOST_WORDS + 1)]
    numbers = range(len(words))
    path = write(tmp_path / "data.csv", {"x": numbers, "kind": words})
    message = "data.csv: column 'kind' holds more than 65536 different words, each of which would"
    refused(message, path)
    refused(message, path, read=survey_file, rows=at_most(20_000))
    path = write(tmp_path / "data.csv", {"x": words, "kind": [i % 2 for i in numbers]})
    reading = Reading("kind", categories=("x",))
    refused(message.replace("kind", "x"), path, reading, survey_file, rows=at_most(20_000))


TARGETS = st.lists(
    st.sampled_from(["0", "1", "1.0", "-1", "2", "0.5", "NAN", "inf", "a", "b"])
    | st.integers(0, 30).map(str),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(targets=TARGETS, rows=st.integers(1, 5), cut=st.integers(0, 60))
def test_targets_mean_the_same_however_they_are_cut(tmp_path, targets, rows, cut):
    columns = {"x": [1] * len(targets), "kind": targets}
    path = write(tmp_path / "data.csv", columns)
    parts = find_parts(in_parts(tmp_path / "parts", ".csv", columns, [cut]))

    def outcome(find):
        try:
            return find()
        except TableError as error:
            return re.sub(r".*line \d+|.*\.csv[^:]*", "", str(error))

    whole = outcome(lambda: read_training_table(path, ON_KIND).columns)
    by_chunks = outcome(lambda: decide_columns(survey_file(path, ON_KIND, at_most(rows))))
    surveys = [survey_file(part, ON_KIND, at_most(rows)) for part in parts]
    assert whole == by_chunks == outcome(lambda: decide_columns(reduce(merge_surveys, surveys)))
