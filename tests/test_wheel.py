"""What is published: the wheel, alone in a fresh environment without any extra."""

import os
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import neuron_xp

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "ci" / "constraints.txt"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


def output(*command, folder):
    """Run it where the sources cannot be imported."""
    environment = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-q"]
    output(*pip, "--no-deps", "-w", folder, ROOT, folder=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_everything_that_is_read_at_run_time_is_in_it(wheel):
    assert wheel.name == f"neuron_xp-{neuron_xp.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "py.typed",
        *(
            f"backends/cuda_kernels/{source}"
            for source in ("arithmetic.cuh", "sums.cuh", "problem.cuh", "block.cuh", "training.cu")
        ),
        "workflows/published_fingerprints.json",
        "example_data/breast_cancer.csv",
        "example_data/wine.csv",
    ):
        assert f"neuron_xp/{name}" in names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "neuron_xp").rglob("*.py")}
    assert modules <= names
    assert {name.partition("/")[0] for name in names} == {
        "neuron_xp", f"neuron_xp-{neuron_xp.__version__}.dist-info",
    }  # fmt: skip


def test_its_page_has_links_and_keywords(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith("METADATA")]
        metadata = Parser().parsestr(file.read(name).decode())
    assert "reproducibility" in metadata["Keywords"].split(",")
    links = dict(link.split(", ") for link in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(links)
    assert "](neuron_xp/" not in metadata.get_payload()  # such links do not work there


def test_it_runs_alone(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    output(*pip, "-c", CONSTRAINTS, wheel, folder=tmp_path)
    assert "fingerprint 47c54196df6a" in output(programs / "neuron-xp", "demo", folder=tmp_path)
    output(programs / "neuron-xp", "example", "wine", folder=tmp_path)
    words = ["train", "wine.csv", "--target", "cultivar", "-o", "wine.safetensors"]
    assert "converged" in output(programs / "neuron-xp", *words, folder=tmp_path)
    matrix = output(programs / "neuron-xp", "matrix", folder=tmp_path)
    assert matrix.count("\nnumpy ") == 2  # native and reproducible: no kernels, no other library
