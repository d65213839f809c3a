"""The rehearsal sees what no guarantee names: faults of a library that train to other bits."""

import dataclasses
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial

import pytest
from faulty_libraries import FAULTS, with_fault

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
