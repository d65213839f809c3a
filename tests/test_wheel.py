"""What is published: the wheel in a fresh environment, alone, and with the extra cuda13."""

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
        "backends/cuda_kernels/training.cu",
        "workflows/published_fingerprints.json",
        "example_data/breast_cancer.csv",
        "example_data/wine.csv",
    ):
        assert f"neuron_xp/{name}" in names
    package = ROOT / "neuron_xp"
    sources = {
        path.relative_to(ROOT).as_posix()
        for ending in ("py", "cu", "cuh")
        for path in package.rglob(f"*.{ending}")
    }
    assert sources <= names
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


def install(wheel, folder):
    """Return the folder of a fresh environment's programs."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    output(*pip, "-c", CONSTRAINTS, wheel, folder=folder)
    return programs


def test_it_runs_alone(wheel, tmp_path):
    programs = install(wheel, tmp_path)
    assert "fingerprint 47c54196df6a" in output(programs / "neuron-xp", "demo", folder=tmp_path)
    output(programs / "neuron-xp", "example", "wine", folder=tmp_path)
    words = ["train", "wine.csv", "--target", "cultivar", "-o", "wine.safetensors"]
    assert "converged" in output(programs / "neuron-xp", *words, folder=tmp_path)
    matrix = output(programs / "neuron-xp", "matrix", folder=tmp_path)
    assert matrix.count("\nnumpy ") == 2  # native and reproducible: no kernels, no other library


# A kernel as CuPy writes them, by CuPy's own way to a program for an H100. Two steps are left out
# that need a GPU: to ask which it is, and to load the program. What is found outside of the
# environment, as in a toolkit that this machine happens to have, is not of the extra.
COMPILE_A_KERNEL = """
import sys
from cupy._core import core
from cupy.cuda import compiler

options = core.assemble_cupy_compiler_options(())
folders = [option[2:] for option in options if option.startswith("-I")]
assert all(folder.startswith(sys.prefix) for folder in folders), folders

class Program(compiler.function.Module):
    def load(self, code):
        print("a program" if code[:4] == b"\\x7fELF" else code)

compiler.function.Module = Program
compiler._get_arch_for_options_for_nvrtc = lambda arch: ("-arch=sm_90", "cubin")
core.compile_with_cache('''
extern "C" __global__ void round_all(CArray<double, 1, true, true> x, CIndexer<1, true> _ind) {
    CUPY_FOR(i, _ind.size()) { _ind.set(i); x[_ind.get()] = rint(x[_ind.get()]); }
}
''', arch="90")
"""
OPEN_LIBRARIES = """
import sys
from cuda.pathfinder import load_nvidia_dynamic_lib
from cupy_backends.cuda.libs import cublas  # as a product of matrices does

for name in ("nvrtc", "cublas"):
    print(name, load_nvidia_dynamic_lib(name).abs_path.startswith(sys.prefix))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only pip brings CUDA's libraries")
def test_an_extra_brings_all_that_is_compiled_with_on_a_gpu(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))  # else what is known there is not compiled
    python = install(f"{wheel}[cuda13]", tmp_path) / "python"
    assert output(python, "-c", COMPILE_A_KERNEL, folder=tmp_path) == "a program\n"
    assert output(python, "-c", OPEN_LIBRARIES, folder=tmp_path) == "nvrtc True\ncublas True\n"
