"""ONNX: a network as a graph that other programs run, by the library onnx (the extra `onnx`)."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from neuron_xp.model.fingerprint import fingerprint_arrays
from neuron_xp.model.model_file import Model
from neuron_xp.neuron.reproducible.elementary import CONTRACT_VERSION

OPSET, IR_VERSION = 17, 8
"""Of 2022: what is needed is older still, and every runtime of today reads them."""


def make_onnx(
    model: Model, *, classes: Iterable[Any] | None, feature_names: Iterable[Any] | None
) -> bytes:
    """Return the content of an ONNX file: inputs (N, features) -> outputs (N, neurons).

    The graph standardizes, multiplies and adds as the network does; in which order a sum is
    taken is the runtime's choice, and so are its exp and its Sigmoid: that of onnxruntime is
    within 4 units of rounding of 1, and 0 for sums below -37 (in float32: -18).
    The metadata are JSON: classes, feature_names, fingerprint and the contract's version.

    classes : two for one neuron; None for those of the table, if there is one

    Raises TypeError or ValueError for names that are not as many as they must be.
    """
    if classes is None and model.table is not None:
        classes = model.table.columns.classes
    features, neurons = model.weights[0].shape[0], model.weights[-1].shape[1]
    names = {
        "classes": _check_names("classes", classes, max(neurons, 2)),
        "feature_names": _check_names("feature_names", feature_names, features),
    }
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ImportError("onnx is not installed; type: pip install 'neuron-xp[onnx]'") from error
    constants, nodes = _lay_out(model)
    kind = helper.np_dtype_to_tensor_dtype(model.weights[0].dtype)
    graph = helper.make_graph(
        [helper.make_node(name, given, [made]) for name, given, made in nodes],
        "neuron_xp",
        [helper.make_tensor_value_info("inputs", kind, ["N", features])],
        [helper.make_tensor_value_info("outputs", kind, ["N", neurons])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = helper.make_model(
        graph,
        producer_name="neuron_xp",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(proto, _describe(model, names))
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _lay_out(model: Model) -> tuple[dict[str, np.ndarray], list[tuple[str, list[str], str]]]:
    """Return the constants by name, and (operation, what it takes, what it makes) in order."""
    constants: dict[str, np.ndarray] = {}
    nodes: list[tuple[str, list[str], str]] = []
    value = "inputs"
    if model.scaling is not None:
        constants["mean"], constants["inverse_scale"] = model.scaling
        nodes += [("Sub", ["inputs", "mean"], "centred"),
                  ("Mul", ["centred", "inverse_scale"], "standardized")]  # fmt: skip
        value = "standardized"
    last = len(model.weights) - 1
    for layer, weights in enumerate(model.weights):
        constants[f"weights.{layer}"] = weights
        nodes.append(("MatMul", [value, f"weights.{layer}"], f"products.{layer}"))
        value = f"products.{layer}"
        if model.biases:
            constants[f"biases.{layer}"] = model.biases[layer]
            nodes.append(("Add", [value, f"biases.{layer}"], f"sums.{layer}"))
            value = f"sums.{layer}"
        is_softmax = layer == last and model.settings.rule == "softmax_cross_entropy"
        made = "outputs" if layer == last else f"outputs.{layer}"
        nodes.append(("Softmax" if is_softmax else "Sigmoid", [value], made))
        value = made
    return {name: np.ascontiguousarray(x) for name, x in constants.items()}, nodes


def _check_names(what: str, names: Iterable[Any] | None, count: int) -> list[str] | None:
    """Return the names as strings, if they are known; raise unless there are so many."""
    if names is None:
        return None
    if isinstance(names, str):
        raise TypeError(f"{what} must be a list of names; got {names!r}: give {what}=[{names!r}]")
    found = list(map(str, names))
    if len(found) != count:
        raise ValueError(f"{what} must be {count} names for this network; got {len(found)}")
    return found


def _describe(model: Model, names: dict[str, list[str] | None]) -> dict[str, str]:
    found: dict[str, Any] = {"contract_version": CONTRACT_VERSION, "rule": model.settings.rule}
    found["fingerprint"] = fingerprint_arrays(model.name_learned())
    found |= {what: known for what, known in names.items() if known is not None}
    return {name: json.dumps(value) for name, value in sorted(found.items())}
