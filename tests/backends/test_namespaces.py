"""Namespaces without a row in the table: what is asked of them, and why one is refused."""

from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.testing.doctor import examine


class Lone:
    """An array that only its own library's functions take, and NumPy's asarray; see `lone`."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.dtype, self.shape, self.ndim = self.array.dtype, self.array.shape, self.array.ndim

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)

    def __getitem__(self, key):
        return Lone(self.array[unwrap(key)])

    @property
    def T(self):  # noqa: N802  the standard's name
        return Lone(self.array.T)


def _operator(name):
    return lambda self, *others: Lone(getattr(self.array, name)(*map(unwrap, others)))


for _name in ("add", "sub", "mul", "truediv", "and", "or", "rshift", "lshift", "pow", "matmul"):
    for _side in (f"__{_name}__", f"__r{_name}__"):
        setattr(Lone, _side, _operator(_side))
for _name in ("neg", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Lone, f"__{_name}__", _operator(f"__{_name}__"))


def unwrap(x):
    if isinstance(x, tuple | list):
        return type(x)(map(unwrap, x))
    return x.array if isinstance(x, Lone) else x


def lone(name="lone", **functions):
    """A namespace that is NumPy but has no devices, no DLPack, and makes float32 unless told."""

    def wrap(function):
        def call(*arguments, **options):
            found = function(*map(unwrap, arguments), **options)
            return Lone(found) if isinstance(found, np.ndarray | np.generic) else found

        return call

    def asarray(x, dtype=None):
        return Lone(np.asarray(unwrap(x), dtype="float32" if dtype is None else dtype))

    plain = {
        key: wrap(value) if callable(value) and not isinstance(value, type) else value
        for key, value in vars(np).items()
    }
    return SimpleNamespace(
        **{**plain, "__name__": name, "__version__": "1", "asarray": asarray, **functions}
    )


def test_a_namespace_needs_no_devices_and_no_dlpack():
    backend = open_backend(lone())
    assert (backend.name, backend.version, backend.device) == ("lone", "1", None)
    network = neuron_xp.train(backend=backend, iterations=20)
    assert type(network.weights[0]) is Lone
    assert network.fingerprint() == neuron_xp.train(iterations=20).fingerprint()
    assert examine(lone()).holds


def test_a_namespace_that_cannot_be_brought_to_the_host_says_so():
    class Bare(Lone):
        __array__ = None

    backend = open_backend(lone())
    with pytest.raises(AttributeError, match="__dlpack__"):
        backend.to_host(Bare([1.0]))


def test_the_reason_is_the_librarys_own():
    def asarray(x, dtype=None):
        raise RuntimeError("the driver is too old")

    words = r"^lone on cpu has no float64 \(the driver is too old\), so it cannot be"
    with pytest.raises(neuron_xp.UnusableBackendError, match=words):
        neuron_xp.train(backend=lone(asarray=asarray))
    xp = lone()
    del xp.astype
    words = r"^lone on cpu fails in its probe \(.*has no attribute 'astype'\)"
    with pytest.raises(neuron_xp.UnusableBackendError, match=words):
        neuron_xp.train(backend=xp)


def test_a_module_inside_numpy_is_not_numpy():
    words = r"^numpy\.ma on cpu has no float64 \(module 'numpy\.ma' has no attribute 'float64'\)"
    with pytest.raises(neuron_xp.UnusableBackendError, match=words):
        neuron_xp.train(backend=np.ma)
    assert open_backend(np).name == "numpy"
    assert open_backend(array_api_strict).name == "array_api_strict"


def test_casts_are_asked_for_by_the_standards_first_two_arguments():
    """MLX knows no `copy`."""

    def astype(x, dtype):
        return Lone(unwrap(x).astype(dtype))

    network = neuron_xp.train(backend=lone(astype=astype), iterations=20)
    assert network.fingerprint() == neuron_xp.train(iterations=20).fingerprint()


class Masked(Lone):
    """An array of a library that has masks, such as marray's."""

    mask = np.asarray([True])

    def __array_namespace__(self, api_version=None):
        return np


@pytest.mark.parametrize(
    ("masked", "cure"),
    [
        (np.ma.masked_array([[1.0, 2.0]], mask=[[0, 1]]), r"inputs\.filled\(VALUE\)"),
        (Masked([[1.0, 2.0]]), r"numbers for inputs\.mask"),
    ],
)
def test_masked_arrays_are_no_data(masked, cure):
    words = f"^inputs are a masked array; give {cure}, or leave rows out$"
    with pytest.raises(TypeError, match=words):
        neuron_xp.train(masked, [1.0], iterations=1)
    network = neuron_xp.train([[1.0, 2.0]], [1.0], iterations=1)
    with pytest.raises(TypeError, match=words):
        network.think(masked)


def test_masked_targets_and_weights_are_no_data():
    masked = np.ma.masked_array([1.0, 0.0], mask=[0, 1])
    with pytest.raises(TypeError, match=r"^targets are a masked array; give targets\.filled"):
        neuron_xp.train([[1.0], [2.0]], masked, iterations=1)
    with pytest.raises(TypeError, match=r"^sample_weight are a masked array; give sample_weight"):
        neuron_xp.train([[1.0], [2.0]], [1.0, 0.0], sample_weight=masked, iterations=1)
