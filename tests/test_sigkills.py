"""Trainings killed at random moments: no other bits, no name missing, nothing left over.

NEURON_XP_LARGE=1 kills 3,000 times, another number so often; NEURON_XP_SEED draws other moments.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mutations import count_cases

TABLE = Path(__file__).parent.parent / "examples" / "data" / "wine.csv"
KILLS = count_cases(default=20, large=3000)
SEED = int(os.environ.get("NEURON_XP_SEED", "1"))
LINE = [
    sys.executable, "-m", "neuron_xp", "train", str(TABLE), "--target", "cultivar", "-o", "model",
    "--force", "--max-memory", "16MiB", "--optimizer", "gradient_descent", "--iterations", "600",
    "--checkpoint", "run", "--checkpoint-every", "2", "--resume",
]  # fmt: skip


def start(folder):
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        LINE, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
    )  # fmt: skip


def finish(folder):
    """Let the run end; its bytes, and what it has left."""
    process = start(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["model", "run", "run.previous", "temporary"]
    assert list((folder / "temporary").iterdir()) == []
    return (folder / "model").read_bytes(), (folder / "run").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_kills_change_no_bit_and_leave_nothing(tmp_path):
    chance = random.Random(SEED)
    expected = finish(tmp_path / "whole")
    folder, kills, runs, began = tmp_path / "killed", 0, 0, False
    while kills < KILLS:
        process = start(folder)
        end = time.monotonic() + chance.uniform(0.5, 3.0)
        while time.monotonic() < end and process.poll() is None:
            there = (folder / "run").exists()
            assert there or not began
            began = there
            time.sleep(0.0005)
        process.kill()
        process.communicate()
        kills += process.returncode == -9
        assert (folder / "run").exists() or not began
        if process.returncode == 0 or runs < kills // 5:
            assert finish(folder) == expected
            runs, began = runs + 1, False
            for name in ("run", "run.previous", "model"):
                (folder / name).unlink()
    if folder.exists():
        assert finish(folder) == expected
