"""ci/libraries: what it refuses, what it has recorded of other libraries, and the page's table."""

import json
import re
import subprocess
import sys
from pathlib import Path

from neuron_xp.workflows.cases import CASES

ROOT = Path(__file__).parent.parent
RECORD = json.loads((ROOT / "ci" / "results" / "libraries.json").read_text("utf-8"))
PAGE = (ROOT / "neuron_xp" / "backends" / "README.md").read_text("utf-8")


def test_an_unknown_library_is_one_line():
    command = [sys.executable, str(ROOT / "ci" / "libraries"), "mlx", "nunpy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unknown library 'nunpy'; choose from autograd, ")
    assert done.stderr.count("\n") == 1


def test_no_library_that_trained_gave_other_bits():
    for name, entry in RECORD.items():
        assert bool(entry["refused"]) == (entry["of"] == 0), name
        assert entry["other"] == [], name
        assert entry["same"] + len(entry["failed"]) == entry["of"] <= len(CASES), name
        assert entry["refused"] or entry["same"] > 0, name


def test_the_page_has_every_library_with_what_was_recorded():
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d.*) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == RECORD.keys()
    for name, entry in RECORD.items():
        version, _, cases = map(str.strip, rows[name].split(" | "))
        assert version == entry["version"], name
        expected = f"{entry['same']} of {entry['of']}" if entry["of"] else "refused: "
        assert cases.startswith(expected), name
