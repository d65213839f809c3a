"""Compile the programs and the controls, count faults, and write the record: a line for each."""

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import jax

from ci.jax_on_h100.faults import NAMES, WRITTEN_BY_HAND, count_faults, count_work
from ci.jax_on_h100.programs import Program, list_controls, list_programs
from ci.jax_on_h100.target import NAME, Compiled, compile_for_h100


def main() -> int:
    started = time.monotonic()
    controls = [look(program) for program in list_controls()]
    controls.append(tell("written by hand", WRITTEN_BY_HAND))
    not_seen = [
        name for name in NAMES if not any(control["faults"].get(name) for control in controls)
    ]
    programs = [look(program) for program in list_programs()]
    faulty = [program["name"] for program in programs if program["faults"]]
    empty = [program["name"] for program in programs if not program["rounded to nearest"]]
    record = {
        "compiled for": f"{NAME}, of which XLA was told; nothing was run on one",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "seconds": round(time.monotonic() - started),
        "programs": programs,
        "controls": controls,
    }
    Path(sys.argv[1]).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    kernels = sum(program["kernels"] for program in programs)
    print(f"{len(programs)} programs of {kernels} kernels: {len(faulty)} with faults")
    for names, problem in (
        (faulty, "faults in"),
        (empty, "no float64 in"),
        (not_seen, "no control has"),
    ):
        if names:
            print(f"{problem}: {'; '.join(names)}")
    return int(bool(faulty or empty or not_seen))


def look(program: Program) -> dict[str, Any]:
    """Compile a program, and return what is in it."""
    return tell(program.name, compile_for_h100(program.lowered, **program.options))


def tell(name: str, compiled: Compiled) -> dict[str, Any]:
    """Return what is in a program, and tell it in a line."""
    faults = {fault: count for fault, count in count_faults(compiled).items() if count}
    found = {"name": name, **count_work(compiled), "faults": faults}
    said = ", ".join(f"{count} {fault}" for fault, count in faults.items()) or "no fault"
    print(f"{name}: {found['kernels']} kernels, {said}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
