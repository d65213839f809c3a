"""Runs of pytest in processes of their own, on small packages, with the kit as it is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENTRY_POINT = "[pytest11]\nneuron_xp = neuron_xp.testing.plugin\n"


def run_pytest(folder, *options, **variables):
    """Run pytest there; the plugin is found by its entry point, as if this were installed."""
    installed = folder.parent / f"{folder.name}-installed"
    (installed / "kit-1.dist-info").mkdir(parents=True, exist_ok=True)
    (installed / "kit-1.dist-info" / "METADATA").write_text("Name: kit\nVersion: 1\n")
    (installed / "kit-1.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NEURON_XP_TEST", "PYTEST", "COLUMNS"))
    }
    paths = os.pathsep.join([str(folder), str(ROOT), str(installed)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *options],
        cwd=folder,
        env=inherited | {"PYTHONPATH": paths} | variables,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def write_files(folder, files):
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")


def read_table(output):
    """Read the table at the end of a run: {'torch cpu': [passed, failed, skipped, xfailed]}."""
    lines = output.splitlines()
    (start,) = [i for i, line in enumerate(lines) if re.match("backend  +device ", line)]
    place, counts = (lines[start].index(word) for word in ("version", "passed"))
    table = {}
    for line in lines[start + 1 :]:
        cells = line[counts:].split()
        if not all(cell == "-" or cell.isdigit() for cell in cells[:4]) or len(cells) < 4:
            break
        numbers = [0 if cell == "-" else int(cell) for cell in cells[:4]]
        table[" ".join(line[:place].split())] = numbers
    return table
