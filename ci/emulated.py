"""The cases on one engine of the processor that ci/processors emulates: a line of JSON for each.

It runs in the other processor's folder, with what Debian has for it.
"""

import json
import platform
import sys
import time

from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.workflows.cases import CASES


def main() -> None:
    name, kernels, most_iterations = sys.argv[1:]
    if kernels == "without":
        sys.modules["numba"] = None  # type: ignore[assignment]  # L-BFGS would compile its vectors
    backend = open_backend(name).without_kernels() if kernels == "without" else open_backend(name)
    cases = [case for case in CASES if case.iterations <= int(most_iterations)]
    print(json.dumps({
        "byte order": sys.byteorder,
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "runs": name_engine(backend, "reproducible"),
        "versions": find_versions(),
        "cases": len(cases),
    }), flush=True)  # fmt: skip
    for case in cases:
        started = time.perf_counter()
        fingerprint = case.train(backend=backend).fingerprint()
        seconds = time.perf_counter() - started
        result = {"case": case.name, "fingerprint": fingerprint, "seconds": seconds}
        print(json.dumps(result), flush=True)


def find_versions() -> dict[str, str]:
    """Return the versions of Python and of what is imported by now."""
    names = [name for name in ("numpy", "numba", "llvmlite", "torch") if sys.modules.get(name)]
    versions = {name: str(sys.modules[name].__version__) for name in names}
    return {"python": platform.python_version(), **versions}


if __name__ == "__main__":
    main()
