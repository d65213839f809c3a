"""Lines of JSON: a result a line, in the file as soon as it is known.

The standard library alone: ci/cuda must say what is missing where nothing is installed.
"""

import json
import os
from pathlib import Path
from typing import Any

Line = dict[str, Any]

FILE, STAGE, PART = (f"NEURON_XP_CUDA_{name}" for name in ("LINES", "STAGE", "PART"))
"""The environment's names of the file and of what runs, which a part's process finds there."""


def append(file: Path, **found: object) -> None:
    """Append a line; one short write, so that processes do not get into each other's lines."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(found) + "\n")


def tell(kind: str, **found: object) -> None:
    """Append what this part has found; print it where nobody has started the part."""
    line = {"stage": os.environ.get(STAGE), "part": os.environ.get(PART), "kind": kind, **found}
    if FILE in os.environ:
        append(Path(os.environ[FILE]), **line)
    else:
        print(json.dumps(line), flush=True)


def read(file: Path) -> list[Line]:
    """Read the lines; one that was cut off by a full disk or a crash is left out."""
    found = []
    for text in file.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def last_run(lines: list[Line]) -> dict[str, list[Line]]:
    """Return each stage's lines since it was begun for the last time, in the order of the runs."""
    stages: dict[str, list[Line]] = {}
    for line in lines:
        name = line["stage"]
        if line["kind"] == "begin":
            stages.pop(name, None)
            stages[name] = []
        stages.setdefault(name, []).append(line)
    return stages
