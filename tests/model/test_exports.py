"""Networks in other programs: ONNX by onnxruntime, a module of PyTorch, plain safetensors.

Their sums are taken in another order and their exp is another, so that outputs are held to a bound
that follows from the weights and inputs: see `bound`.
"""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuron_xp
from neuron_xp.neuron.losses import RULES

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"
SIGMOID_ULP = 8  # ours is within 3; that of PyTorch is some ulp off, too
RUNTIME_SIGMOID = 4  # onnxruntime's error, in units of rounding of 1: small outputs have it, too
NETWORKS = {
    "one neuron": {},
    "standardized": {"standardize": True, "bias": True},
    "hidden": {"hidden": (7, 5), "bias": True},
    "standardized and hidden": {"hidden": (7,), "standardize": True, "bias": True},
    "softmax": {"rule": "softmax_cross_entropy", "bias": True, "standardize": True},
    "softmax, hidden": {"rule": "softmax_cross_entropy", "hidden": (6,)},
    "wide": {"bias": True},
}


def learn(name, dtype="float64", **more):
    generator = np.random.RandomState(5)
    features = 300 if name == "wide" else 6
    inputs = generator.standard_normal((1000, features)) * 3 + 1
    targets = np.eye(3)[generator.randint(0, 3, 1000)]
    settings = {"optimizer": "lbfgs", "rule": "cross_entropy", "l2": 1.0} | NETWORKS[name]
    inputs = inputs.astype(dtype)
    with neuron_xp.errors.ignore_learning():
        return neuron_xp.train(inputs, targets, iterations=20, **settings, **more), inputs


def bound(network, inputs, rounding=2.0**-53, sigmoid=0.0):
    """How far two evaluations may be apart, element by element.

    A sum of n products, in any order, is within gamma_n sum |w x| of the exact one (Higham,
    "Accuracy and stability of numerical algorithms", 3.1); the sigmoid's slope is at most 1/4,
    and a softmax changes by a factor of at most e^(2 d) where its inputs change by d.

    sigmoid : an error of one of the two sigmoids beside some ulp, in units of rounding
    """
    model = network.to_model()
    x, off = np.asarray(inputs, dtype="float64"), 0.0
    if model.scaling is not None:
        x = (x - model.scaling[0]) * model.scaling[1]
        off = 2.0**-60  # what the network flushes
    rules = RULES[model.settings.rule]
    for layer, weights in enumerate(model.weights):
        n = len(weights) + 1
        gamma = n * rounding / (1 - n * rounding)
        bias = model.biases[layer] if model.biases else 0.0
        size = abs(x) @ abs(weights) + abs(bias)
        off = off * np.ones_like(x) @ abs(weights) + 2 * gamma * size
        z = x @ weights + bias
        if layer == len(model.weights) - 1 and rules.activation.__name__ == "softmax":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            x = e / e.sum(axis=1, keepdims=True)
            factor = np.expm1(2 * off.max(axis=1, keepdims=True))
            off = x * (factor + 2 * rounding * (SIGMOID_ULP + x.shape[1]))
        else:
            x = 1 / (1 + np.exp(-z))
            off = off / 4 + 2 * rounding * SIGMOID_ULP * x + sigmoid * rounding
    return off + 2.0**-900


def run_onnx(path, inputs):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (outputs,) = session.run(["outputs"], {"inputs": inputs})
    return outputs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", [1, 1000])
def test_onnxruntime_says_what_the_network_thinks(tmp_path, name, rows):
    network, inputs = learn(name)
    network.to_onnx(tmp_path / "model.onnx")
    found = run_onnx(tmp_path / "model.onnx", inputs[:rows])
    assert found.dtype == np.float64
    distance = abs(found - network.think(inputs[:rows]))
    assert (distance <= bound(network, inputs[:rows], sigmoid=RUNTIME_SIGMOID)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_single_precision_stays_so(tmp_path, name):
    network, single = learn(name, "float32", arithmetic="native")
    network.to_onnx(tmp_path / "model.onnx")
    found = run_onnx(tmp_path / "model.onnx", single)
    assert found.dtype == network.weights[0].dtype == np.float32
    distance = abs(found - network.think(single))
    assert (distance <= bound(network, single, 2.0**-24, RUNTIME_SIGMOID)).all()


@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 2.0**-53), ("float32", 2.0**-24)])
def test_the_sigmoid_of_the_runtime_is_as_near_as_we_say(tmp_path, dtype, rounding):
    """By one weight of 1; what is below its error may be 0, as the docstring warns."""
    arithmetic = "native" if dtype == "float32" else "reproducible"
    with neuron_xp.errors.ignore_learning():
        network = neuron_xp.train(
            np.ones((2, 1), dtype), [0, 1], iterations=1, arithmetic=arithmetic
        )
    network = replace(network, weights=(np.ones((1, 1), dtype),))
    network.to_onnx(tmp_path / "model.onnx")
    z = np.linspace(-60, 60, 100_001).astype(dtype)[:, None]
    found = run_onnx(tmp_path / "model.onnx", z)
    assert found.dtype == dtype
    exact = 1 / (1 + np.exp(-z.astype("float64")))
    error = abs(found - exact)
    assert (error <= rounding * (RUNTIME_SIGMOID + SIGMOID_ULP * exact)).all()
    assert (network.think(z[:1]) > 0).all()


