"""Five newcomers and what they have: pandas, polars, a notebook, PyTorch, a model to audit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neuron_xp

TABLE = Path(__file__).parent.parent / "examples" / "data" / "breast_cancer.csv"


def test_a_user_of_pandas(tmp_path):
    pd = pytest.importorskip("pandas")
    from sklearn.model_selection import cross_val_score

    table = pd.read_csv(TABLE)
    X, y = table.drop(columns="diagnosis"), table["diagnosis"]
    model = neuron_xp.NeuronClassifier()
    assert cross_val_score(model, X, y, cv=5).mean() > 0.97
    model.fit(X, y)
    assert list(model.classes_) == ["benign", "malignant"]
    assert pd.Series(model.coef_[0], model.feature_names_in_).abs().idxmax() in X.columns
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])


def test_a_user_of_polars(tmp_path):
    pl = pytest.importorskip("polars")
    table = pl.read_csv(TABLE)
    inputs, answers = table.drop("diagnosis"), table["diagnosis"] == "malignant"
    network = neuron_xp.train(
        inputs, answers, optimizer="lbfgs", standardize=True, bias=True, l2=1.0
    )
    assert network.feature_names == tuple(inputs.columns)
    assert ((network.think(inputs)[:, 0] > 0.5) == answers.to_numpy()).mean() > 0.98
    network.save(tmp_path / "model.safetensors")
    again = neuron_xp.NeuralNetwork.load(tmp_path / "model.safetensors", backend="numpy")
    assert again.think(inputs.head(3)).tobytes() == network.think(inputs.head(3)).tobytes()


def test_a_teacher_in_a_notebook():
    pytest.importorskip("matplotlib").use("Agg")
    from neuron_xp import plots

    path = []
    neuron = neuron_xp.train(
        on_progress=lambda progress: path.append(progress.weights[0][:, 0]), progress_every=1000
    )
    assert np.asarray(path).shape == (10, 3)
    assert plots.loss(neuron).get_xlabel() == "iterations"
    assert plots.weights(neuron).patches[0].get_width() > 9
    assert "47c54196df6a" in neuron._repr_html_()


def test_a_user_of_pytorch():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    targets = (inputs[:, 0] > 0).to(torch.float64)
    network = neuron_xp.train(inputs, targets, optimizer="lbfgs", bias=True, l2=0.1)
    assert isinstance(network.weights[0], torch.Tensor)
    module = network.to_torch()
    with torch.no_grad():
        assert (module(inputs) - network.think(inputs)).abs().max() < 1e-14
    on_numpy = neuron_xp.train(
        inputs.numpy(), targets.numpy(), optimizer="lbfgs", bias=True, l2=0.1
    )
    assert on_numpy.fingerprint() == network.fingerprint()


def test_an_auditor(tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "neuron_xp", *words], cwd=tmp_path, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    assert run("example", "wine").returncode == 0
    model = ["wine.safetensors", "wine.csv"]
    words = ["--target", "cultivar", "--holdout", "0.2", "-o"]
    assert run("train", model[1], *words, model[0]).returncode == 0
    assert "contract            1\n" in run("show", model[0]).stdout
    for backend in ("numpy", "array_api_strict"):
        found = run("verify", *model, "--backend", backend, "--json", f"{backend}.json")
        assert found.returncode == 0, found.stderr
        assert found.stdout.endswith("the same bits\n")
    lines = (tmp_path / "wine.csv").read_text("utf-8").splitlines()
    lines[5] = lines[5].replace(".", "1.", 1)
    (tmp_path / "wine.csv").write_text("\n".join(lines), encoding="utf-8")
    other = run("verify", *model)
    assert other.returncode == 1
    assert "OTHER than those it was trained on" in other.stdout
