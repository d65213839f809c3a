"""NPY files that are read once an iteration: the bits of the same training in memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from parts_data import RATE, SETTINGS, examples, saved

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.files.npy import open_npy_rows

LEAST = 2**24


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("settings", [*SETTINGS, {"batch_size": 100}], ids=str)
def test_files_change_no_bit(settings, tmp_path, backend, small_blocks):
    settings = {**RATE, **settings}
    inputs, targets, weight = examples()
    expected = neuron_xp.train(inputs, targets, sample_weight=weight, **settings)
    paths = saved(tmp_path, inputs=inputs, targets=targets, weight=weight)
    network = neuron_xp.train(paths["inputs"], paths["targets"], sample_weight=paths["weight"],
                              backend=backend, **settings)  # fmt: skip
    assert network.fingerprint() == expected.fingerprint()
    assert network.history == expected.history
    assert str(network.backend) == str(backend)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(threads, tmp_path, small_blocks):
    inputs, targets, _ = examples()
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    expected = neuron_xp.train(inputs, targets, **RATE)
    network = neuron_xp.train(*paths.values(), threads=threads, max_memory=LEAST, **RATE)
    assert network.fingerprint() == expected.fingerprint()
    assert network.data_fingerprint is not None


@pytest.mark.parametrize("cuts", [[], [1], [63, 64, 500, 500, 1499]], ids=str)
def test_parts_in_a_folder_are_one_table(cuts, tmp_path, small_blocks):
    """In lexicographic order, wherever they are cut; a part may be empty."""
    inputs, targets, _ = examples()
    for name, table in (("inputs", inputs), ("targets", targets[:, None])):
        (tmp_path / name).mkdir()
        for number, part in enumerate(np.split(table, cuts)):
            np.save(tmp_path / name / f"part-{number:02}.npy", part)
    network = neuron_xp.train(tmp_path / "inputs", tmp_path / "targets", **RATE)
    assert network.fingerprint() == neuron_xp.train(inputs, targets, **RATE).fingerprint()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int64", "bool"])
def test_types_are_widened_exactly(dtype, tmp_path, small_blocks):
    inputs, targets, _ = examples()
    inputs = (inputs * 10).astype(dtype)
    paths = saved(tmp_path, inputs=inputs, targets=targets.astype("uint8"))
    expected = neuron_xp.train(inputs.astype("float64"), targets, **RATE)
    assert neuron_xp.train(*paths.values(), **RATE).fingerprint() == expected.fingerprint()


def test_numbers_that_count_as_zero(tmp_path, small_blocks):
    """A subnormal number, which a weight of 10^300 would make large enough to be seen."""
    inputs, targets, _ = examples()
    inputs[700] = 0.0
    inputs[700, 3] = 2.0**-1030
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    settings = {"learning_rate": 1e300, "iterations": 2, "loss_every": 1}
    expected = neuron_xp.train(inputs, targets, **settings)
    network = neuron_xp.train(*paths.values(), **settings)
    assert network.fingerprint() == expected.fingerprint()
    assert network.history == expected.history


def test_small_numbers_that_count(tmp_path, small_blocks):
    """Inputs below 2^-60, in one block only, need products that are looked at more closely."""
    inputs, targets, _ = examples()
    inputs[100, 2] = 2.0**-1000
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    expected = neuron_xp.train(inputs, targets, **RATE)
    assert neuron_xp.train(*paths.values(), **RATE).fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_column_that_is_constant_for_a_while(sign, tmp_path, small_blocks):
    inputs, targets, _ = examples()
    inputs[:, 0] = sign * np.minimum(inputs[:, 0], 3.0)
    inputs[:500, 0] = inputs[-500:, 0] = sign * 3.0
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    settings = {**RATE, "standardize": True, "learning_rate": "auto"}
    expected = neuron_xp.train(inputs, targets, **settings)
    assert neuron_xp.train(*paths.values(), **settings).fingerprint() == expected.fingerprint()


def test_native_arithmetic_is_near(tmp_path, small_blocks):
    inputs, targets, _ = examples()
    settings = {**RATE, "arithmetic": "native"}
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    network = neuron_xp.train(*paths.values(), **settings)
    expected = neuron_xp.train(inputs, targets, **settings)
    assert np.abs(network.weights[0] - expected.weights[0]).max() < 1e-12


def test_native_arithmetic_takes_float32_as_it_is(tmp_path, small_blocks):
    inputs, targets, _ = examples()
    settings = {**RATE, "arithmetic": "native"}
    paths = saved(tmp_path, inputs=inputs.astype("float32"), targets=targets)
    network = neuron_xp.train(*paths.values(), **settings)
    expected = neuron_xp.train(inputs.astype("float32"), targets, **settings)
    assert network.weights[0].dtype == expected.weights[0].dtype == "float32"
    assert np.abs(network.weights[0] - expected.weights[0]).max() < 1e-5


def test_the_order_of_bytes_changes_no_bit(tmp_path):
    """In memory, on Dask and from a file."""
    inputs, targets, _ = examples()
    paths = saved(tmp_path, inputs=inputs.astype(">f8"), targets=targets.astype(">f8"))
    expected = neuron_xp.train(inputs, targets, **RATE)
    swapped = inputs.astype(">f8"), targets.astype(">f8")
    assert neuron_xp.train(*swapped, **RATE).fingerprint() == expected.fingerprint()
    assert neuron_xp.train(*swapped, backend="dask", **RATE).fingerprint() == expected.fingerprint()
    network = neuron_xp.train(*paths.values(), **RATE)
    assert network.fingerprint() == expected.fingerprint()
    again = neuron_xp.train(*swapped, checkpoint=tmp_path / "c", **RATE)
    assert network.data_fingerprint == again.data_fingerprint


def test_a_checkpoint_of_files_goes_on_in_memory_and_back(tmp_path, small_blocks):
    inputs, targets, _ = examples()
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    settings = {**RATE, "bias": True, "checkpoint": tmp_path / "run.safetensors"}
    neuron_xp.train(*paths.values(), **{**settings, "iterations": 4})
    neuron_xp.train(inputs, targets, resume=True, **{**settings, "iterations": 8})
    network = neuron_xp.train(*paths.values(), resume=True, **settings)
    assert (
        network.fingerprint() == neuron_xp.train(inputs, targets, **RATE, bias=True).fingerprint()
    )


def test_rows_are_read_across_files(tmp_path):
    table = np.arange(700.0).reshape(100, 7)
    for number, part in enumerate(np.split(table, [10, 10, 64])):
        np.save(tmp_path / f"{number}.npy", part)
    rows = open_npy_rows(tmp_path)
    for start, count in ((0, 100), (9, 2), (9, 60), (99, 1), (64, 36)):
        out = np.empty((count, 7))
        rows.read(start, out)
        assert (out == table[start : start + count]).all()
    rows.close()


# --- memory ----------------------------------------------------------------------------

LIMIT = 256 * 2**20
TRAIN_WITHIN = """
import resource, sys
from pathlib import Path
import neuron_xp
from neuron_xp.backends.libraries import open_backend

