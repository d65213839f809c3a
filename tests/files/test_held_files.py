"""Files that are replaced: their mode, their names, who holds them, where else they may go."""

import errno
import os
import subprocess
import sys

import pytest

import neuron_xp
from neuron_xp.files import durable
from neuron_xp.files.durable import check_writable, name_previous, write_durably, write_elsewhere

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes and locks")


def test_mode_and_owner_stay(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    write_durably(path, b"new", keep_previous=True)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid,
    )  # fmt: skip


def test_the_name_is_there_at_every_step(tmp_path, monkeypatch):
    """By links; and where there are none by two renames, for a moment without it."""
    path, seen = tmp_path / "run", []
    write_durably(path, b"1")
    replace = os.replace

    def watch(source, target):
        replace(source, target)
        seen.append(path.exists())

    monkeypatch.setattr(os, "replace", watch)
    write_durably(path, b"2", keep_previous=True)
    assert (path.read_bytes(), name_previous(path).read_bytes(), seen) == (b"2", b"1", [True] * 2)

    def refuse(*names):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_durably(path, b"3", keep_previous=True)
    assert (path.read_bytes(), name_previous(path).read_bytes()) == (b"3", b"2")
    assert seen[2:] == [False, True]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "run.previous"]


def test_a_name_as_long_as_the_system_takes(tmp_path):
    path = tmp_path / ("n" * 250)
    check_writable(path)
    write_durably(path, b"content")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_is_held_is_not_taken_for_a_leftover(tmp_path):
    path = tmp_path / "model"
    with durable.open_durably(path) as write:
        write(b"slow")
        write_durably(path, b"quick")
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"slow"
    left = tmp_path / f".model.{'0' * 16}.tmp"
    left.write_bytes(b"of a killed run")
    write_durably(path, b"next")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


HOLD = """
import sys, neuron_xp
def wait(progress):
    print("held", flush=True)
    sys.stdin.readline()
neuron_xp.train(checkpoint=sys.argv[1], on_progress=wait, iterations=200, progress_every=100)
"""


def start_holder(path):
    """A process that trains, holds the checkpoint, and waits for lines."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_told_who_holds_the_checkpoint(tmp_path):
    path = tmp_path / "run"
    first = start_holder(path)
    with pytest.raises(BlockingIOError, match=f"in use by process {first.pid}; wait"):
        neuron_xp.train(checkpoint=path, resume=True)
    first.communicate("\n\n\n")
    assert first.returncode == 0
    assert neuron_xp.train(checkpoint=path, resume=True, iterations=300).history[-1][0] == 300
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "run.previous"]


def test_a_dead_holder_holds_nothing(tmp_path):
    path = tmp_path / "run"
    first = start_holder(path)
    first.kill()
    first.communicate()
    assert neuron_xp.train(checkpoint=path, resume=True, iterations=100)


def test_what_cannot_be_written_goes_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone" / "model.safetensors"
    found = write_elsewhere(gone, b"content")
    assert found.resolve().parent == tmp_path
    assert found.name.startswith("model-")
    assert found.suffix == ".safetensors"
    assert found.read_bytes() == b"content"


def test_a_folder_that_goes_while_it_trains_loses_no_model(tmp_path):
    """The command says where the model is."""
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    (tmp_path / "out").mkdir()
    program = (
        "import shutil, sys, neuron_xp\n"
        "from neuron_xp.cli.app import main\n"
        "from neuron_xp.workflows import table_training\n"
        "fit = table_training.fit_table\n"
        "def spoil(*given, **more):\n"
        "    found = fit(*given, **more)\n"
        "    shutil.rmtree('out')\n"
        "    return found\n"
        "table_training.fit_table = spoil\n"
        "sys.exit(main(['train', 'table.csv', '--target', 'b', '-o', 'out/model']))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (model,) = tmp_path.glob("model-*")
    assert model.name in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert neuron_xp.NeuralNetwork.load(model)
