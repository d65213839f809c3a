"""Training holds the inputs once: what it takes beside them is bounded."""

import subprocess
import sys

import pytest
from mutations import count_cases

from neuron_xp.backends.libraries import open_backend

pytest.importorskip("resource", reason="this system tells no process's peak of memory")

ROWS, FEATURES = 1_000_000, 20
LIMIT = 64 * 2**20 + 64 * ROWS

PEAK = """
import resource, sys
import numpy as np
import neuron_xp
from neuron_xp.backends.libraries import open_backend

backend = open_backend(sys.argv[1])
if sys.argv[2] == "arrays":
    backend = backend.without_kernels()
rows, features = int(sys.argv[3]), int(sys.argv[4])
generator = np.random.default_rng(1)
inputs = generator.random((rows, features))
targets = generator.integers(0, 2, (rows, 1)).astype("float64")
with backend.context():
    inputs, targets = (backend.xp.asarray(x, device=backend.device) for x in (inputs, targets))
settings = dict(backend=backend, iterations=2, learning_rate=1e-6)
neuron_xp.train(inputs[:200_000], targets[:200_000], **settings)


def peak():
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes


before = peak()
neuron_xp.train(inputs, targets, **settings)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [("numpy", "kernels"), ("numpy", "arrays"), ("torch", "arrays")]
)
def test_the_inputs_are_held_once(name, mode):
    """Not on JAX: XLA keeps what it computes from all of the inputs, which is more."""
    try:
        open_backend(name)
    except ImportError as error:
        pytest.skip(str(error))
    run = subprocess.run(
        [sys.executable, "-c", PEAK, name, mode, str(ROWS), str(FEATURES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= LIMIT


SERVER = """
import sys
import numpy as np
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.network import NeuralNetwork

backend, times = open_backend(sys.argv[1]), int(sys.argv[2])
generator = np.random.RandomState(1)


def think():
    features, hidden, rows = (int(generator.randint(1, most)) for most in (40, 12, 500))
    with backend.context():
        shapes = (features, hidden), (hidden, 2)
        weights = map(backend.from_host, map(generator.random_sample, shapes))
        network = NeuralNetwork(weights=tuple(weights), backend=backend)
    network.think(generator.random_sample((rows, features)))


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096


for _ in range(20):
    think()
before = resident()
for _ in range(times):
    think()
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["numpy", "torch", "jax", "array_api_strict"])
def test_a_server_of_many_shapes_does_not_grow(name):
    try:
        open_backend(name)
    except ImportError as error:
        pytest.skip(str(error))
    shapes = count_cases(default=200, large=10_000)
    run = subprocess.run(
        [sys.executable, "-c", SERVER, name, str(shapes)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= 100_000_000
