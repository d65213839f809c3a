"""Tables that nobody saved: one line that names the file, or a table of finite numbers."""

import random
import zipfile
from pathlib import Path

import damaged_tables
import numpy as np
import pytest
from mutations import count_cases
from peak_memory import MB, NEEDS_PROC, measure_growth
from table_files import refused

from neuron_xp.files.npy import open_npy_rows
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import read_chunks, read_training_table
from neuron_xp.tables.survey import survey_file

COUNT = count_cases(default=2_000, large=200_000)
ENDINGS = (".csv", ".tsv", ".csv.gz", ".csv.bz2", ".csv.zst", ".npy", ".npz", ".parquet")
WORDS = Columns(
    ("length", "colour"), "kind", ("a", "b", "c"), (("colour", ("blue", "red")),)
)  # fmt: skip
NUMBERS = {".npy": Columns(("0", "1"), "2", None, ()),
           ".npz": Columns(("0", "1", "2"), "targets", ("a", "b", "c"), ())}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mutated_table_is_refused_in_a_line_or_can_be_read(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    chance, read = random.Random(ending), 0
    path = tmp_path / f"data{ending}"
    for number in range(COUNT // len(ENDINGS)):
        path.write_bytes(damaged_tables.mutate(ending, chance))
        try:
            read += examine(path, drop_missing=chance.random() < 0.5)
        except BaseException as error:
            kept = path.rename(tmp_path / f"found{ending}")
            raise AssertionError(f"number {number}, kept as {kept}") from error
    assert read > COUNT // len(ENDINGS) // 100, "some are still tables"


MUTATIONS = """
import random
import pyarrow.csv, pyarrow.parquet
folder, ending, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.path += sys.argv[4:]
import damaged_tables, test_damaged_tables
damaged_tables.real_files()
chance, path, said = random.Random(ending), folder / f"data{ending}", 0
before = peak()
for _ in range(count):
    path.write_bytes(damaged_tables.mutate(ending, chance))
    said += test_damaged_tables.examine(path, drop_missing=True)
"""


@NEEDS_PROC
@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_no_mutation_takes_much_memory_or_keeps_it(tmp_path, ending):
    """64 kB for each file that was read, say, would be more."""
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    here = Path(__file__).parent
    growth, said = measure_growth(MUTATIONS, tmp_path, ending, 1000, here, here.parent)
    assert int(said) > 10
    assert growth < 80 * MB


def examine(path, *, drop_missing):
    """Whether it is read for training, and by chunks for a model, in one of three ways or more."""
    columns = NUMBERS.get(path.suffix, WORDS)
    reading = Reading(
        columns.target, categories=[name for name, _ in columns.categories],
        drop_missing=drop_missing,
    )  # fmt: skip
    if path.suffix == ".npy":
        is_read(path, lambda: open_npy_rows(path).files[:0])
    return sum([
        is_read(path, lambda: [read_training_table(path, reading)]),
        is_read(path, lambda: survey_file(path, reading, lambda file, wanted: 8) and []),
        is_read(path, lambda: read_chunks([path], reading, columns, targets=True)),
        is_read(path, lambda: read_chunks([path], reading, columns, targets=False,
                                          rows=lambda file, wanted: 8)),
    ]) > 0  # fmt: skip


def is_read(path, read):
    try:
        for table in read():
            assert np.isfinite(table.inputs).all()
            assert table.targets is None or np.isfinite(table.targets).all()
    except (ValueError, TypeError, OSError) as error:
        check_line(error, path.name)
        return False
    return True


def check_line(error, name):
    assert type(error) in (TableError, ValueError, TypeError) or isinstance(error, OSError)
    line = str(error)
    assert name in line
    assert len(line) <= 500
    assert line.isprintable()


PROMISES = [
    (b"(20, 3)", b"(10**9, 3)", "is not an .npy file of numbers, as numpy.save writes them"),
    (
        b"(20, 3)",
        b"(99999999999999, 3)",
        "99999999999999, 3), float64: that is 2,400,000,000,000,116 ",
    ),
    (b"(20, 3)", b"(0, 99999999999)", "shorter than its header says: (0, 99999999999), float64"),
    (b"(20, 3)", b"(-20, 3)", "its shape is (-20, 3)"),
]


@pytest.mark.parametrize(("shape", "other", "message"), PROMISES)
@pytest.mark.parametrize("ending", [".npy", ".npz", "bare"])
def test_a_header_that_promises_more_than_the_file_has(tmp_path, shape, other, message, ending):
    array = damaged_tables.real_files()[".npy"].replace(shape, other)
    array = array[:8] + (array.index(b"\n") - 9).to_bytes(2, "little") + array[10:]
    path = tmp_path / f"data{ending if ending == '.npy' else '.npz'}"
    path.write_bytes(array)
    if ending != ".npy":
        message = message.replace(PROMISES[0][2], "is not an .npz file whose 'inputs' are numbers")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inputs.npy" if ending == ".npz" else "inputs", array)
    refused(message, path, Reading("2" if ending == ".npy" else None))


def test_an_archive_that_numpy_does_not_write(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("inputs.npy", damaged_tables.real_files()[".npy"])
    refused("'inputs.npy' is compressed in a way that numpy does not; save it by", path, Reading())
    content = damaged_tables.real_files()[".npz"]
    entry = content.index(b"PK\x01\x02")  # of the directory at the end; the size is 24 bytes on
    path.write_bytes(content[: entry + 24] + b"\xff\xff\xff\x7f" + content[entry + 28 :])
    refused("'inputs.npy' says to be 2,147,483,647 bytes in ", path, Reading())


def test_halves_of_characters_are_no_classes(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, inputs=np.eye(2), targets=np.asarray(["a", "\ud800"]))
    refused("an .npz file whose 'targets' are numbers ('utf-8' codec can't", path, Reading())
