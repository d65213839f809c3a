"""The growth of memory in a fresh process: in this one, what was freed hides it."""

import subprocess
import sys

import pytest

MB = 2**20
NEEDS_PROC = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
PEAK = """
import re, sys
from pathlib import Path
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
READ = """
import pyarrow.csv, pyarrow.parquet
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.encode import read_training_table
from neuron_xp.tables.files import limit_rows
from neuron_xp.tables.survey import survey_file
path, reading, memory = Path(sys.argv[1]), Reading(sys.argv[2]), int(sys.argv[3])
before = peak()
try:
    if memory:
        said = survey_file(path, reading, limit_rows(memory)).rows
    else:
        said = read_training_table(path, reading).inputs.shape
except TableError as error:
    said = error
"""


def measure_growth(program, *arguments):
    """Run a program that says when it was `before` and what it `said`: (bytes, said)."""
    line = [sys.executable, "-c", f"{PEAK}{program}\nprint(peak() - before, said)"]
    run = subprocess.run([*line, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    growth, said = run.stdout.strip().split(maxsplit=1)
    return int(growth), said


def measure_reading(path, target, *, memory=0):
    """Survey a table with so much memory, or read it whole: (bytes, its rows, shape or error)."""
    return measure_growth(READ, path, target, memory)
