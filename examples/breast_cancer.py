"""569 tumours, 30 measurements each: benign or malignant? Needs scikit-learn for the table."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import neuron_xp

table = load_breast_cancer()
inputs, held_out, targets, answers = train_test_split(
    table.data, table.target, test_size=0.2, random_state=0, stratify=table.target
)

network = neuron_xp.train(inputs, targets, optimizer="lbfgs", standardize=True, bias=True, l2=1.0)
right = (network.think(held_out)[:, 0] > 0.5) == answers
print(f"{right.mean():.1%} of {len(answers)} held-out tumours are named right")
print("fingerprint", network.fingerprint())
