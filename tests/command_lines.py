"""Many command lines in one process: most of the time of a process is its start."""

import json
import subprocess
import sys
from typing import NamedTuple

PROGRAM = """
import io, json, shlex, sys
from neuron_xp.cli.app import main

found, streams = [], (sys.stdout, sys.stderr)
for line in json.load(sys.stdin):
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO()) for _ in streams)
    status, texts = main(shlex.split(line)), []
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    found.append((status, *texts))
sys.stdout, sys.stderr = streams
json.dump(found, sys.stdout)
"""


class Said(NamedTuple):
    """The end of a command."""

    status: int
    stdout: str
    stderr: str


def run_lines(folder, lines):
    """Run `neuron-xp` with each line, quoted as for a shell; return {line: Said}."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps([*lines]), cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return {line: Said(*said) for line, said in zip(lines, json.loads(run.stdout), strict=True)}
