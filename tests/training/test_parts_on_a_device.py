"""Files on a device: sent there once if it has room, and else in each iteration, as is said once.

No device here has memory of its own. array_api_strict's make-believe device stands for one: its
arrays are no NumPy arrays, and how much memory it says to have is made up.
"""

import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
from parts_data import RATE, SETTINGS, examples, saved

import neuron_xp
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import ignore_learning
from neuron_xp.files.npy import NpyRows
from neuron_xp.training.data import on_device

pytest.importorskip("array_api_strict", reason="its device stands for a GPU")

NUMBERS = 1500 * (7 + 1 + 1)
PLENTY, LITTLE = 8 * 8 * NUMBERS + 8 * NUMBERS, 8 * NUMBERS


class Counting(Backend):
    """A backend that counts the rows of the inputs that are sent to its device."""

    sent = free = 0

    def from_host(self, array):
        Counting.sent += len(array) if array.shape[1:] == (7,) else 0
        return super().from_host(array)


@pytest.fixture(scope="module")
def device():
    """One for all tests, so that it is probed once."""
    strict = open_backend("array_api_strict", "device1")
    has = {field.name: getattr(strict, field.name) for field in fields(strict)}
    return replace(Counting(**has), free_bytes=lambda: Counting.free, block_elements=7 * 400)


@pytest.fixture
def make_device(device):
    """Return the device with so many bytes of free memory."""

    def make(free):
        Counting.free, Counting.sent = free, 0
        return device

    return make


@pytest.fixture
def rows_read(monkeypatch):
    rows, read = [], NpyRows.read

    def count(self, start, out):
        rows.append(len(out))
        read(self, start, out)

    monkeypatch.setattr(NpyRows, "read", count)
    return rows


def paths_and_expected(folder, settings, names=("inputs", "targets", "sample_weight")):
    given = dict(zip(names, examples(), strict=False))
    return saved(folder, **given), neuron_xp.train(**given, **settings)


@pytest.mark.parametrize("settings", [*SETTINGS, {"batch_size": 100}, {"batch_size": 900}], ids=str)
def test_data_that_have_room_are_sent_once(
    settings, make_device, rows_read, tmp_path, small_blocks
):
    settings = {**RATE, **settings}
    paths, expected = paths_and_expected(tmp_path, settings)
    with ignore_learning():
        network = neuron_xp.train(**paths, backend=make_device(PLENTY), **settings)
    assert network.fingerprint() == expected.fingerprint()
    assert network.history == expected.history
    assert network.data_fingerprint is not None
    assert sum(rows_read) == 3 * 1500
    assert Counting.sent == 1500


def test_data_that_have_no_room_are_sent_in_each_iteration(
    make_device, rows_read, tmp_path, small_blocks
):
    paths, expected = paths_and_expected(tmp_path, RATE)
    words = (
        "array_api_strict on device1 has 0.000108 GB free, too little to keep the data and to "
        "work on them, so each iteration sends 0.000108 GB there"
    )
    with pytest.warns(RuntimeWarning, match=words) as warned:
        network = neuron_xp.train(**paths, backend=make_device(LITTLE), **RATE)
    assert sum("each iteration sends" in str(warning.message) for warning in warned) == 1
    assert network.fingerprint() == expected.fingerprint()
    assert sum(rows_read) >= 3 * 1500 * RATE["iterations"]
    assert Counting.sent >= 1500 * RATE["iterations"]


def test_data_that_find_no_room_after_all_are_streamed(
    make_device, rows_read, tmp_path, small_blocks, monkeypatch
):
    """Somebody else has taken the memory meanwhile."""

    def fail(pieces, backend):
        raise MemoryError("Out of memory allocating 512 bytes")

    monkeypatch.setattr(on_device, "_join", fail)
    paths, expected = paths_and_expected(tmp_path, RATE)
    words = r"could not keep the data \(Out of memory allocating 512 bytes\), so each iteration"
    with pytest.warns(RuntimeWarning, match=words):
        network = neuron_xp.train(**paths, backend=make_device(PLENTY), **RATE)
    assert network.fingerprint() == expected.fingerprint()
    assert sum(rows_read) >= 3 * 1500 * RATE["iterations"]


@pytest.mark.slow_on("jax")
def test_on_the_host_nothing_is_kept_and_nothing_said(library, rows_read, tmp_path, small_blocks):
    if library.free_bytes is not None:
        return  # a device: kept, as the tests above say
    paths, expected = paths_and_expected(tmp_path, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = neuron_xp.train(**paths, backend=library, **RATE)
    assert network.fingerprint() == expected.fingerprint()
    assert sum(rows_read) >= 3 * 1500 * RATE["iterations"]


def test_subnormals_are_kept_as_the_zeros_that_they_count_as(make_device, tmp_path):
    inputs, targets, _ = examples()
    inputs[::3, 0] = 2.0**-1040
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    expected = neuron_xp.train(inputs, targets, **RATE)
    network = neuron_xp.train(**paths, backend=make_device(PLENTY), **RATE)
    assert network.fingerprint() == expected.fingerprint()
    assert np.isfinite(network.history[-1][1])
