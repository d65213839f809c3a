"""A class with different laptops: one accuracy each, or one for all. Needs scikit-learn.

OpenBLAS, which multiplies matrices for NumPy and SciPy, has other code for each kind of processor,
and can be told which to take. The same program is run as on some of them, on the breast cancer
table as it comes: with LogisticRegression as it comes (but for a warning that it has not
converged), and with NeuronClassifier as it comes.
"""

import os
import subprocess
import sys

PROCESSORS = {
    "SkylakeX": "AVX-512",
    "Haswell": "AVX2",
    "Sandybridge": "AVX",
    "Prescott": "SSE3",
}
PROGRAM = """
import warnings
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from neuron_xp import NeuronClassifier

X, y = load_breast_cancer(return_X_y=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    theirs = LogisticRegression().fit(X, y)
ours = NeuronClassifier().fit(X, y)
print(f"{theirs.coef_[0, 0]:11.6f}  {theirs.score(X, y):8.4f}"
      f"    {ours.coef_[0, 0]:11.6f}  {ours.score(X, y):8.4f}  {ours.fingerprint_[:12]}")
"""

print(f"{'':24}LogisticRegression       NeuronClassifier")
print(f"{'as on':24}first coef.  accuracy    first coef.  accuracy  fingerprint")
for name, instructions in PROCESSORS.items():
    environment = {**os.environ, "OPENBLAS_CORETYPE": name}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if run.returncode < 0:  # an illegal instruction
        print(f"{name + ', ' + instructions:24}this processor has no {instructions}")
        continue
    if run.returncode:
        sys.exit(run.stderr)
    print(f"{name + ', ' + instructions:24}{run.stdout}", end="", flush=True)
