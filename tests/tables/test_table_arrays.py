"""Tables in NPY, NPZ and Parquet: what is read, and each fault in one line."""

import sys

import numpy as np
import pytest
from table_files import ON_KIND, refused, save

from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import read_table, read_training_table

X = np.asarray([[1.5, 2.0, 0.0], [3.0, -4.0, 1.0]])
ON_2 = Reading(target=2)
PLAIN = Reading()


@pytest.fixture
def npy(tmp_path):
    def write(array):
        np.save(tmp_path / "data.npy", array)
        return tmp_path / "data.npy"

    return write


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return write


@pytest.fixture
def parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    def write(**columns):
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
        return tmp_path / "data.parquet"

    return write


# --- NPY -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", ">f8", "float32", "float16", "int64", "uint8"])
def test_an_array_of_any_real_type(npy, dtype):
    array = np.abs(X).astype(dtype)
    table = read_training_table(npy(array), ON_2)
    assert type(table.inputs) is np.ndarray
    assert table.inputs.dtype == np.dtype("float64")
    assert table.inputs.tolist() == array[:, :2].tolist()
    assert table.targets.tolist() == [[0.0], [1.0]]
    assert table.columns == Columns(("0", "1"), "2", None, ())


def test_rows_of_an_array_with_nan_are_dropped(npy):
    array = np.vstack([[np.nan, np.inf, 1.0], X, [1.0, 1.0, np.nan]])
    table = read_training_table(npy(array), Reading(target=2, drop_missing=True))
    assert table.inputs.tolist() == X[:, :2].tolist()
    assert table.dropped == 2


def test_numbers_as_categories_and_classes(npy):
    table = read_training_table(
        npy([[3.0, 7.0], [1.5, 8.0], [3.0, 9.0]]), Reading(target=1, categories=("0",))
    )
    assert table.columns == Columns(("0",), "1", ("7", "8", "9"), (("0", ("1.5", "3")),))
    assert table.inputs.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert table.targets.tolist() == np.eye(3).tolist()


def test_later_columns_of_an_array_need_not_be_there(npy):
    columns = read_training_table(npy(X), ON_2).columns
    table = read_table(npy(X[:, :2]), PLAIN, columns, targets=False)
    assert table.inputs.tolist() == X[:, :2].tolist()
    refused(
        "data.npy: no column '1'", npy(X[:, :1]), read=read_table, columns=columns, targets=False
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (X[0], "data.npy: must be a table, of the shape (rows, columns); got (3,)"),
        (X[:0], "data.npy: has columns but no rows"),
        (X[:, :0], "data.npy: has no columns"),
        (X.astype(complex), "data.npy: must hold real numbers; got dtype complex128"),
        (X.astype("longdouble"), "data.npy: must hold real numbers; got dtype "),
        (X.astype(str), "data.npy: must hold real numbers; got dtype <U"),
        (X.astype(object), "data.npy: is not an .npy file of numbers, as numpy.save writes them"),
        (np.full((2, 3), 2**53 + 1), "data.npy, row 0, column '0': '9007199254740993' is an int"),
        (np.full((2, 3), -(2**63)), "data.npy, row 0, column '0': '-9223372036854775808' is an "),
        (np.full((2, 3), 2**64 - 1, "uint64"), "data.npy, row 0, column '0': '184467440737095516"),
        ([[1, 2, 0], [1, np.nan, 1]], "data.npy, row 1, column '1': missing cell 'nan'; fill"),
        ([[1, 2, 0], [1, 2, np.nan]], "data.npy, row 1, column '2': missing cell 'nan'"),
        ([[1, 2, 0], [1, -np.inf, 1]], "data.npy, row 1, column '1': '-inf' is -inf; numbers"),
        ([[1, 2, 0], [1, 2, np.inf]], "data.npy, row 1, column '2': 'inf' is inf; numbers must"),
        ([[1, 2, 0.5], [1, 2, 1.5]], "data.npy, row 1, column '2': target 1.5 is outside [0, 1]"),
    ],
)
def test_faults_in_npy(npy, array, message):
    refused(message, npy(array), ON_2)


def test_the_row_of_a_fault_counts_those_dropped(npy):
    path = npy([[np.nan, 1, 1], [1, 2, 0], [1, np.inf, 1]])
    message = "data.npy, row 2, column '1': 'inf' is inf"
    refused(message, path, Reading(target=2, drop_missing=True))


def test_a_target_that_is_no_column(npy):
    refused("data.npy: no column 3; the columns are numbered 0 to 2", npy(X), Reading(target=3))
    refused("data.npy: no target 'kind'; choose from 0, 1, 2", npy(X), ON_KIND)


@pytest.fixture
def sound(npy, npz, parquet):
    return {
        "data.npy": lambda: npy(X),
        "data.npz": lambda: npz(inputs=X, targets=[0, 1]),
        "data.parquet": lambda: parquet(x=[1, 2], kind=[0, 1]),
    }


