"""Runs that are killed, interrupted or damaged end on the bits of an uninterrupted one."""

import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.probe.status import list_statuses
from neuron_xp.files.durable import name_previous
from neuron_xp.model import checkpoint as checkpoints
from neuron_xp.training.loops import loop

SETTINGS = {"iterations": 300, "loss_every": 50}
BATCHES = {
    "hidden": (3,), "bias": True, "standardize": True, "batch_size": 64, "shuffle": "rows",
    "rule": "cross_entropy", "learning_rate": 0.05, "iterations": 60, "loss_every": 7,
}  # fmt: skip

LBFGS = {
    "optimizer": "lbfgs", "hidden": (3,), "bias": True, "standardize": True, "l2": 0.1,
    "iterations": 60, "loss_every": 7,
}  # fmt: skip
ADAM = {**BATCHES, "optimizer": "adam", "l2": 0.1}


class StopError(Exception):
    pass


def stop_at(iteration):
    def on_progress(progress):
        if progress.iteration >= iteration:
            raise StopError

    return on_progress


def table():
    generator = np.random.RandomState(0)
    return generator.random_sample((150, 3)), generator.randint(0, 2, 150)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize(
    "settings", [SETTINGS, BATCHES, LBFGS, ADAM], ids=["plain", "batches", "lbfgs", "adam"]
)
@pytest.mark.parametrize("stops", [(20,), (45, 46, 50)])
def test_a_resumed_run_ends_on_the_same_bits(library, path, settings, stops):
    """Begun on NumPy, gone on with on another library, and back."""
    data = table()
    expected = neuron_xp.train(*data, **settings)
    for i, stop in enumerate(stops):
        with pytest.raises(StopError):
            neuron_xp.train(
                *data, **settings, checkpoint=path, checkpoint_every=5, resume=i > 0,
                backend="numpy" if i % 2 == 0 else library, on_progress=stop_at(stop),
                progress_every=1,
            )  # fmt: skip
        assert checkpoints.read_checkpoint(path).position.iteration >= stop // 5 * 5
    network = neuron_xp.train(*data, **settings, checkpoint=path, resume=True, backend=library)
    assert network.fingerprint() == expected.fingerprint()
    assert network.history == expected.history
    assert network.ending == expected.ending


def test_a_finished_run_may_go_on_to_more_iterations(path):
    longer = neuron_xp.train(iterations=350, loss_every=100)
    neuron_xp.train(iterations=150, loss_every=100, checkpoint=path)
    network = neuron_xp.train(iterations=350, loss_every=100, checkpoint=path, resume=True)
    assert (network.fingerprint(), network.history) == (longer.fingerprint(), longer.history)
    again = neuron_xp.train(iterations=350, loss_every=100, checkpoint=path, resume=True)
    assert (again.fingerprint(), again.history) == (longer.fingerprint(), longer.history)


def test_a_finished_run_of_lbfgs_may_go_on_to_more_iterations(path):
    data, longer = table(), neuron_xp.train(*table(), **LBFGS)
    neuron_xp.train(*data, **{**LBFGS, "iterations": 25}, checkpoint=path)
    network = neuron_xp.train(*data, **LBFGS, checkpoint=path, resume=True)
    assert (network.fingerprint(), network.history) == (longer.fingerprint(), longer.history)
    again = neuron_xp.train(*data, **LBFGS, checkpoint=path, resume=True)
    assert (again.fingerprint(), again.ending) == (longer.fingerprint(), longer.ending)


@pytest.mark.parametrize("settings", [LBFGS, ADAM], ids=["lbfgs", "adam"])
def test_a_run_on_float32_goes_on(path, settings):
    inputs, targets = table()
    data, settings = (inputs.astype("float32"), targets), {**settings, "arithmetic": "native"}
    neuron_xp.train(*data, **{**settings, "iterations": 5}, checkpoint=path)
    network = neuron_xp.train(*data, **settings, checkpoint=path, resume=True)
    assert network.weights[0].dtype == "float32"
    assert network.ending.iterations > 5


