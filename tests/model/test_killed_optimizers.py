"""L-BFGS and Adam, killed in mid-run and gone on with: the bits of an uninterrupted run."""

import json
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

METHODS = {
    "lbfgs": {
        "optimizer": "lbfgs", "rule": "softmax_cross_entropy", "hidden": [4], "bias": True,
        "standardize": True, "l2": 0.1, "iterations": 60,
    },
    "adam": {
        "optimizer": "adam", "rule": "softmax_cross_entropy", "hidden": [4], "bias": True,
        "batch_size": 64, "shuffle": "rows", "iterations": 60, "loss_every": 7,
    },
}  # fmt: skip
CHILD = """
import json, sys, time
import neuron_xp
sys.path.insert(0, sys.argv[3])
from test_killed_optimizers import table
settings = json.loads(sys.argv[2])
neuron_xp.train(*table(), **{**settings, "iterations": 1})  # what is to be compiled is
print("ready", flush=True)
neuron_xp.train(*table(), **settings, checkpoint=sys.argv[1], checkpoint_every=1, resume=True,
                on_progress=lambda progress: time.sleep(0.01), progress_every=1)
"""


def table():
    generator = np.random.RandomState(0)
    inputs = generator.standard_normal((300, 5))
    numbers = np.digitize(inputs[:, 0] + generator.standard_normal(300), [-0.5, 0.5])
    return inputs, np.eye(3)[numbers]


def kill_after(wait, path, settings):
    """Start a run, or go on with it, and kill it so many seconds after it began."""
    words = [str(path), json.dumps(settings), os.path.dirname(__file__)]
    command = [sys.executable, "-W", "ignore", "-c", CHILD, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(wait)
        child.kill()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", METHODS)
def test_kills_change_no_bit(name, tmp_path, kills):
    """After each kill another library goes on from a copy; the next run from the file itself."""
    settings, path = METHODS[name], tmp_path / "run.safetensors"
    expected = neuron_xp.train(*table(), **settings)
    chance, in_between = random.Random(1), 0
    places = [s for s in list_statuses() if s.usable and s.name in ("numpy", "torch")]
    for _ in range(kills):
        kill_after(chance.uniform(0.05, 0.5), path, settings)
        twin = tmp_path / "twin.safetensors"
        for source, copy in ((path, twin), (name_previous(path), name_previous(twin))):
            copy.unlink(missing_ok=True)
            if source.exists():
                shutil.copy(source, copy)
        found = checkpoints.read_checkpoint(path)
        done = 0 if found is None else found.position.iteration
        in_between += 0 < done < 60
        place = chance.choice(places)
        network = neuron_xp.train(
            *table(), **settings, checkpoint=twin, resume=True, backend=place.name
        )
        assert network.fingerprint() == expected.fingerprint()
        assert (network.history, network.ending) == (expected.history, expected.ending)
        if done > 45:  # begin again
            path.unlink()
            name_previous(path).unlink()
    assert in_between >= kills // 5
