"""The problem: the article's nine lines end on other bits when NumPy's vector code changes.

Runs itself twice, with and without the vector instructions that NumPy picks for this
processor, and prints the first weight's bits; then neuron_xp's, in the same two ways.
"""

import os
import subprocess
import sys

import numpy

NINE_LINES = """
from numpy import exp, array, random, dot
training_set_inputs = array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
training_set_outputs = array([[0, 1, 1, 0]]).T
random.seed(1)
synaptic_weights = 2 * random.random((3, 1)) - 1
for iteration in range(10000):
    output = 1 / (1 + exp(-(dot(training_set_inputs, synaptic_weights))))
    synaptic_weights += dot(training_set_inputs.T, (training_set_outputs - output) * output * (1 - output))
print("nine lines:", *(weight.hex() for weight in synaptic_weights[:, 0]))
import neuron_xp
print("neuron_xp: ", *(weight.hex() for weight in neuron_xp.train().weights[0][:, 0]))
"""  # noqa: E501

found = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
for disabled in ("", " ".join(found)):
    print(f"NPY_DISABLE_CPU_FEATURES={disabled!r}", flush=True)
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
    subprocess.run([sys.executable, "-c", NINE_LINES], env=environment, check=True)
