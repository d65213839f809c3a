"""Rows that do not end, in a fresh process: refused with a limit, and never taken whole."""

import gzip

import pytest
from peak_memory import MB, NEEDS_PROC, measure_reading

LENGTH = 96
"""MB of the row."""
MOST = 96 * MB
"""That the process may grow by, with blocks that double and the copies of them."""


@NEEDS_PROC
@pytest.mark.parametrize("start", [b"x,kind\n1,a\n2,", b'x,kind\n1,a\n2,"', b""])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_row_that_does_not_end(tmp_path, start, ending):
    path = tmp_path / f"data{ending}"
    with (gzip.open if ending == ".csv.gz" else open)(path, "wb") as file:
        file.write(start)
        for _ in range(LENGTH):
            file.write(b"b" * MB)
    growth, message = measure_reading(path, "kind", memory=16 * MB)
    line = 3 if start else 1
    assert message.startswith(f"{path.name}, line {line}: is a row of more than 8,388,608 bytes")
    assert growth < MOST
