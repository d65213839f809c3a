"""Rows that do not end, in a fresh process: refused with a limit, and never taken whole."""

import gzip
import subprocess
import sys

import pytest

MB = 2**20
LENGTH = 96
"""MB of the row."""
MOST = 96 * MB
"""That the process may grow by, with blocks that double and the copies of them."""
PROGRAM = """
import re, sys
from pathlib import Path
import pyarrow.csv
from neuron_xp.tables.cells import Reading, TableError
from neuron_xp.tables.files import limit_rows
from neuron_xp.tables.survey import survey_file
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    survey_file(Path(sys.argv[1]), Reading("kind"), limit_rows(16 * 2**20))
except TableError as error:
    print(peak() - before, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("start", [b"x,kind\n1,a\n2,", b'x,kind\n1,a\n2,"', b""])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_row_that_does_not_end(tmp_path, start, ending):
    path = tmp_path / f"data{ending}"
    with (gzip.open if ending == ".csv.gz" else open)(path, "wb") as file:
        file.write(start)
        for _ in range(LENGTH):
            file.write(b"b" * MB)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True
    )
    growth, message = run.stdout.split(maxsplit=1)
    line = 3 if start else 1
    assert message.startswith(f"{path.name}, line {line}: is a row of more than 8,388,608 bytes")
    assert int(growth) < MOST
