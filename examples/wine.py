"""Three classes: one column of targets, and one output neuron, each. Needs scikit-learn."""

import numpy as np
from sklearn.datasets import load_wine

import neuron_xp

table = load_wine()
targets = np.eye(3)[table.target]

network = neuron_xp.train(
    table.data, targets, optimizer="lbfgs", rule="softmax_cross_entropy", standardize=True,
    bias=True, l2=1.0,
)  # fmt: skip
probabilities = network.think(table.data)
chosen = probabilities.argmax(axis=1)
print(f"{np.mean(chosen == table.target):.1%} of {len(chosen)} wines are named right")
print("the first wine's probabilities:", probabilities[0].round(4))
print(network.ending)
for iteration, loss in network.history[::5]:
    print(f"loss after {iteration:2} iterations: {loss:.4f}")
