"""Files that were written before the package had rooms: nobody's model may be lost by a move.

tests/data/before_rooms/wine.safetensors was written by version 0.1.0, with
    neuron-xp train examples/data/wine.csv --target cultivar --standardize --holdout 0.2
    --iterations 500 -o wine.safetensors
and run.safetensors is the checkpoint at iteration 40 of `RUN` on `examples()`, below.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import neuron_xp
from neuron_xp.model import checkpoint as checkpoints

ROOT = Path(__file__).parent.parent.parent
OLD = ROOT / "tests" / "data" / "before_rooms"
TABLE = ROOT / "examples" / "data" / "wine.csv"
MODEL = "15590f143a9a8ecb98932a12c9d8ff6921b475e009e6fd776987e84bf17ec65d"
RESUMED = "b277f523ced8e63a54e76bc365e4146dcb144da7a8c1fc5b4fdff2f226caeebb"
RUN = {
    "hidden": (3,), "bias": True, "rule": "cross_entropy", "l2": 0.25,
    "learning_rate": 2.0**-6, "standardize": True, "batch_size": 128, "shuffle": "leaves",
    "loss_every": 10, "seed": 3,
}  # fmt: skip


def examples():
    inputs = 2 * np.random.RandomState(5).random_sample((300, 4)) - 1
    return inputs, (inputs[:, :1] > 0).astype("float64")


def test_a_model_is_loaded(library):
    network = neuron_xp.NeuralNetwork.load(OLD / "wine.safetensors", backend=library)
    assert network.fingerprint() == MODEL


def test_a_model_is_verified():
    line = ["verify", OLD / "wine.safetensors", TABLE]
    run = subprocess.run(
        [sys.executable, "-m", "neuron_xp", *map(str, line)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert MODEL in run.stdout
    assert run.stdout.endswith("verdict       the same bits\n")


def test_a_model_is_saved_as_it_was(tmp_path):
    path = tmp_path / "wine.safetensors"
    neuron_xp.NeuralNetwork.load(OLD / "wine.safetensors").save(path)
    assert path.read_bytes() == (OLD / "wine.safetensors").read_bytes()


def test_a_run_goes_on_from_its_checkpoint(tmp_path, library):
    path = shutil.copy(OLD / "run.safetensors", tmp_path)
    assert checkpoints.read_checkpoint(Path(path)).position.iteration == 40
    network = neuron_xp.train(
        *examples(), backend=library, iterations=100, checkpoint=path, checkpoint_every=20,
        resume=True, **RUN,
    )  # fmt: skip
    assert network.fingerprint() == RESUMED
