"""Configurations of the estimator that scikit-learn's checks are run on."""

from neuron_xp import NeuronClassifier

CONFIGURATIONS = {
    "one layer": NeuronClassifier(),
    "plain columns": NeuronClassifier(standardize=False),
    "hidden": NeuronClassifier(hidden=(4,)),
    "adam": NeuronClassifier(optimizer="adam", learning_rate=0.05, max_iter=300),
    "native": NeuronClassifier(arithmetic="native"),
}
