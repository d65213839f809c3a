"""Outputs that cannot be written, endless inputs, closed streams: one line, before any work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
TRAIN = "train wine.csv --target cultivar"
WRONG = {
    f"{TRAIN} -o dangling": "it is a link: name what it points to",
    f"{TRAIN} -o link --force": "--output 'link' is also DATA; name another file",
    f"{TRAIN} -o /dev/stdout --force": "is not a regular file, and only those are replaced",
    f"{TRAIN} -o m --checkpoint link": "it is a link: name what it points to",
    f"{TRAIN} -o wine.csv --force": "--output 'wine.csv' is also DATA; name another file",
    f"{TRAIN} -o hard --force": "--output 'hard' is also DATA; name another file",
    f"{TRAIN} -o m --checkpoint m": "--output 'm' is also --checkpoint; name another file",
    "train pipe.csv --target a -o m": "'pipe.csv' is a pipe; give a file",
    "show pipe.csv": "'pipe.csv' is a pipe; give a file",
    "show /dev/zero": "'/dev/zero' is a device; give a file",
    "show - <&-": "stdin is closed, and '-' reads it; give a file",
    f"{TRAIN} -o - >&-": "stdout is closed, and '-' writes to it; give a file",
    "matrix --json wine.csv": "'wine.csv' is there already; give --force to replace it",
}


@pytest.mark.parametrize("line", WRONG)
def test_one_line_before_any_work(tmp_path, line):
    (tmp_path / "wine.csv").write_bytes(TABLE.read_bytes())
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("wine.csv")
    (tmp_path / "hard").hardlink_to(tmp_path / "wine.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    before = sorted(tmp_path.iterdir())
    run = subprocess.run(
        f"{sys.executable} -m neuron_xp {line}", shell=True, cwd=tmp_path, text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert WRONG[line] in run.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "wine.csv").read_bytes() == TABLE.read_bytes()
