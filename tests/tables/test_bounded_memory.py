"""Small files with large tables, wide and long ones: the growth of memory in a fresh process."""

import zipfile

import numpy as np
import pytest
from peak_memory import MB, NEEDS_PROC, measure_reading

LIMIT = 16 * MB
pytestmark = [NEEDS_PROC, pytest.mark.slow]


@pytest.fixture
def parquet():
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    return pytest.importorskip("pyarrow.parquet")


def test_a_wide_table(tmp_path):
    """pyarrow takes some kB for each column, whatever is in it."""
    columns, path = 100_000, tmp_path / "data.csv"
    row = ",".join(str(i % 100 / 8) for i in range(columns - 1))
    with path.open("w") as file:
        file.write(",".join(f"c{i}" for i in range(columns - 1)) + ",kind\n")
        file.writelines(f"{row},{'ab'[i % 2]}\n" for i in range(20))
    growth, said = measure_reading(path, "kind")
    assert said == f"(20, {columns - 1})"
    assert growth < 700 * MB
    growth, said = measure_reading(path, "kind", memory=LIMIT)
    assert said == (
        "data.csv: to read 100,000 columns takes about 1,638,400,000 bytes, and max_memory is "
        "16,777,216; give max_memory=1638400000, or save the table as .npy"
    )
    assert growth < 64 * MB


def test_a_file_of_a_few_bytes_with_many_rows(tmp_path, parquet):
    import pyarrow

    rows, path = 10**8, tmp_path / "data.parquet"
    numbers = pyarrow.chunked_array([pyarrow.array(np.zeros(10**6))] * (rows // 10**6))
    parquet.write_table(
        pyarrow.table({"x": numbers, "kind": numbers}), path, row_group_size=rows,
        data_page_size=2**30, max_rows_per_page=rows, write_batch_size=10**6, compression="zstd",
    )  # fmt: skip
    assert path.stat().st_size < 10_000
    growth, said = measure_reading(path, "kind", memory=LIMIT)
    assert said == str(rows)
    assert growth < 64 * MB


def test_a_large_group_of_rows(tmp_path, parquet):
    import pyarrow

    rows, path = 5_000_000, tmp_path / "data.parquet"
    numbers = np.random.default_rng(0).random((2, rows))
    parquet.write_table(
        pyarrow.table({"x": numbers[0], "kind": numbers[1]}), path, row_group_size=rows
    )
    assert path.stat().st_size > 64 * MB
    growth, said = measure_reading(path, "kind", memory=LIMIT)
    assert said == str(rows)
    assert growth < 64 * MB


def test_a_large_cell(tmp_path, parquet):
    import pyarrow

    path = tmp_path / "data.parquet"
    table = pyarrow.table({"x": [1.0, 2.0], "kind": ["a", "b" * 300_000_000]})
    parquet.write_table(table, path, use_dictionary=False)
    growth, said = measure_reading(path, "kind", memory=LIMIT)
    assert said == (
        "data.parquet: column 'kind' has 300,000,047 bytes of text in one group of rows, and "
        "15,785,984 fit; write smaller groups, or give max_memory=None"
    )
    assert growth < 16 * MB


@pytest.mark.parametrize("memory", [0, LIMIT])
def test_an_archive_that_unpacks_to_much(tmp_path, memory):
    """It is refused with a limit; without, what it holds is there as it is and as float64."""
    rows, path = 16_000_000, tmp_path / "data.npz"
    size = 16 * rows
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, dtype, shape in (("inputs", "<f8", (rows, 2)), ("targets", "|b1", (rows,))):
            header = {"descr": dtype, "fortran_order": False, "shape": shape}
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(16):
                    file.write(b"\0\1" * (rows // 32) if dtype == "|b1" else bytes(size // 16))
    assert path.stat().st_size < size / 900
    growth, said = measure_reading(path, "targets", memory=memory)
    if memory:
        assert said.startswith("data.npz: an archive is in memory whole; save inputs and targets")
        assert growth < 4 * MB
    else:
        assert said == f"({rows}, 2)"
        assert growth < 3.5 * size
