"""The picture of the README: python pictures.py [FILE.png]. Needs the extras plots and sklearn."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

import neuron_xp
from neuron_xp import plots

figure = Figure(figsize=(12, 3.6), layout="constrained")
first, second, third = figure.subplots(1, 3)

plots.loss(neuron_xp.train(), first).set_title("the article's neuron")

xor = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]]), np.asarray([0, 1, 1, 0])
network = neuron_xp.train(*xor, hidden=(4,), bias=True, optimizer="lbfgs", l2=0.001)
plots.boundary(network, *xor, second).set_title("exclusive or, four hidden neurons")

iris = load_iris()
inputs, kinds = iris.data[:, 2:], iris.target_names[iris.target]
model = neuron_xp.NeuronClassifier().fit(inputs, kinds)
plots.boundary(model, inputs, kinds, third).set_title("three kinds of iris")
third.set(xlabel="petal length (cm)", ylabel="petal width (cm)")

path = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp() + "/pictures.png")
plots.save(first, path)
print(path)