inputs, targets, name, kernels, limit = sys.argv[1:]
backend = open_backend(name)
if kernels == "arrays":
    backend = backend.without_kernels()
resource.setrlimit(resource.RLIMIT_DATA, (int(limit),) * 2)
try:
    bytearray(int(limit))
except MemoryError:
    print("held", end=" ")
network = neuron_xp.train(
    Path(inputs), Path(targets), backend=backend, max_memory="64MB",
    iterations=3, learning_rate=1e-7, loss_every=3,
)
# not ru_maxrss, which begins with what the parent had
status = dict(line.split(":") for line in open("/proc/self/status"))
print(network.fingerprint(), int(status["VmHWM"].split()[0]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA holds memory back on Linux only")
@pytest.mark.parametrize("kernels", ["kernels", "arrays"])
def test_a_file_of_four_times_the_memory(kernels, tmp_path):
    """The process may have 256 MiB of data in all, and reads a file of a gigabyte."""
    pytest.importorskip("resource")
    rows, features = 4 * LIMIT // (8 * 64), 64
    generator = np.random.default_rng(1)
    block = generator.standard_normal((rows // 64, features))
    with (tmp_path / "inputs.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (rows, features)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(64):
            file.write(block.tobytes())
    targets = np.tile((block[:, 0] > 0).astype("float64"), 64)
    np.save(tmp_path / "targets.npy", targets)
    assert (tmp_path / "inputs.npy").stat().st_size >= 4 * LIMIT
    run = subprocess.run(
        [sys.executable, "-c", TRAIN_WITHIN, str(tmp_path / "inputs.npy"),
         str(tmp_path / "targets.npy"), "numpy", kernels, str(LIMIT)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its threads reserve memory
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    held, fingerprint, peak = run.stdout.split()
    assert held == "held"
    assert int(peak) < LIMIT
    place = open_backend("numpy")
    inputs = np.tile(block, (64, 1))
    expected = neuron_xp.train(inputs, targets, backend=place, iterations=3, learning_rate=1e-7,
                               loss_every=3)  # fmt: skip
    assert fingerprint == expected.fingerprint()
