"""The published cases on one library: python -m ci.cuda_stages.trainings cupy cuda:0 arrays.

"kernels" instead of "arrays" trains by kernels, and fails where these are not used.
"""

import sys
from dataclasses import asdict

from ci.cuda_stages.lines import tell
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.workflows.cases import CASES, Case, published
from neuron_xp.workflows.matrix import run_matrix


def main() -> None:
    name, device, way = sys.argv[1:]
    short_first = sorted(CASES, key=lambda case: case.iterations)
    wrong = train(name, device, way, short_first)
    sys.exit(f"{wrong} of the trainings failed, or gave other bits" if wrong else 0)


def train(name: str, device: str, way: str, cases: list[Case]) -> int:
    """Tell of each training; return how many are not as published."""
    backend = open_backend(name, device)
    if way == "arrays":
        backend = backend.without_kernels()
    elif name_engine(backend, "reproducible") != "kernels":
        sys.exit(f"the kernels of {backend} are not used")
    arithmetics = ARITHMETICS if way == "arrays" else ["reproducible"]  # native has no kernels
    wrong = 0
    for result in run_matrix([backend], arithmetics=arithmetics, cases=cases):
        known = published()[result.case] if result.arithmetic == "reproducible" else None
        same = None if known is None else result.fingerprint == known
        wrong += bool(result.failure) or same is False
        tell("training", same=same, **asdict(result))
    return wrong


if __name__ == "__main__":
    main()
