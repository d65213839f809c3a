"""--plot of train and evaluate: real files, and a line for what cannot be drawn."""

import subprocess
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"


def run(*words, folder):
    return subprocess.run(
        [sys.executable, "-m", "neuron_xp", *map(str, words)], cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    command = [
        "train",
        TABLE,
        "--target",
        "cultivar",
        "-o",
        "wine.safetensors",
        "--plot",
        "loss.png",
    ]
    found = run(*command, folder=folder)
    assert (found.returncode, found.stderr) == (0, "")
    return folder


def test_pictures_are_written(trained):
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    words = ["evaluate", "wine.safetensors", TABLE, "--plot", "confusion.svg"]
    assert run(*words, folder=trained).returncode == 0
    assert "<svg" in (trained / "confusion.svg").read_text("utf-8")
    again = run(*words, folder=trained)
    assert again.returncode == 2
    assert "'confusion.svg' is there already; give --force to replace it" in again.stderr
    assert run(*words, "--force", folder=trained).returncode == 0


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("loss.gif", "--plot writes .png, .svg, .pdf, by the name's ending; got 'loss.gif'"),
        ("loss", "--plot writes .png, .svg, .pdf"),
        ("nowhere/loss.png", "there is no folder 'nowhere' to write in"),
        ("./model.png", "--plot 'model.png' is also --output; name another file"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_training(tmp_path, picture, message):
    command = ["train", TABLE, "--target", "cultivar", "-o", "model.png", "--plot", picture]
    found = run(*command, folder=tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith(f"neuron-xp: {message}")
    assert found.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(tmp_path):
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from neuron_xp.cli.app import main\n"
        f"words = ['train', {str(TABLE)!r}, '--target', 'cultivar', '-o', 'm', '--plot', 'a.png']\n"
        "sys.exit(main(words))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "neuron_xp.plots needs matplotlib, which is not installed; type: pip install" in (
        found.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_pictures_need_no_backend_of_pyplot(tmp_path, monkeypatch):
    """A notebook tells the commands that it starts of a backend that they may not have."""
    monkeypatch.setenv("MPLBACKEND", "module://nowhere.inline")
    words = ["train", TABLE, "--target", "cultivar", "-o", "m", "--plot", "loss.png"]
    assert run(*words, folder=tmp_path).returncode == 0
    words = ["evaluate", "m", TABLE, "--plot", "confusion.png"]
    assert run(*words, folder=tmp_path).returncode == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["confusion.png", "loss.png", "m"]


def test_numbers_have_no_confusion(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{i / 40}\n" for i in range(40)))
    assert run("train", "t.csv", "--target", "y", "-o", "m", folder=tmp_path).returncode == 0
    found = run("evaluate", "m", "t.csv", "--plot", "a.png", folder=tmp_path)
    assert found.returncode == 2
    assert "--plot draws which classes are confused, and these targets are none" in found.stderr
