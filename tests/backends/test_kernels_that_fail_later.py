"""Kernels that were right, and fail while they train: one warning, and the same bits by arrays."""

import math
from dataclasses import replace

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe.confidence import has_right_kernels
from neuron_xp.training.data import in_parts

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

from neuron_xp.backends.numba_kernels.kernels import NumbaKernels

NUMPY = open_host_backend()
RNG = np.random.RandomState(3)
INPUTS, TARGETS = RNG.random_sample((700, 5)), RNG.randint(0, 2, (700, 1)) * 1.0
TRAININGS = {
    "gradient descent": {"iterations": 400, "learning_rate": 0.01},
    "batches": {"iterations": 30, "batch_size": 100, "shuffle": "rows", "learning_rate": 0.1},
    "adam": {"iterations": 30, "optimizer": "adam", "batch_size": 128, "bias": True},
    "lbfgs": {"optimizer": "lbfgs", "hidden": (3,), "bias": True, "l2": 0.1, "standardize": True},
}


class LaunchError(RuntimeError):
    """What a driver may raise."""


pytestmark = pytest.mark.filterwarnings("ignore::neuron_xp.LearningWarning")


@pytest.fixture
def failing():
    """A backend with right kernels, and `fail_after(calls, error)`: they fail from then on."""
    left, what = math.inf, LaunchError()

    class Failing(NumbaKernels):
        def _lay_out(self, *arguments, **sums):  # all that they do begins here
            nonlocal left
            left -= 1
            if left < 0:
                raise what
            return super()._lay_out(*arguments, **sums)

    def fail_after(calls, error):
        nonlocal left, what
        left, what = calls, error

    backend = replace(NUMPY, make_kernels=Failing)
    assert has_right_kernels(backend)
    return backend, fail_after


def check_that_it_warned_once(warned):
    messages = [str(warning.message) for warning in warned]
    assert sum("so array operations do their work" in message for message in messages) == 1


def check_the_same(found, expected):
    assert found.fingerprint() == expected.fingerprint()
    assert found.history == expected.history
    assert found.ending == expected.ending


@pytest.mark.parametrize("calls", [0, 1, 2, 7])
@pytest.mark.parametrize("training", TRAININGS)
def test_a_training_goes_on_to_the_same_bits(failing, training, calls):
    backend, fail_after = failing
    fail_after(calls, LaunchError("too many resources requested\n for launch"))
    words = r"numpy on cpu cannot be used \(too many resources requested for launch\), so array op"
    with pytest.warns(RuntimeWarning, match=words) as warned:
        found = neuron_xp.train(INPUTS, TARGETS, backend=backend, **TRAININGS[training])
    check_that_it_warned_once(warned)
    assert name_engine(backend, "reproducible") == "arrays"
    expected = neuron_xp.train(INPUTS, TARGETS, **TRAININGS[training])
    check_the_same(found, expected)
    # and the next training, of which nobody need be warned again
    again = neuron_xp.train(INPUTS, TARGETS, backend=backend, **TRAININGS[training])
    check_the_same(again, expected)


@pytest.mark.parametrize("calls", [0, 3])
@pytest.mark.parametrize("training", ["gradient descent", "lbfgs"])
def test_parts_from_files_go_on_to_the_same_bits(
    failing, training, calls, tmp_path, monkeypatch, small_blocks
):
    backend, fail_after = failing
    paths = [tmp_path / "inputs.npy", tmp_path / "targets.npy"]
    for path, array in zip(paths, (INPUTS, TARGETS), strict=True):
        np.save(path, array)
    settings = {**TRAININGS[training], "threads": 2}
    settings["iterations"] = min(settings.get("iterations", 20), 20)
    expected = neuron_xp.train(*paths, **settings)
    monkeypatch.setattr(in_parts, "find_backend", lambda array: backend)
    fail_after(calls, LaunchError("out of shared memory"))
    with pytest.warns(RuntimeWarning, match=r"cannot be used \(out of shared memory\)") as warned:
        found = neuron_xp.train(*paths, **settings)
    check_that_it_warned_once(warned)
    check_the_same(found, expected)


def test_a_rule_whose_kernels_cannot_be_made():
    shown = []

    def make_kernels(rule, **options):
        if shown and rule == "cross_entropy":
            raise LaunchError("no kernel image")
        return NumbaKernels(rule, **options)

    backend = replace(NUMPY, make_kernels=make_kernels)
    shown.append(has_right_kernels(backend))
    settings = {"rule": "cross_entropy", "iterations": 20, "learning_rate": 0.01}
    with pytest.warns(RuntimeWarning, match=r"cannot be used \(no kernel image\)"):
        found = neuron_xp.train(INPUTS, TARGETS, backend=backend, **settings)
    check_the_same(found, neuron_xp.train(INPUTS, TARGETS, **settings))


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt("by the user"),
        MemoryError("Unable to allocate 1 TiB"),
        neuron_xp.UnusableBackendError("the thread rounds upward"),
        UserWarning("made an error"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_array_operations_could_not_mend_is_raised(failing, error):
    backend, fail_after = failing
    fail_after(2, error)
    with pytest.raises(type(error), match=str(error)):
        neuron_xp.train(INPUTS, TARGETS, backend=backend, iterations=200)
    assert has_right_kernels(backend)


def test_kernels_whose_workspace_a_device_has_no_room_for(failing):
    """CuPy's OutOfMemoryError is a MemoryError, and array operations need no such workspace."""
    backend, fail_after = failing
    device = replace(backend, free_bytes=lambda: 0)  # which nothing here has
    assert has_right_kernels(device)
    fail_after(1, MemoryError("Out of memory allocating 1,073,741,824 bytes"))
    with pytest.warns(RuntimeWarning, match=r"cannot be used \(Out of memory allocating"):
        found = neuron_xp.train(INPUTS, TARGETS, backend=device, iterations=100)
    check_the_same(found, neuron_xp.train(INPUTS, TARGETS, iterations=100))