@pytest.mark.parametrize("name", ["data.npy", "data.npz", "data.parquet"])
@pytest.mark.parametrize("damage", ["empty", "garbage", "half", "other", "pickle"])
def test_damaged_files(tmp_path, sound, name, damage):
    whole = sound[name]().read_bytes()
    content = {
        "empty": b"",
        "garbage": b"garbage" * 100,
        "half": whole[: len(whole) // 2],
        "other": sound["data.npz" if name == "data.npy" else "data.npy"]().read_bytes(),
        "pickle": b"\x80\x04\x95" + b"\0" * 60,
    }[damage]
    words = "holds one array" if (name, damage) == ("data.npz", "other") else "is not an? "
    with pytest.raises(TableError, match=f"^{name}: {words}"):
        read_training_table(save(tmp_path, content, name), ON_2)


def test_a_damaged_byte_in_an_archive(tmp_path, npz):
    content = npz(inputs=X, targets=[0, 1]).read_bytes()
    path = save(tmp_path, content.replace(X.tobytes(), X[::-1].tobytes()), "data.npz")
    refused("data.npz: is not an .npz file whose 'inputs' are numbers (Bad CRC-32", path, PLAIN)


# --- NPZ -------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [[0, 1], [[0], [1]], [False, True], ["a", "b "]])
def test_targets_of_an_archive(npz, targets):
    table = read_training_table(npz(inputs=X, targets=targets), PLAIN)
    assert table.inputs.tolist() == X.tolist()
    assert table.targets.tolist() == [[0.0], [1.0]]
    assert table.columns.classes == (("a", "b") if targets[0] == "a" else None)


def test_several_columns_of_targets(npz):
    path = npz(inputs=X, targets=[[0, 0.5], [1, 1]])
    table = read_training_table(path, PLAIN)
    assert table.targets.tolist() == [[0, 0.5], [1, 1]]
    classes = Columns(("0", "1", "2"), "targets", ("a", "b"), ())
    message = "data.npz: 'targets' must have the shape (rows,) to hold classes"
    refused(message, path, PLAIN, read_table, columns=classes, targets=True)
    message = "data.npz, row 1, column 'targets': target 2.0 is outside [0, 1]"
    refused(message, npz(inputs=X, targets=[[0, 0.5], [1, 2]]), PLAIN)


def test_an_archive_without_targets_is_enough_to_predict(npz):
    columns = read_training_table(npz(inputs=X, targets=[0, 1]), PLAIN).columns
    table = read_table(npz(inputs=X), PLAIN, columns, targets=False)
    assert (table.inputs.tolist(), table.targets, table.notes) == (X.tolist(), None, ())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "data.npz: has no array 'inputs'; found x"),
        ({}, "data.npz: has no array 'inputs'; found none"),
        ({"inputs": X}, "data.npz: has no array 'targets'; save it beside 'inputs'"),
        ({"inputs": X[0], "targets": [1]}, "data.npz: must be a table, of the shape (rows, col"),
        ({"inputs": X, "targets": [1]}, "data.npz: 'inputs' hold 2 rows but 'targets' 1; give"),
        ({"inputs": X, "targets": [[[1]], [[0]]]}, "data.npz: 'targets' must have the shape (ro"),
        ({"inputs": X, "targets": [[], []]}, "data.npz: 'targets' must have the shape (rows,) or"),
        (
            {"inputs": X.astype(object), "targets": [0, 1]},
            "data.npz: is not an .npz file whose 'inputs' are numbers (pickles are not read)",
        ),
        ({"inputs": X, "targets": [0, np.nan]}, "data.npz, row 1, column 'targets': missing cell"),
        ({"inputs": X, "targets": ["a", ""]}, "data.npz, row 1, column 'targets': missing cell ''"),
    ],
)
def test_faults_in_npz(npz, arrays, message):
    refused(message, npz(**arrays), PLAIN)


def test_the_target_of_an_archive_has_its_name(npz):
    message = "data.npz: its target is the array 'targets'; give target='targets'"
    refused(message, npz(inputs=X, targets=[0, 1]), Reading(target="2"))


# --- Parquet ---------------------------------------------------------------------------


def test_columns_of_parquet(parquet):
    import pyarrow

    path = parquet(
        **{"a.b": pyarrow.array([1, None, 3, 4]), "unused": [[1], [2], [3], [4]]},
        colour=pyarrow.array(["red", "red", None, "blue "]).dictionary_encode(),
        single=pyarrow.array([0.1, 0.2, 0.3, 0.4], "float32"),
        flag=[True, False, True, False],
        kind=["x", "y", "x", "y"],
    )
    features = ("a.b", "single", "flag", "colour")
    reading = Reading("kind", features, ("colour",), drop_missing=True)
    table = read_training_table(path, reading)
    assert table.inputs.tolist() == [
        [1, float(np.float32(0.1)), 1, 0, 1],
        [4, float(np.float32(0.4)), 0, 1, 0],
    ]
    assert table.targets.tolist() == [[0], [1]]
    assert (table.dropped, table.columns.classes) == (2, ("x", "y"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"x": ["1", "red"], "kind": [0, 1]},
            "data.parquet, row 0, column 'x': '1' is text; store it as numbers, "
            "or give categories=['x']",
        ),
        ({"x": [[1], [2]], "kind": [0, 1]}, "data.parquet: column 'x' must hold numbers or text"),
        ({"x": [1, None], "kind": [0, 1]}, "data.parquet, row 1, column 'x': missing cell 'nan'"),
        ({"x": [1, 2], "kind": ["a", None]}, "data.parquet, row 1, column 'kind': missing cell ''"),
        ({"x": [2, 2**53 + 1], "kind": [0, 1]}, "data.parquet, row 1, column 'x': '900719925474"),
        ({"x": [np.inf, 2.0], "kind": [0, 1]}, "data.parquet, row 0, column 'x': 'inf' is inf"),
        ({"x": [1], "y": [0]}, "data.parquet: no target 'kind'; choose from x, y"),
    ],
)
def test_faults_in_parquet(parquet, columns, message):
    refused(message, parquet(**columns), ON_KIND)


@pytest.mark.parametrize(("name", "what"), [("a.parquet", "Parquet"), ("a.csv", "a text table")])
def test_without_pyarrow(tmp_path, monkeypatch, name, what):
    for module in ("pyarrow", "pyarrow.csv", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"^{what} needs pyarrow; type: pip install pyarrow$"):
        read_training_table(save(tmp_path, b"", name), ON_KIND)