def test_a_run_that_settled_stays_settled(path):
    settings = {"tolerance": 0.05, "loss_every": 10}
    expected = neuron_xp.train(**settings, checkpoint=path)
    network = neuron_xp.train(**settings, checkpoint=path, resume=True)
    assert network.history == expected.history
    assert network.history[-1][0] < 10_000
    assert network.fingerprint() == expected.fingerprint()


def test_resume_without_a_checkpoint_starts_at_the_beginning(path):
    network = neuron_xp.train(**SETTINGS, checkpoint=path, resume=True)
    assert network.fingerprint() == neuron_xp.train(**SETTINGS).fingerprint()
    assert checkpoints.read_checkpoint(path).position.iteration == 300


@pytest.mark.parametrize("where", ["_are_finite", "_has_settled"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_the_keyboard_saves_what_was_done(path, monkeypatch, where, kind):
    """Wherever it comes, and with no checkpoint due for seconds: the last whole stretch."""
    calls, function = [], getattr(loop, where)

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise kind
        return function(*arguments)

    monkeypatch.setattr(loop, where, interrupted)
    with pytest.raises(kind):
        neuron_xp.train(**SETTINGS, checkpoint=path)
    assert checkpoints.read_checkpoint(path).position.iteration == 150
    network = neuron_xp.train(**SETTINGS, checkpoint=path, resume=True)
    assert network.fingerprint() == neuron_xp.train(**SETTINGS).fingerprint()


def test_the_last_two_are_kept_and_a_damaged_newest_falls_back(path):
    neuron_xp.train(**SETTINGS, checkpoint=path, checkpoint_every=100)
    assert checkpoints.read_checkpoint(name_previous(path)).position.iteration == 200
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"damaged.*; going on from .*\.previous"):
        network = neuron_xp.train(**SETTINGS, checkpoint=path, resume=True)
    assert network.fingerprint() == neuron_xp.train(**SETTINGS).fingerprint()
    path.write_bytes(b"")
    name_previous(path).write_bytes(b"")
    with pytest.raises(neuron_xp.ModelFileError, match="is not a model file, or is damaged"):
        neuron_xp.train(**SETTINGS, checkpoint=path, resume=True)


CHANGED = {
    "seed": ({"seed": 2}, "was made with seed=1, and now it is 2; give the same"),
    "rate": ({"learning_rate": 0.5}, "was made with learning_rate=1.0, and now it is 0.5"),
    "rule": ({"rule": "cross_entropy"}, "was made with rule='error_weighted_derivative', and"),
    "hidden": ({"hidden": (4,)}, r"was made with hidden=\(\), and now it is \(4,\)"),
    "fewer": ({"iterations": 100}, "was made with iterations=300, and now it is 100; give the"),
    "arithmetic": ({"arithmetic": "native"}, "with arithmetic='reproducible', and now it is 'nat"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_other_settings_are_refused_with_their_name(path, name):
    neuron_xp.train(**SETTINGS, checkpoint=path)
    content = path.read_bytes()
    change, words = CHANGED[name]
    with pytest.raises(ValueError, match=words):
        neuron_xp.train(**{**SETTINGS, **change}, checkpoint=path, resume=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize("which", ["input", "target", "weight", "order", "shape"])
def test_other_data_are_refused(path, which):
    x, y = table()
    neuron_xp.train(x, y, **SETTINGS, checkpoint=path)
    weight = None
    if which == "input":
        x[149, 2] = np.nextafter(x[149, 2], 1)
    elif which == "target":
        y[0] = 1 - y[0]
    elif which == "weight":
        weight = np.ones(150)
    elif which == "order":
        x[[0, 1]], y[[0, 1]] = x[[1, 0]], y[[1, 0]]
    else:
        x = np.column_stack([x, np.zeros(150)])
    with pytest.raises(ValueError, match="was made from other data; give the same, or another"):
        neuron_xp.train(x, y, sample_weight=weight, **SETTINGS, checkpoint=path, resume=True)


def test_surprises_are_refused_before_any_work(path, tmp_path):
    neuron_xp.train(**SETTINGS, checkpoint=path, checkpoint_every=100)
    with pytest.raises(FileExistsError, match="is there already; give resume=True to go on from"):
        neuron_xp.train(**SETTINGS, checkpoint=path)
    path.unlink()
    with pytest.raises(FileExistsError, match=r"or remove it and 'run.safetensors.previous'"):
        neuron_xp.train(**SETTINGS, checkpoint=path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .* to save in"):
        neuron_xp.train(**SETTINGS, checkpoint=tmp_path / "no" / "file")
    with pytest.raises(ValueError, match="resume needs to know the file: give checkpoint=PATH"):
        neuron_xp.train(resume=True)
    with pytest.raises(ValueError, match="checkpoint_every needs to know the file"):
        neuron_xp.train(checkpoint_every=5)
    with pytest.raises(TypeError, match="checkpoint must be a path; got 3"):
        neuron_xp.train(checkpoint=3)
    neuron_xp.train(**SETTINGS).save(path)
    with pytest.raises(neuron_xp.ModelFileError, match="is a finished model and no checkpoint"):
        neuron_xp.train(**SETTINGS, checkpoint=path, resume=True)


# Marks in a trace show when it is inside a save, which is made to last a little longer.
CHILD = """
import os, sys, time
import neuron_xp
from neuron_xp.files import durable as durable_files
from neuron_xp.model import checkpoint as checkpoints
path, trace = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
write, replace = checkpoints.write_durably, os.replace
def slow_replace(*names):
    time.sleep(0.003)
    replace(*names)
    time.sleep(0.003)
def traced(*arguments, **options):
    os.write(trace, b"(")
    write(*arguments, **options)
    os.write(trace, b")")
neuron_xp.train(iterations=1)  # what is to be imported and compiled is
checkpoints.write_durably, os.replace = traced, slow_replace
os.write(trace, b"*")
neuron_xp.train(iterations=4000, checkpoint=path, checkpoint_every=10, resume=True)
"""


def killed_in_a_save(path, trace, wait):
    """Start a run, kill it after a while; whether that was inside a save."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(trace)]) as child:
        while not trace.exists() or not trace.read_bytes().rpartition(b"*")[1]:
            assert child.poll() is None
            time.sleep(0.005)
        time.sleep(wait)
        child.kill()
    marks = trace.read_bytes()
    trace.unlink()
    return marks.endswith(b"(")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_change_no_bit(path, tmp_path, kills):
    """Every time a file that can be read, and the bits of the uninterrupted run from it."""
    expected = neuron_xp.train(iterations=4000)
    chance = random.Random(1)
    places = [s for s in list_statuses() if s.usable and s.name in ("numpy", "jax")]
    inside = 0
    for _ in range(kills):
        inside += killed_in_a_save(path, tmp_path / "trace", chance.random() * 0.2)
        if not path.exists() and not name_previous(path).exists():
            continue
        checkpoints.read_checkpoint(path)  # a warning would be an error here
        twin = tmp_path / "twin.safetensors"
        for source, copy in ((path, twin), (name_previous(path), name_previous(twin))):
            copy.unlink(missing_ok=True)
            if source.exists():
                shutil.copy(source, copy)
        place = chance.choice(places)
        network = neuron_xp.train(
            iterations=4000, checkpoint=twin, resume=True, backend=place.name, device=place.device
        )
        assert network.fingerprint() == expected.fingerprint()
        assert network.history == expected.history
        if checkpoints.read_checkpoint(path).position.iteration > 3000:  # begin again
            path.unlink(missing_ok=True)
            name_previous(path).unlink(missing_ok=True)
    assert inside >= kills // 5
