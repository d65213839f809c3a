"""Networks in other programs: ONNX by onnxruntime, a module of PyTorch, plain safetensors.

Their sums are taken in another order and their exp is another, so that outputs are held to a bound
that follows from the weights and inputs: see `bound`.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import neuron_xp
from neuron_xp.neuron.losses import RULES

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

TABLE = Path(__file__).parents[2] / "examples" / "data" / "wine.csv"
SIGMOID_ULP = 8  # ours is within 3; that of others is some ulp off, too
NETWORKS = {
    "one neuron": {},
    "standardized": {"standardize": True, "bias": True},
    "hidden": {"hidden": (7, 5), "bias": True},
    "standardized and hidden": {"hidden": (7,), "standardize": True, "bias": True},
    "softmax": {"rule": "softmax_cross_entropy", "bias": True, "standardize": True},
    "softmax, hidden": {"rule": "softmax_cross_entropy", "hidden": (6,)},
    "wide": {"bias": True},
}


def learn(name, **more):
    generator = np.random.RandomState(5)
    features = 300 if name == "wide" else 6
    inputs = generator.standard_normal((200, features)) * 3 + 1
    targets = np.eye(3)[generator.randint(0, 3, 200)]
    settings = {"optimizer": "lbfgs", "rule": "cross_entropy", "l2": 1.0} | NETWORKS[name] | more
    with neuron_xp.errors.ignore_learning():
        return neuron_xp.train(inputs, targets, iterations=20, **settings), inputs


def bound(network, inputs, rounding=2.0**-53):
    """How far two evaluations may be apart, element by element.

    A sum of n products, in any order, is within gamma_n sum |w x| of the exact one (Higham,
    "Accuracy and stability of numerical algorithms", 3.1); the sigmoid's slope is at most 1/4,
    and a softmax changes by a factor of at most e^(2 d) where its inputs change by d.
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
            off = off / 4 + 2 * rounding * SIGMOID_ULP * x
    return off + 2.0**-900


def run_onnx(path, inputs):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (outputs,) = session.run(["outputs"], {"inputs": inputs})
    return outputs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", [1, 200])
def test_onnxruntime_says_what_the_network_thinks(tmp_path, name, rows):
    network, inputs = learn(name)
    network.to_onnx(tmp_path / "model.onnx")
    found = run_onnx(tmp_path / "model.onnx", inputs[:rows])
    assert found.dtype == np.float64
    distance = abs(found - network.think(inputs[:rows]))
    assert (distance <= bound(network, inputs[:rows])).all()


@pytest.mark.parametrize("name", ["one neuron", "hidden", "softmax"])
def test_single_precision_stays_so(tmp_path, name):
    network, inputs = learn(name, arithmetic="native")
    single = inputs.astype("float32")
    with neuron_xp.errors.ignore_learning():
        network = neuron_xp.train(
            single, np.eye(3)[np.arange(200) % 3], arithmetic="native", iterations=20,
            optimizer="lbfgs", l2=1.0, **NETWORKS[name],
        )  # fmt: skip
    network.to_onnx(tmp_path / "model.onnx")
    found = run_onnx(tmp_path / "model.onnx", single)
    assert found.dtype == network.weights[0].dtype == np.float32
    assert (abs(found - network.think(single)) <= bound(network, single, 2.0**-24) + 2e-7).all()


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
