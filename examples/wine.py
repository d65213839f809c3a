"""Three classes: one column of targets, and one output neuron, each. Needs scikit-learn."""

import numpy as np
from sklearn.datasets import load_wine

import neuron_xp

table = load_wine()
targets = np.eye(3)[table.target]

network = neuron_xp.train(
    table.data, targets, rule="cross_entropy", l2=0.1, standardize=True, bias=True,
    learning_rate="auto", iterations=2000,
)  # fmt: skip
chosen = network.think(table.data).argmax(axis=1)
print(f"{np.mean(chosen == table.target):.1%} of {len(chosen)} wines are named right")
for iteration, loss in network.history[::5]:
    print(f"loss after {iteration:4} iterations: {loss:.4f}")
