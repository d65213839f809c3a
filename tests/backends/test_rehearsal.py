"""The rehearsal sees what no guarantee names: faults of a library that train to other bits."""

import dataclasses
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe import rehearsal, trust
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.backends.probe.rehearsal import (
    FOR_ARRAYS,
    FOR_COMPILERS,
    FOR_DEVICE_KERNELS,
    rehearse,
)
from neuron_xp.backends.probe.trust import check_backend
from neuron_xp.neuron.losses import RULES

NUMPY = open_backend("numpy")
EXACT = np.longdouble  # 64 bits of significand on x86: what x87 computes with


class Faulty(np.ndarray):
    """An array whose operators go through a table of faults; see `with_fault`."""

    ufuncs: dict = {}  # noqa: RUF012  each fault's class has its own

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [x.view(np.ndarray) if isinstance(x, np.ndarray) else x for x in inputs]
        fault = self.ufuncs.get(ufunc.__name__) if method == "__call__" else None
        result = fault(ufunc, *plain) if fault else getattr(ufunc, method)(*plain, **options)
        return np.asarray(result).view(type(self))


def with_fault(*, ufuncs=None, **functions):
    """A namespace around NumPy with one wrong behaviour."""
    kind = type("Faulty", (Faulty,), {"ufuncs": ufuncs or {}})

    def as_faulty(x):
        if isinstance(x, np.ndarray) and x.dtype != object:
            return x.view(kind)
        return tuple(map(as_faulty, x)) if isinstance(x, tuple) else x

    def wrap(name, function):
        def call(*arguments, **options):
            plain = [x.view(np.ndarray) if isinstance(x, np.ndarray) else x for x in arguments]
            if name in functions:
                return as_faulty(functions[name](*plain, **options))
            if name == "concat":
                plain = [[x.view(np.ndarray) for x in plain[0]]]
            return as_faulty(function(*plain, **options))

        return call

    names = {
        name: wrap(name, value) if callable(value) and not isinstance(value, type) else value
        for name, value in vars(NUMPY.xp).items()
    }
    xp = SimpleNamespace(**names)
    return dataclasses.replace(
        NUMPY, name="make-believe", xp=xp, make_kernels=None, threaded=False,
        to_host=lambda x: np.asarray(x).view(np.ndarray),
    )  # fmt: skip


def twice(ufunc, *inputs):
    """Round to 64 bits and then to 53, as x87 does."""
    if all(np.asarray(x).dtype == np.float64 or np.isscalar(x) for x in inputs):
        return ufunc(*(np.asarray(x, dtype=EXACT) for x in inputs)).astype("float64")
    return ufunc(*inputs)


def coarse_if_large(ufunc, a, b):
    found = ufunc(a, b)
    is_large = np.size(found) > 4096 and found.dtype == np.float64
    return found.astype("float32").astype("float64") if is_large else found


def shift_in_32_bits(ufunc, a, b):
    return ufunc(a, np.asarray(b) % 32)


def and_of_magnitudes(ufunc, a, b):
    return ufunc(abs(a), b) if np.asarray(a).dtype == np.int64 else ufunc(a, b)


def sum_in_32_bits(x, **options):
    if x.dtype == np.int64:
        return np.sum(x.astype("int32"), dtype="int32", **options).astype("int64")
    return np.sum(x, **options)


def take_wrong_at_the_end(x, indices, **options):
    found = np.take(x, indices, **options)
    return np.where(indices == len(x) - 1, np.take(x, indices - 1, **options), found)


def where_in_float32(condition, a, b):
    found = np.where(condition, a, b)
    return found.astype("float32").astype("float64") if found.dtype == np.float64 else found


def lists_in_float32(x, **options):
    if isinstance(x, list | tuple):
        return np.asarray(np.asarray(x, dtype="float32"), dtype="float64")
    return NUMPY.xp.asarray(x, **options)


FAULTS = {
    "products rounded twice": {"ufuncs": {"multiply": twice}},
    "sums rounded twice": {"ufuncs": {"add": twice, "subtract": twice}},
    "quotients rounded twice": {"ufuncs": {"divide": twice}},
    "products of large arrays in float32": {"ufuncs": {"multiply": coarse_if_large}},
    "where in float32": {"where": where_in_float32},
    "lists as float32": {"asarray": lists_in_float32},
    "int64 summed in int32": {"sum": sum_in_32_bits},
    "shifts modulo 32 bits": {
        "ufuncs": {"left_shift": shift_in_32_bits, "right_shift": shift_in_32_bits}
    },
    "& of a negative": {"ufuncs": {"bitwise_and": and_of_magnitudes}},
    "take wrong at the last place": {"take": take_wrong_at_the_end},
    "take modulo 128": {"take": lambda x, i, **more: np.take(x, i % 128, **more)},
    "reshape in column order": {"reshape": lambda x, shape, **_: x.reshape(shape, order="F")},
    "everything is finite": {"isfinite": lambda x: np.ones(np.shape(x), dtype=bool)},
}