def test_the_graph_is_described(tmp_path):
    network = neuron_xp.train_on_table(TABLE, target="cultivar").network
    network.to_onnx(tmp_path / "wine.onnx")
    model = onnx.load(tmp_path / "wine.onnx")
    onnx.checker.check_model(model, full_check=True)
    found = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert found == {
        "classes": ["class_0", "class_1", "class_2"],
        "contract_version": 1,
        "feature_names": list(network.input_names),
        "fingerprint": network.fingerprint(),
        "rule": "softmax_cross_entropy",
    }
    assert model.producer_version == ""
    (table,) = [np.loadtxt(TABLE, delimiter=",", skiprows=1, usecols=range(13))]
    said = run_onnx(tmp_path / "wine.onnx", table).argmax(axis=1)
    classes = neuron_xp.predict(network, TABLE).classes
    assert [found["classes"][number] for number in said] == classes


def test_equal_networks_are_equal_files_and_classes_can_be_named(tmp_path):
    network, _ = learn("softmax")
    for name in ("a", "b"):
        network.to_onnx(tmp_path / f"{name}.onnx", classes=["x", "y", "z"])
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert b'["x", "y", "z"]' in (tmp_path / "a.onnx").read_bytes()


def test_names_can_be_given(tmp_path):
    network, path = neuron_xp.train(), tmp_path / "model.onnx"
    network.to_onnx(path)
    assert not {"classes", "feature_names"} & {p.key for p in onnx.load(path).metadata_props}
    network.to_onnx(path, classes=[0, 1], feature_names=np.array(["a", "b", "c"]))
    found = {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}
    assert (found["classes"], found["feature_names"]) == (["0", "1"], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({"classes": "yes"}, TypeError, r"classes must be a list of names; got 'yes': give cl"),
        ({"classes": ["x"]}, ValueError, r"^classes must be 2 names for this network; got 1$"),
        ({"feature_names": ["a", "b"]}, ValueError, r"^feature_names must be 3 names for .* got 2"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, names, error, message):
    with pytest.raises(error, match=message):
        neuron_xp.train().to_onnx(tmp_path / "model.onnx", **names)
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx is not installed; type: pip install 'neuron-xp"):
        neuron_xp.train().to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


# --- PyTorch ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_has_the_weights_and_the_outputs(name):
    torch = pytest.importorskip("torch")
    network, inputs = learn(name)
    module = network.to_torch()
    state = {key: value.numpy() for key, value in module.state_dict().items()}
    weights = [value for key, value in state.items() if key.endswith("weight")]
    for mine, theirs in zip(network.weights, weights, strict=True):
        assert np.ascontiguousarray(theirs.T).tobytes() == mine.tobytes()
    with torch.no_grad():
        found = module(torch.tensor(inputs)).numpy()
    assert (abs(found - network.think(inputs)) <= bound(network, inputs)).all()
    assert module(torch.tensor(inputs[0])).shape == network.think(inputs[0]).shape


def test_a_module_is_saved_whole_and_in_parts_and_exported():
    torch = pytest.importorskip("torch")
    network, inputs = learn("standardized and hidden")
    module, rows = network.to_torch(), torch.tensor(inputs[:9])
    names = ["linear0.weight", "linear0.bias", "linear1.weight", "linear1.bias"]
    assert list(module.state_dict()) == ["standardize.mean", "standardize.inverse_scale", *names]
    torch.save(module, file := io.BytesIO())
    file.seek(0)
    again = torch.load(file, weights_only=False)
    fresh = network.to_torch()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    fresh.load_state_dict(module.state_dict())
    exported = torch.export.export(module, (rows,)).module()
    for other in (again, fresh, exported):
        assert torch.equal(other(rows), module(rows))


def test_a_module_can_be_trained_further():
    torch = pytest.importorskip("torch")
    network, inputs = learn("standardized and hidden")
    module = network.to_torch()
    before = network.weights[0].copy()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss = ((module(torch.tensor(inputs)) - 1.0) ** 2).mean()
    loss.backward()
    optimizer.step()
    assert ((module(torch.tensor(inputs)) - 1.0) ** 2).mean() < loss
    assert network.weights[0].tobytes() == before.tobytes()  # which it does not share


# --- what others read ------------------------------------------------------------------


def test_a_model_file_is_plain_safetensors(tmp_path):
    network, inputs = learn("standardized")
    network.save(tmp_path / "model.safetensors")
    from safetensors.numpy import load_file

    m = load_file(tmp_path / "model.safetensors")
    z = (inputs - m["mean"]) * m["inverse_scale"] @ m["weights.0"] + m["biases.0"]
    outputs = 1 / (1 + np.exp(-z))
    assert (abs(outputs - network.think(inputs)) <= bound(network, inputs)).all()


def test_a_notebook_shows_a_small_table(tmp_path):
    network = neuron_xp.train_on_table(TABLE, target="cultivar").network
    shown = network._repr_html_()
    assert shown.count("<tr>") == 8
    assert network.fingerprint()[:12] + "</td>" in shown
    assert f'title="{network.fingerprint()}"' in shown
    assert "13-3" in shown
    assert "lbfgs, softmax_cross_entropy" in shown


def test_names_of_users_are_no_html():
    import pandas as pd

    frame = pd.DataFrame({"<script>alert(1)</script>": [0.0, 1.0], "b&b": [1.0, 0.0]})
    with neuron_xp.errors.ignore_learning():
        shown = neuron_xp.train(frame, [0, 1], iterations=2)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "b&amp;b" in shown


def test_classes_of_users_are_no_html(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text('a,kind\n0,<script>\n1,"""b"" & c"\n', encoding="utf-8")
    with neuron_xp.errors.ignore_learning():
        shown = neuron_xp.train_on_table(table, target="kind", iterations=2).network._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "&quot;b&quot; &amp; c" in shown
