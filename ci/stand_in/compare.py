"""Names and parameters of a CuPy, the stand-in's or the true one: python -m ci.stand_in.compare.

Printed as JSON: by the name of each class and module, its public names, each with the names of
its parameters where Python knows them. A machine without a GPU can import the true CuPy, too.
"""

import importlib
import inspect
import json
from typing import Any

MODULES = ["", "cuda", "cuda.device", "cuda.graph", "cuda.runtime", "cuda.stream", "linalg", "fft"]
CLASSES = ["ndarray", "RawModule", "RawKernel", "cuda.Device", "cuda.Stream", "cuda.MemoryPointer",
           "cuda.MemoryPool", "cuda.graph.Graph"]  # fmt: skip


def main() -> None:
    found = {}
    for name in (*MODULES, *CLASSES):
        module, _, last = name.rpartition(".")
        if name in CLASSES:
            owner = getattr(importlib.import_module(f"cupy.{module}".strip(".")), last)
        else:
            owner = importlib.import_module(f"cupy.{name}".strip("."))
        public = [each for each in dir(owner) if not each.startswith("_")]
        found[name or "cupy"] = {each: find_parameters(getattr(owner, each)) for each in public}
    print(json.dumps(found))


def find_parameters(value: Any) -> list[str] | None:
    if isinstance(value, type) or not callable(value):
        return None
    try:
        return list(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # C's functions
        return None


def find_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return what the stand-in has and CuPy has not, or with other parameters."""
    return [
        f"{owner}.{name}"
        for owner, names in ours.items()
        for name, parameters in names.items()
        if name not in theirs[owner]
        or (parameters and theirs[owner][name] and not _fits(parameters, theirs[owner][name]))
    ]


def _fits(ours: list[str], theirs: list[str]) -> bool:
    """Tell whether ours are the same, as far as they go; CuPy's own may be *args."""
    return ours == theirs or {"args", "kwargs"} & {*ours, *theirs, "inputs"} != set()


if __name__ == "__main__":
    main()