def test_the_make_believe_library_is_right_without_a_fault():
    check_backend.__wrapped__(with_fault())


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen(fault):
    words = "does not keep the rule|to other bits|fails in its probe"
    with pytest.raises(neuron_xp.UnusableBackendError, match=words):
        neuron_xp.train(backend=with_fault(**FAULTS[fault]))


def test_every_library_gives_the_bits_of_every_scene(backend):
    for scene in FOR_COMPILERS if backend.compiled else (*FOR_COMPILERS, *FOR_DEVICE_KERNELS):
        assert rehearse(scene, backend, partial(trust._compile_arrays, backend)) == scene.bits


def test_kernels_of_a_device_are_shown_every_width_for_few_examples_and_for_many():
    """As kernels.py chooses among them: by leaves, neurons and features."""
    shown = {(s.sizes[0] > 32, s.sizes[0] > 1024, len(s.sizes) > 2, s.rows > 256)
             for s in FOR_DEVICE_KERNELS if s.sizes[-1] == 1 or len(s.sizes) > 2}  # fmt: skip
    assert {(False, False, False, many) for many in (False, True)} <= shown
    assert {
        (True, False, False, True),
        (True, True, False, False),
        (True, False, True, True),
    } <= shown
    assert {s.rule for s in FOR_DEVICE_KERNELS if s.rows > 256} == set(RULES)


def test_kernels_that_are_wrong_at_some_width_are_seen_on_a_device():
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    from neuron_xp.backends.numba_kernels.kernels import NumbaKernels

    class Wrong(NumbaKernels):
        def run(self, count, parameters, examples, *rest):
            found = super().run(count, parameters, examples, *rest)
            is_wide = examples.inputs.shape == (330, 1000)
            return found._replace(weights=(found.weights[0] + 1.0,)) if is_wide else found

    # a make-believe device: one whose memory is not the host's
    device = dataclasses.replace(NUMPY, make_kernels=Wrong, free_bytes=lambda: 0)
    with pytest.warns(RuntimeWarning, match="do not give the defined bits"):
        assert not has_right_kernels(device)


def test_kernels_that_add_parts_wrongly_are_seen_on_a_device():
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")
    from neuron_xp.backends.numba_kernels.kernels import NumbaKernels

    class Wrong(NumbaKernels):
        def _sum(self, function, examples, parameters):
            losses, *sums = super()._sum(function, examples, parameters)
            losses[0][...] += examples.inputs.shape == (330, 100)
            return losses, *sums

    for kernels, words in ((NumbaKernels, None), (Wrong, "do not give the defined bits")):
        device = dataclasses.replace(NUMPY, make_kernels=kernels, free_bytes=lambda: 0)
        with nullcontext() if words is None else pytest.warns(RuntimeWarning, match=words):
            assert has_right_kernels(device) == (words is None)


def test_other_bits_are_named(monkeypatch):
    wrong = dataclasses.replace(FOR_ARRAYS[0], bits="0" * 16)
    monkeypatch.setattr(trust, "FOR_ARRAYS", (wrong,))
    with pytest.raises(neuron_xp.UnusableBackendError, match=r"network \(softmax.*other bits"):
        check_backend.__wrapped__(NUMPY)
    assert rehearsal.find_wrong_scene((), NUMPY, None) is None


SET_MODE = {
    "flush": "import torch; torch.set_flush_denormal(True)",
    "fast-math": "import ctypes; ctypes.CDLL('./fast.so')",
    "upward": "import ctypes; ctypes.CDLL('libm.so.6').fesetround(0x800)",
    "to zero": "import ctypes; ctypes.CDLL('libm.so.6').fesetround(0xC00)",
}
WHEN = {
    "before": "{mode}\nshow(train)",
    "after the probe": "train()\n{mode}\nshow(train)",
    "before think": "n = train()\n{mode}\nshow(lambda: n.think([1, 0, 0]))",
    "while it trains": (
        "def spoil(progress):\n    {mode}\n"
        "show(lambda: train(on_progress=spoil, progress_every=64))"
    ),
}
PROGRAM = """
import neuron_xp
train = neuron_xp.train
def show(call):
    try:
        print("trained", call())
    except neuron_xp.UnusableBackendError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sets the mode by glibc")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("mode", SET_MODE)
def test_a_mode_of_the_processor_is_seen_whenever_it_is_set(tmp_path, mode, when):
    if mode == "flush":
        pytest.importorskip("torch", reason="it sets flush-to-zero")
    if mode == "fast-math":
        (tmp_path / "fast.c").write_text("int x;\n")
        build = ["cc", "-ffast-math", "-shared", "-fPIC", "fast.c", "-o", "fast.so"]
        try:
            subprocess.run(build, cwd=tmp_path, check=True)
        except FileNotFoundError:
            pytest.skip("no C compiler")
    program = PROGRAM + WHEN[when].format(mode=SET_MODE[mode])
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    words = {"flush": "flush-to-zero", "fast-math": "flush-to-zero"}.get(mode, "round to nearest")
    assert words in found.stdout
    assert "arithmetic='native'" in found.stdout
    assert found.stderr == ""
