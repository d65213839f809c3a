"""Batches in a drawn order, stopping when the loss hardly falls, and a look at the progress."""

import numpy as np

import neuron_xp

generator = np.random.RandomState(0)
inputs = generator.random_sample((5000, 10)) - 0.5
targets = inputs @ np.arange(10.0) > 0


network = neuron_xp.train(
    inputs, targets, rule="cross_entropy", bias=True, batch_size=256, shuffle="leaves",
    learning_rate=0.01, iterations=10_000, loss_every=100, tolerance=0.005,
    on_progress=print, progress_every=500,
)  # fmt: skip
print(f"stopped after {network.history[-1][0]} iterations, loss {network.history[-1][1]:.4f}")
