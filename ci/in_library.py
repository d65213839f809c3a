"""One library of ci/libraries, inside its environment: a line of JSON on it, or on one case.

in_library.py CODE [CASE]: CODE opens the library as `backend`.
"""

import json
import platform
import sys
import time

import numpy as np

from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.trust import check_backend
from neuron_xp.workflows.cases import CASES

MOST_ITERATIONS = 200


def main() -> None:
    code, *chosen = sys.argv[1:]
    names: dict = {}
    exec(code, names)  # of ci/libraries
    backend = open_backend(names["backend"])
    for case in CASES:
        if case.name in chosen:
            started = time.perf_counter()
            fingerprint = case.train(backend=backend).fingerprint()
            seconds = round(time.perf_counter() - started, 2)
            print(json.dumps({"fingerprint": fingerprint, "seconds": seconds}))
    if chosen:
        return
    cases, refused = [case.name for case in CASES if case.iterations <= MOST_ITERATIONS], ""
    try:
        check_backend(backend)
    except Exception as error:
        cases, refused = [], str(error).partition(", so it cannot be reproducible")[0]
    print(json.dumps({
        "numpy": np.__version__,
        "python": platform.python_version(),
        "refused": refused,
        "cases": cases,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
