"""The checks on arrays of other libraries, in a process where SciPy was told to take them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).with_name("array_api_checks.py")


@pytest.mark.slow
def test_the_checks_pass_with_scipys_array_api():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", CHECKS],
        env=os.environ | {"SCIPY_ARRAY_API": "1"}, cwd=CHECKS.parents[2],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.search(r"(\d+) passed in", run.stdout)  # none was skipped, or expected to fail
    assert found, run.stdout
    assert int(found[1]) >= 40
