"""The lesson: a notebook without outputs, whose every cell runs."""

import json
import re
import sys
from pathlib import Path

import pytest

LESSON = Path(__file__).parent.parent / "examples" / "lesson.ipynb"


def test_no_outputs_are_kept():
    lesson = json.loads(LESSON.read_text("utf-8"))
    assert set(lesson["metadata"]) == {"kernelspec", "language_info"}
    assert lesson["metadata"]["language_info"] == {"name": "python"}
    codes = [cell for cell in lesson["cells"] if cell["cell_type"] == "code"]
    assert len(codes) > 10
    for cell in codes:
        assert (cell["outputs"], cell["execution_count"], cell["metadata"]) == ([], None, {})


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook's machinery
def test_every_cell_runs(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    kernel = tmp_path / "kernels" / "python3"  # this Python, whatever kernels the machine has
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    lesson = nbformat.read(LESSON, as_version=4)
    nbclient.NotebookClient(
        lesson, timeout=300, resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [out for cell in lesson.cells for out in cell.get("outputs", [])]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) == 6
    texts = "".join(
        out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in outputs
    )
    assert "47c54196df6a" in texts  # the article's fingerprint
    ours = re.findall(r"neuron_xp (\S+ \w{12})", texts)
    assert (len(ours), len(set(ours))) == (3, 1)  # three kinds of processor, one result
    tables = [out["data"]["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert len(tables) == 2
    assert "2-4-1" in tables[1]
