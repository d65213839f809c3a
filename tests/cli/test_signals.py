"""Signals at any moment end a command without a traceback; so does memory that is not there."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from neuron_xp.checks import check_fits

COMMAND = [sys.executable, "-m", "neuron_xp"]
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("seed", range(10))
def test_a_signal_while_the_command_starts_gives_a_line_or_none(seed):
    draw = random.Random(seed)
    process = subprocess.Popen(
        [*COMMAND, "train", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(draw.random())
    for _ in range(draw.choice([1, 2, 30])):
        process.send_signal(draw.choice(SIGNALS))
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert said.count("\n") <= 1
    assert process.returncode in {-2, -15, 130, 143, 2}  # 2: it had read its options already


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_memory_that_is_not_there_is_a_line(tmp_path):
    table = tmp_path / "words.csv"
    rows = "".join(f"word{i},{i % 2}\n" for i in range(60_000))
    table.write_text("word,target\n" + rows)
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); "
        "from neuron_xp.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "words.csv", "--target", "target", "--categories", "word", "-o", "m.hex"]
    run = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "the memory does not suffice (" in run.stderr
    assert "26.8 GiB" in run.stderr
    assert "--categories" in run.stderr
    assert not (tmp_path / "m.hex").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses what does not fit")
def test_what_would_not_fit_is_refused_with_its_size():
    with pytest.raises(MemoryError, match=r"its classes would take 1,048,576 rows of .*8192.0 GiB"):
        check_fits("table.csv: its classes", (2**20, 2**20))
    check_fits("table.csv: its classes", (2**10, 2**10))
