"""Model files: the same bytes from everywhere, and nothing else is let in."""

import json
import os
import pickle
import struct

import numpy as np
import pytest
import safetensors.numpy

import neuron_xp
from neuron_xp.model import model_file as model_files

X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = [0, 1, 1]
FULL = {"hidden": (2,), "bias": True, "standardize": True, "iterations": 3}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def saved(path, **settings):
    network = neuron_xp.train(X, Y, **{"iterations": 3, **settings})
    network.save(path)
    return network


@pytest.mark.parametrize("settings", [{}, FULL], ids=["plain", "full"])
def test_every_library_writes_the_same_bytes_and_reads_the_same_bits(library, path, settings):
    expected = saved(path, **settings)
    content = path.read_bytes()
    network = neuron_xp.NeuralNetwork.load(path, backend=library.name, device=library.device)
    assert str(network.backend) == str(library)
    assert network.fingerprint() == expected.fingerprint()
    assert network.settings == expected.settings
    network.save(path)
    assert path.read_bytes() == content
    neuron_xp.train(X, Y, backend=library, **{"iterations": 3, **settings}).save(path)
    assert path.read_bytes() == content
    with library.context():
        answer = library.to_host(network.think(X))
    assert answer.tobytes() == expected.think(X).tobytes()


def test_float32_from_native_arithmetic_is_kept(path):
    network = neuron_xp.train(np.asarray(X, dtype="float32"), Y, arithmetic="native", iterations=3)
    network.save(path)
    loaded = neuron_xp.NeuralNetwork.load(path)
    assert loaded.weights[0].dtype == "float32"
    assert loaded.fingerprint() == network.fingerprint()


def test_it_is_a_safetensors_file_that_names_no_machine(path):
    saved(path, **FULL)
    arrays = safetensors.numpy.load_file(path)
    names = {"weights.0", "weights.1", "biases.0", "biases.1", "mean", "inverse_scale"}
    assert set(arrays) == names
    text = path.read_bytes().decode("latin-1")
    for word in ("numpy", "cpu", "linux", os.getcwd(), neuron_xp.__version__):
        assert word not in text


def test_every_flipped_bit_is_refused(path):
    saved(path)
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            with pytest.raises(neuron_xp.ModelFileError):
                model_files.from_bytes(bytes(damaged), "model")


def test_every_truncation_and_what_trails_is_refused(path):
    saved(path, **FULL)
    content = path.read_bytes()
    for length in range(len(content)):
        with pytest.raises(neuron_xp.ModelFileError):
            model_files.from_bytes(content[:length], "model")
    for trailing in (b"\0", b" ", content):
        with pytest.raises(neuron_xp.ModelFileError):
            model_files.from_bytes(content + trailing, "model")


def altered(path, change, *, sign=True):
    """The file with other fields or arrays, and a digest that fits them."""
    content = path.read_bytes()
    arrays = safetensors.numpy.load(content)
    (size,) = struct.unpack("<Q", content[:8])
    fields = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["neuron_xp"])
    change(fields, arrays)
    if sign:
        unsigned = {k: v for k, v in fields.items() if k != "sha256"}
        fields["sha256"] = model_files._digest(unsigned, arrays)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return safetensors.numpy.save(arrays, metadata={"neuron_xp": text})


def set_field(name, value):
    return lambda fields, arrays: fields.__setitem__(name, value)


def set_setting(name, value):
    return lambda fields, arrays: fields["settings"].__setitem__(name, value)


def set_array(name, value):
    return lambda fields, arrays: arrays.__setitem__(name, value)


ALTERED = {
    "newer format": (set_field("format_version", 99), "format version 99 is newer than this prog"),
    "newer contract": (set_field("contract_version", 9), "contract version 9 is newer than this"),
    "older format": (set_field("format_version", 0), "unknown or missing fields"),
    "true for 1": (set_field("format_version", True), "was not written by neuron_xp"),
    "unknown field": (set_field("author", "me"), "unknown or missing fields"),
    "missing field": (lambda f, a: f.pop("settings"), "unknown or missing fields"),
    "unknown setting": (set_setting("dropout", 0.5), "unknown or missing settings"),
    "missing setting": (lambda f, a: f["settings"].pop("seed"), "unknown or missing settings"),
    "bad setting": (set_setting("iterations", -3), "iterations must be a whole number from 0"),
    "other hidden": (set_setting("hidden", [3]), "shapes do not fit together"),
    "no bias": (set_setting("bias", False), "arrays that its settings do not account for"),
    "nan": (set_array("mean", np.asarray([np.nan, 0.0])), "weights that are NaN or infinite"),
    "float32": (set_array("mean", np.zeros(2, dtype="float32")), "arrays of float32, float64"),
    "integers": (set_array("mean", np.zeros(2, dtype="int64")), "arrays of float64, int64"),
    "long bias": (set_array("biases.0", np.zeros(3)), "shapes do not fit together"),
    "long mean": (set_array("mean", np.zeros(3)), "shapes do not fit together"),
    "flat weights": (set_array("weights.0", np.zeros(4)), "weights that are no tables"),
    "empty weights": (set_array("weights.0", np.zeros((0, 2))), "weights that are no tables"),
    "narrow layer": (set_array("weights.1", np.zeros((3, 1))), "shapes do not fit together"),
    "another array": (set_array("weights.2", np.zeros((1, 1))), "do not account for"),
    "missing array": (lambda f, a: a.pop("mean"), "not a model file, or is damaged"),
    "negative zero": (set_array("mean", np.asarray([-0.0, 1.0])), "was not written by neuron_xp"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_what_is_signed_but_makes_no_sense_is_refused(path, name):
    saved(path, **FULL)
    change, words = ALTERED[name]
    path.write_bytes(altered(path, change))
    with pytest.raises(neuron_xp.ModelFileError, match=words) as raised:
        neuron_xp.NeuralNetwork.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_weights_need_another_digest(path):
    saved(path, **FULL)
    path.write_bytes(altered(path, set_array("mean", np.zeros(2)), sign=False))
    with pytest.raises(neuron_xp.ModelFileError, match="SHA-256 does not match its content"):
        neuron_xp.NeuralNetwork.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        pickle.dumps({"weights": [1.0]}),
        b"PK\x03\x04" + bytes(100),
        bytes(10_000),
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 40_000) + b"[" * 40_000,
        safetensors.numpy.save({"weights.0": np.zeros((2, 1))}),
        safetensors.numpy.save({}, metadata={"neuron_xp": "[" * 40_000}),
        safetensors.numpy.save({}, metadata={"neuron_xp": "NaN"}),
        safetensors.numpy.save({}, metadata={"neuron_xp": '{"format_version": 1e999}'}),
    ],
    ids=["empty", "csv", "pickle", "zip", "zeros", "huge header", "deep header", "safetensors",
         "deep json", "nan json", "infinity"],
)  # fmt: skip
def test_other_formats_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(neuron_xp.ModelFileError, match=r"is not a model file, or is damaged \("):
        neuron_xp.NeuralNetwork.load(path)


def test_a_missing_file_is_a_missing_file(path):
    with pytest.raises(FileNotFoundError):
        neuron_xp.NeuralNetwork.load(path)
