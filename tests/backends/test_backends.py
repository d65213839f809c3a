"""Libraries: found, missing, unusable; and nothing imported before it is asked for."""

import subprocess
import sys

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends import libraries as backends
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.status import list_statuses


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_neuron_xp_imports_no_optional_library():
    others = {"matplotlib", "narwhals", "onnx", "pandas", "pyarrow", "rich", "sklearn"}
    optional = sorted(others | set(backends.LIBRARIES) - {"numpy"})
    run = in_a_process(f"import neuron_xp, sys; print([n for n in {optional} if n in sys.modules])")
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_what_comes_from_the_host_goes_back_unchanged(library):
    array = np.random.RandomState(0).random_sample((3, 4))
    with library.context():
        there = library.from_host(array)
        assert there.dtype == library.xp.float64
        assert library.to_host(there).tobytes() == array.tobytes()


def test_one_backend_object_for_each_device():
    """So that what was probed and compiled is found again."""
    for status in list_statuses():
        if status.usable:
            first = open_backend(status.name, status.device)
            assert open_backend(status.name, first.device) is first
            with first.context():
                assert backends.find_backend(first.from_host(np.ones(1))) is first


def test_opening_another_device_of_a_backend():
    strict = open_backend("array_api_strict")
    assert str(open_backend(strict, "device1")) == "array_api_strict on device1"
    assert open_backend(strict) is strict


def test_a_missing_library(monkeypatch):
    """A row of the table whose library nobody has."""
    library = backends.Library(lambda device: None, list, "no-such-library")
    monkeypatch.setitem(backends.LIBRARIES, "no_such_library", library)
    words = "backend 'no_such_library' is not installed; type: .* -m pip install no-such-library"
    with pytest.raises(neuron_xp.MissingBackendError, match=words) as raised:
        neuron_xp.train(backend="no_such_library")
    assert isinstance(raised.value, ImportError)
    (row,) = (s for s in list_statuses() if s.name == "no_such_library")
    assert not row.usable
    assert row.reason == f"not installed; type: {sys.executable} -m pip install no-such-library"


def test_cupy_says_what_it_lacks():
    """Not installed, or installed without a device, or usable: whichever it is here."""
    rows = [s for s in list_statuses() if s.name == "cupy"]
    if rows[0].usable:
        assert rows[0].device == "cuda:0"
        return
    words = (
        r"backend 'cupy' is (not installed; type: .* -m pip install 'cupy-cuda13x\[ctk\]'$|"
        r"installed but cannot be used: .*(cuda|CUDA).*; 'neuron-xp backends' shows what can)"
    )
    kinds = (neuron_xp.MissingBackendError, neuron_xp.UnusableBackendError)
    with pytest.raises(kinds, match=words):
        neuron_xp.train(backend="cupy")


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("numpy", "cuda", "numpy has only the device 'cpu'"),
        ("array_api_strict", "moon", "moon"),
    ],
)
def test_a_device_that_is_not_there(name, device, words):
    with pytest.raises(neuron_xp.UnusableBackendError, match=f"on device '{device}': .*{words}"):
        open_backend(name, device)


def test_dask_is_refused_by_name():
    module = type(sys)("dask.array")
    module.asarray = None
    with pytest.raises(neuron_xp.UnusableBackendError, match="a dask array has no device: give"):
        open_backend(module)


def test_float32_only_devices_are_native_only():
    words = r"array_api_strict on no_float64 has no float64 \(.+\), so it cannot be reproducible"
    settings = {"backend": "array_api_strict", "device": "no_float64", "iterations": 5}
    with pytest.raises(neuron_xp.UnusableBackendError, match=words):
        neuron_xp.train(**settings)
    network = neuron_xp.train(**settings, arithmetic="native")
    with network.backend.context():
        weights = network.backend.to_host(network.weights[0])
    assert weights.dtype == "float32"
    np.testing.assert_allclose(weights, neuron_xp.train(iterations=5).weights[0], rtol=1e-5)
