"""ci/processors: what it refuses, and what it has recorded of other processors."""

import json
import subprocess
import sys
from pathlib import Path

from neuron_xp.workflows.cases import CASES

CI = Path(__file__).parent.parent / "ci"
RECORD = json.loads((CI / "results" / "processors.json").read_text("utf-8"))


def test_an_unknown_processor_is_one_line():
    command = [sys.executable, str(CI / "processors"), "s390x", "vax"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unknown processor 'vax'; choose from arm64, armhf, ")
    assert done.stderr.count("\n") == 1


def test_every_processor_that_was_seen_computed_what_is_published():
    """On one of 32 bits, and on a big-endian one, too."""
    assert {entry["bits"] for entry in RECORD.values()} == {32, 64}
    assert {entry["byte order"] for entry in RECORD.values()} == {"little", "big"}
    for name, entry in RECORD.items():
        assert "array operations" in entry["engines"]
        for engine, figures in entry["engines"].items():
            where = f"{name}, {engine}"
            assert (figures["why"], figures["other"]) == ("", []), where
            assert 0 < figures["same"] == figures["of"] <= len(CASES), where
