"""A rehearsal: small trainings with everything in them, whose bits are part of this package.

They show what no single guarantee names: whatever computes other bits is seen before it trains.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, Steps
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples, Scaling
from neuron_xp.random_start import draw_start

MakeSteps = Callable[[str, bool], Steps]
"""make_steps(rule, no_tiny_inputs) returns what trains."""


@dataclass(frozen=True)
class Scene:
    """A small training.

    rule : its learning rule
    sizes : inputs, then neurons of each layer
    rows : how many; not a multiple of 64
    is_plain : whether there are no biases, sample weights, scaling and l2, and some inputs are
        below 2^-60 in magnitude
    bits : the beginning of the SHA-256 of what it gives
    """

    rule: str
    sizes: tuple[int, ...]
    rows: int
    is_plain: bool
    bits: str


FOR_COMPILERS = (Scene("softmax_cross_entropy", (3, 2), 70, False, "d08d52705d13dcce"),)
"""What a library's compiler is shown, which takes its time for every operation."""
FOR_ARRAYS = (
    Scene("softmax_cross_entropy", (35, 5, 4, 3), 130, False, "ff0d9b36e954db29"),
    Scene("error_weighted_derivative", (9, 2), 300, True, "7ce4d7b742a979f6"),
    Scene("cross_entropy", (1100, 1), 65, True, "fbf42ad3884fe287"),
)
"""What array operations are shown."""
FOR_KERNELS = (
    *FOR_ARRAYS,
    Scene("cross_entropy", (35, 3, 2), 130, False, "5e0568846f568b7b"),
    Scene("error_weighted_derivative", (7, 1), 65, False, "c8dba9338c6fed19"),
    Scene("softmax_cross_entropy", (1100, 2), 65, True, "eea6c7b46f097006"),
)
"""What kernels are shown, whose every rule is code of its own."""
FOR_DEVICE_KERNELS = (
    *FOR_KERNELS,
    Scene("error_weighted_derivative", (20, 1), 330, True, "452101253ed7a83c"),
    Scene("cross_entropy", (20, 1), 330, False, "199ac6867297e5de"),
    Scene("cross_entropy", (100, 1), 330, True, "2e33fbc56d3fd173"),
    Scene("error_weighted_derivative", (100, 1), 330, False, "30e24c76d888ecff"),
    Scene("error_weighted_derivative", (1000, 1), 330, True, "7f5534fafcc20d50"),
    Scene("cross_entropy", (1000, 1), 330, False, "a7cae3663e7d1d01"),
    Scene("softmax_cross_entropy", (70, 66, 3), 330, False, "2d1a02f77f522ffe"),
)
"""What kernels of a device are shown, which has others for few examples and for many, for one
neuron and for many, and for each width: with more than four leaves of 64 examples no block of
its threads works alone."""


def find_wrong_scene(
    scenes: Iterable[Scene], backend: Backend, make_steps: MakeSteps
) -> Scene | None:
    """Return the first scene that does not give its bits; None if all do."""
    wrong = (s for s in scenes if rehearse(s, backend, make_steps) != s.bits)
    return next(wrong, None)


def rehearse(scene: Scene, backend: Backend, make_steps: MakeSteps) -> str:
    """Train a scene, and return the beginning of the SHA-256 of all that it gives."""
    with backend.context():
        digest = sha256()
        for array in _play(scene, backend, make_steps(scene.rule, not scene.is_plain)):
            on_host = backend.to_host(array) + 0.0  # -0.0 is 0.0, as in fingerprints
            digest.update(str(on_host.shape).encode())
            digest.update(on_host.astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def _play(scene: Scene, backend: Backend, do: Steps) -> Iterator[Any]:
    """Yield the losses and sums at the start, the parameters after two iterations, their losses."""
    examples, parameters = make_problem(scene, backend.from_host)
    l2 = None if scene.is_plain else 0.5
    yield from do.losses_and_sums(parameters, examples)
    parameters = do.run(2, parameters, examples, 0.0625, l2)
    yield from (*parameters.weights, *parameters.biases)
    if scene.is_plain:
        yield from do.sums(parameters, examples)
        yield do.loss(parameters, examples)


def make_problem(
    scene: Scene, from_host: Callable[[np.ndarray], Any]
) -> tuple[Examples, Parameters]:
    """Return the examples of a scene, and the parameters that it begins with."""
    features, neurons = scene.sizes[0], scene.sizes[-1]
    shapes = [(scene.rows, features), (scene.rows, neurons), (scene.rows, 1)]
    inputs, targets, weight = draw_start(shapes, seed=1)
    targets = abs(targets)
    if scene.rule == "softmax_cross_entropy":
        targets = np.eye(neurons)[np.arange(scene.rows) % neurons]
    weights = [16.0 * w / len(w) for w in draw_start(pairwise(scene.sizes), seed=2)]
    if scene.is_plain:
        inputs[::3, ::2] *= 2.0**-500
        inputs[1::7, 0] = 0.0
        examples = Examples(inputs=from_host(inputs), targets=from_host(targets))
        return examples, Parameters(tuple(map(from_host, weights)))
    scaling = Scaling(from_host(inputs[0, :] * 0.25), from_host(1.0 + inputs[1, :] ** 2))
    examples = Examples(
        inputs=from_host(inputs), targets=from_host(targets),
        sample_weight=from_host(abs(weight)), scaling=scaling,
    )  # fmt: skip
    biases = tuple(from_host(w[0, :]) for w in weights)
    return examples, Parameters(tuple(map(from_host, weights)), biases)
