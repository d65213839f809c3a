"""Trainings killed at random moments: no other bits, no name missing, nothing left over.

NEURON_XP_LARGE=1 kills 3,000 times, another number so often; NEURON_XP_SEED draws other moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mutations import count_cases

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")

TABLE = Path(__file__).parent.parent / "examples" / "data" / "wine.csv"
KILLS = count_cases(default=20, large=3000)
SEED = int(os.environ.get("NEURON_XP_SEED", "1"))
LINE = [
    "train", str(TABLE), "--target", "cultivar", "-o", "model", "--force", "--max-memory", "16MiB",
    "--optimizer", "gradient_descent", "--iterations", "600", "--checkpoint", "run",
    "--checkpoint-every", "2", "--resume",
]  # fmt: skip

# The command in a fork of a process that has imported it: what is killed is then its work, and
# not Python's start. It writes the number of each process, and then how that ended.
SERVER = """
import os, sys, tempfile
from neuron_xp.cli.app import main
from neuron_xp.workflows import table_training  # and what the command imports when it is needed

for folder in map(str.strip, iter(sys.stdin.readline, '')):
    process = os.fork()
    if process == 0:
        status = 3
        try:
            os.chdir(folder)
            # not by TMPDIR: Python would first try it by a file of its own, and be killed meanwhile
            tempfile.tempdir = os.path.abspath("temporary")
            os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
            status = main(sys.argv[1:])
        finally:
            os._exit(status)
    print(process, flush=True)
    sys.stdin.readline()  # until then nobody else gets its number
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Server:
    """The process whose forks are killed."""

    def __init__(self, process):
        self.process = process

    def start(self, folder):
        """Begin a training there; its process."""
        (folder / "temporary").mkdir(parents=True, exist_ok=True)
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self):
        """How the training ended: its status, or minus the signal that killed it."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def finish(self, folder):
        """Let a training end; its bytes, once nothing else is seen to be left."""
        self.start(folder)
        assert self.wait() == 0
        left = sorted(path.name for path in folder.iterdir())
        assert left == ["model", "run", "run.previous", "temporary"]
        assert list((folder / "temporary").iterdir()) == []
        return (folder / "model").read_bytes(), (folder / "run").read_bytes()


@pytest.fixture
def server():
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *LINE],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Server(process)
        process.stdin.close()


def test_kills_change_no_bit_and_leave_nothing(server, tmp_path):
    chance = random.Random(SEED)
    server.finish(tmp_path / "first")  # which compiles what is not compiled yet
    began = time.monotonic()
    expected = server.finish(tmp_path / "whole")
    longest = time.monotonic() - began
    folder, kills, since, there = tmp_path / "killed", 0, 0, False
    while kills < KILLS:
        process = server.start(folder)
        end = time.monotonic() + chance.uniform(0, longest)
        while time.monotonic() < end:
            assert not there or (folder / "run").exists()
            there = (folder / "run").exists()
            time.sleep(0.0005)
        os.kill(process, signal.SIGKILL)
        status = server.wait()
        assert status in (0, -signal.SIGKILL)
        kills, since = kills + (status != 0), since + (status != 0)
        assert not there or (folder / "run").exists()
        if status == 0 or since == 5:
            assert server.finish(folder) == expected
            since, there = 0, False
            for name in ("run", "run.previous", "model"):
                (folder / name).unlink()
    if folder.exists():
        assert server.finish(folder) == expected
