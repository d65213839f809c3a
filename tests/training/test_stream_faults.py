"""Files that cannot be learned from: each is refused in a line that says why."""

import numpy as np
import pytest
from parts_data import RATE, examples, saved

import neuron_xp
from neuron_xp.files import npy as npy_files

LEAST = 2**24


def test_the_place_of_a_bad_number_is_told(tmp_path, small_blocks):
    inputs, targets, _ = examples()
    inputs[1234, 5] = np.nan
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    with pytest.raises(ValueError, match=r"inputs\[1234, 5\] is nan; inputs must be finite"):
        neuron_xp.train(*paths.values(), **RATE)


@pytest.mark.parametrize(
    ("tables", "settings", "message"),
    [
        ({"inputs": np.ones((3, 2)), "targets": np.ones(4)}, {}, "3 examples but targets hold 4"),
        ({"inputs": np.ones(3), "targets": np.ones(3)}, {}, r"\(examples, features\); got \(3,\)"),
        ({"inputs": np.ones((0, 2)), "targets": np.ones(0)}, {}, r"inputs are empty: .*\(0, 2\)"),
        ({"inputs": np.ones((3, 2)), "targets": np.full(3, 2)}, {}, r"targets\[0\] is 2.0"),
        ({"inputs": np.asfortranarray(np.ones((3, 2))), "targets": np.ones(3)}, {},
         r"inputs.npy is stored column by column .* save numpy.ascontiguousarray"),
        ({"inputs": np.full((3, 2), 2**60), "targets": np.ones(3)}, {}, r"integers of 2\^53"),
        ({"inputs": np.ones((3, 2)), "targets": np.ones(3)},
         {"shuffle": "rows", "batch_size": 2}, "'rows' draws single examples .*shuffle='leaves'"),
        ({"inputs": np.ones((3, 2, 2)), "targets": np.ones(3)}, {}, r"\(rows, columns\); got"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(tables, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(*saved(tmp_path, **tables).values(), **settings)


def test_the_first_of_several_bad_numbers_is_told(tmp_path, small_blocks):
    inputs, targets, _ = examples()
    inputs[200, 1] = inputs[1400, 5] = np.nan
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    for _ in range(5):
        with pytest.raises(ValueError, match=r"inputs\[200, 1\] is nan"):
            neuron_xp.train(*paths.values(), threads=3, **RATE)


def test_columns_of_nothing_are_refused(tmp_path):
    paths = saved(tmp_path, x=np.ones((3, 0)), y=np.ones(3))
    with pytest.raises(ValueError, match=r"inputs are empty: shape \(3, 0\)"):
        neuron_xp.train(*paths.values())
    with pytest.raises(ValueError, match=r"for Dask give its arrays or dataframes, or give"):
        neuron_xp.train(*paths.values(), backend="dask")


def test_weights_of_nothing_are_refused(tmp_path):
    paths = saved(tmp_path, x=np.ones((3, 2)), y=np.ones(3), w=np.zeros(3))
    with pytest.raises(ValueError, match="sample_weight is 0 for every example"):
        neuron_xp.train(paths["x"], paths["y"], sample_weight=paths["w"])


def test_rows_that_are_too_wide_for_the_memory(tmp_path):
    paths = saved(tmp_path, x=np.ones((3, 100_000)), y=np.ones(3))
    with pytest.raises(ValueError, match=r"64 rows of 100000 features need \d+; give that much"):
        neuron_xp.train(*paths.values(), max_memory=LEAST, threads=1)
    with pytest.raises(ValueError, match=r"text such as .* or '2GiB'; got '2 XB'"):
        neuron_xp.train(*paths.values(), max_memory="2 XB")


def test_paths_and_arrays_do_not_mix(tmp_path):
    paths = saved(tmp_path, x=np.ones((3, 2)), y=np.ones(3))
    with pytest.raises(TypeError, match="inputs are a path but targets are ndarray; give both"):
        neuron_xp.train(paths["x"], np.ones(3))
    with pytest.raises(TypeError, match=r"max_memory is for files, .* as pathlib.Path"):
        neuron_xp.train(np.ones((3, 2)), np.ones(3), max_memory="1GB")
    with pytest.raises(FileNotFoundError):
        neuron_xp.train(tmp_path / "none.npy", paths["y"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"the folder '.*empty' holds no .npy file"):
        neuron_xp.train(tmp_path / "empty", paths["y"])


def test_parts_that_are_not_alike(tmp_path):
    np.save(tmp_path / "1.npy", np.ones((3, 2)))
    np.save(tmp_path / "2.npy", np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"2.npy holds float64 .*\(3, 3\) and 1.npy"):
        neuron_xp.train(tmp_path, tmp_path / "1.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an .npy file"),
        (b"\x93NUMPY\x01\x00", "is not an .npy file"),
        (b"PK\x03\x04 something else entirely", "is not an .npy file"),
    ],
)
def test_files_of_another_kind(content, message, tmp_path):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(tmp_path / "x.npy", tmp_path / "x.npy")


def test_a_file_that_was_cut_off(tmp_path):
    path = saved(tmp_path, x=np.ones((30, 2)))["x"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"x.npy is shorter than its header says: \(30, 2\)"):
        npy_files.open_npy(path)


def test_words_are_refused(tmp_path):
    path = saved(tmp_path, x=np.asarray([["a"]]))["x"]
    with pytest.raises(TypeError, match=r"x.npy must hold real numbers; got dtype <U1"):
        npy_files.open_npy(path)


def test_a_file_that_changes_under_the_training(tmp_path):
    inputs, targets, _ = examples()
    paths = saved(tmp_path, inputs=inputs, targets=targets)

    def change(progress):
        np.save(paths["inputs"], inputs[::-1])

    with pytest.raises(OSError, match=r"inputs.npy has changed since training began; start again"):
        neuron_xp.train(*paths.values(), on_progress=change, progress_every=1, **RATE)
