"""Batches in a drawn order, stopping when the loss hardly falls, and a look at the progress."""

import numpy as np

import neuron_xp

generator = np.random.RandomState(0)
inputs = generator.random_sample((5000, 10)) - 0.5
targets = inputs @ np.arange(10.0) > 0


def tell(progress):
    if progress.iteration % 500 == 0:
        print(f"{progress.iteration} of {progress.iterations}: loss {progress.loss:.4f}")


network = neuron_xp.train(
    inputs, targets, rule="cross_entropy", bias=True, batch_size=256, shuffle="leaves",
    learning_rate=0.01, iterations=10_000, loss_every=100, tolerance=0.005, on_progress=tell,
)  # fmt: skip
print(f"stopped after {network.history[-1][0]} iterations, loss {network.history[-1][1]:.4f}")
