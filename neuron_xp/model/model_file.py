"""Model files: a trained network, its settings and its origin, as safetensors.

One self-contained file whose bytes are the same from every backend and every save: it holds
no backend, device, thread count, library version, time or path. The arrays are safetensors;
everything else is canonical JSON under one metadata key, as the format leaves the order of
several open. A file that this version would not write byte for byte is refused.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from neuron_xp.errors import ModelFileError, one_line
from neuron_xp.model.fingerprint import fingerprint_arrays
from neuron_xp.model.position import Position, check_memory
from neuron_xp.model.settings import WEIGHTED, Settings, check_settings
from neuron_xp.model.table_use import TableUse
from neuron_xp.neuron.reproducible.elementary import CONTRACT_VERSION

FORMAT_VERSION = 3
FIRST_SETTINGS = {"optimizer": "gradient_descent", "gradient_tolerance": None}
"""What the settings of format 1 leave unsaid; it is written wherever it can say all."""
MEMORY = "memory."
"""Begins the names of the arrays that an optimizer goes on from."""
KEY = "neuron_xp"
FIELDS = {
    "format_version",
    "contract_version",
    "settings",
    "data_fingerprint",
    "position",
    "table",
    "sha256",
}
LATER_FIELDS = {"feature_names"}
"""What a file of the last format may say, and leaves out where it has nothing to say."""
MALFORMED = (
    SafetensorError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""Whatever is raised on the way through a file that holds anything."""


@dataclass(frozen=True, eq=False)
class Model:
    """Content of a model file, as NumPy arrays and plain values.

    scaling : (mean, inverse_scale), or None
    data_fingerprint : of the data that it was trained on, if that is known
    position, memory : of a checkpoint; the arrays that its optimizer goes on from, by name
    table : how it came from a table, if it did
    feature_names : of its inputs, if they had names
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    scaling: tuple[np.ndarray, np.ndarray] | None
    settings: Settings
    data_fingerprint: str | None = None
    position: Position | None = None
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    table: TableUse | None = None
    feature_names: tuple[str, ...] | None = None

    def name_learned(self) -> list[tuple[str, np.ndarray]]:
        """Return what was learned as (name, array) pairs, in the order of the fingerprint."""
        named = [(f"weights.{i}", array) for i, array in enumerate(self.weights)]
        named += [(f"biases.{i}", array) for i, array in enumerate(self.biases)]
        if self.scaling is not None:
            named += zip(("mean", "inverse_scale"), self.scaling, strict=True)
        return named


def to_bytes(model: Model) -> bytes:
    """Return the content of a model file."""
    arrays = {
        name: np.ascontiguousarray(array + 0.0) for name, array in _name_arrays(model).items()
    }
    fields: dict[str, Any] = {
        "format_version": choose_format(model),
        "contract_version": CONTRACT_VERSION,
        "settings": _settings_to_json(model.settings),
        "data_fingerprint": model.data_fingerprint,
        "position": None if model.position is None else model.position.to_json(),
        "table": None if model.table is None else model.table.to_json(),
    }
    if model.feature_names is not None:
        fields["feature_names"] = list(model.feature_names)
    fields["sha256"] = _digest(fields, arrays)
    return save(arrays, metadata={KEY: _canonical(fields)})


def from_bytes(data: bytes, source: str) -> Model:
    """Return the model that the content of the file `source` holds; raise ModelFileError."""
    try:
        with np.errstate(invalid="ignore"):  # of a signalling NaN
            arrays = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            fields = json.loads(header["__metadata__"][KEY])
            model = _read_model(fields, arrays)
            written = to_bytes(model)
    except ModelFileError as error:
        raise ModelFileError(f"{source}: {error}") from None
    except MALFORMED as error:
        raise ModelFileError(
            f"{source} is not a model file, or is damaged ({one_line(error)[:60]}); give a file "
            "that neuron_xp has saved"
        ) from error
    if written != data:
        raise ModelFileError(f"{source} is damaged, or was not written by neuron_xp")
    return model


def _read_model(fields: Any, arrays: dict[str, np.ndarray]) -> Model:
    versions = fields["format_version"], fields["contract_version"]
    for name, found, known in zip(
        ("format", "contract"), versions, (FORMAT_VERSION, CONTRACT_VERSION), strict=True
    ):
        if type(found) is int and found > known:
            raise ModelFileError(
                f"{name} version {found} is newer than this program's, {known}: update neuron_xp"
            )
    formats = range(1, FORMAT_VERSION + 1)
    optional = LATER_FIELDS if versions[0] == FORMAT_VERSION else set[str]()
    if (
        versions[0] not in formats
        or versions[1] != CONTRACT_VERSION
        or set(fields) - optional != FIELDS
    ):
        raise ModelFileError("unknown or missing fields")
    if fields["sha256"] != _digest({k: v for k, v in fields.items() if k != "sha256"}, arrays):
        raise ModelFileError("its SHA-256 does not match its content: it is damaged")
    settings = set(asdict(Settings()))
    if set(fields["settings"]) not in (settings, settings - set(FIRST_SETTINGS)):
        raise ModelFileError("unknown or missing settings")
    model = _assemble_model(arrays, check_settings(**fields["settings"]))
    _check_arrays(model)
    digest = fields["data_fingerprint"]
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise ModelFileError("a data fingerprint that is none")
    position = None if fields["position"] is None else Position.from_json(fields["position"])
    table = None if fields["table"] is None else TableUse.from_json(fields["table"])
    names = _read_names(fields.get("feature_names"), len(model.weights[0]))
    model = replace(
        model, data_fingerprint=digest, position=position, table=table, feature_names=names
    )
    _check_records(model)
    return model


def _check_records(model: Model) -> None:
    """Raise ModelFileError for what does not go with the weights."""
    outputs = model.weights[-1].shape[1]
    if model.settings.rule == "softmax_cross_entropy" and outputs < 2:
        raise ModelFileError("a softmax of one output")
    if model.position is not None:
        model.position.check(model.settings)
    size = sum(array.size for array in (*model.weights, *model.biases))
    check_memory(model.memory, model.position, model.settings, size, model.weights[0].dtype)
    if model.table is not None:
        model.table.check(len(model.weights[0]), outputs)


def _read_names(found: Any, features: int) -> tuple[str, ...] | None:
    if found is None:
        return None
    if len(found) != features or not all(isinstance(name, str) for name in found):
        raise ModelFileError("feature names that are not those of its weights")
    return tuple(found)


def _assemble_model(arrays: dict[str, np.ndarray], settings: Settings) -> Model:
    layers = range(len(settings.hidden) + 1)
    model = Model(
        weights=tuple(arrays[f"weights.{i}"] for i in layers),
        biases=tuple(arrays[f"biases.{i}"] for i in layers) if settings.bias else (),
        scaling=(arrays["mean"], arrays["inverse_scale"]) if settings.standardize else None,
        settings=settings,
        memory={
            name.removeprefix(MEMORY): array
            for name, array in arrays.items()
            if name.startswith(MEMORY)
        },
    )
    if set(_name_arrays(model)) != set(arrays):
        raise ModelFileError("arrays that its settings do not account for")
    return model


def _check_arrays(model: Model) -> None:
    arrays = [array for _, array in model.name_learned()]
    kinds, allowed = {array.dtype.name for array in arrays}, [{"float64"}]
    if model.settings.arithmetic == "native":
        allowed.append({"float32"})
    if kinds not in allowed:
        raise ModelFileError(f"arrays of {', '.join(sorted(kinds))}, and not of float64")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelFileError("weights that are NaN or infinite")
    if any(weights.ndim != 2 or 0 in weights.shape for weights in model.weights):
        raise ModelFileError("weights that are no tables")
    sizes = [model.weights[0].shape[0], *(weights.shape[1] for weights in model.weights)]
    fits = (
        all(a.shape[1] == b.shape[0] for a, b in pairwise(model.weights))
        and tuple(sizes[1:-1]) == model.settings.hidden
        and all(bias.shape == (n,) for bias, n in zip(model.biases, sizes[1:], strict=False))
        and all(array.shape == (sizes[0],) for array in model.scaling or ())
    )
    if not fits:
        raise ModelFileError("arrays whose shapes do not fit together")


def _name_arrays(model: Model) -> dict[str, np.ndarray]:
    return dict(model.name_learned()) | {
        MEMORY + name: array for name, array in model.memory.items()
    }


def choose_format(model: Model) -> int:
    """Return the oldest format that can say the model: equal models stay equal files."""
    says_more = model.table is not None and model.table.needs_later_format()
    if says_more or model.feature_names is not None or model.settings.standardize == WEIGHTED:
        return 3
    return 1 if _is_of_first_format(model.settings) else 2


def _is_of_first_format(settings: Settings) -> bool:
    return settings.rule != "softmax_cross_entropy" and all(
        getattr(settings, name) == value for name, value in FIRST_SETTINGS.items()
    )


def _settings_to_json(settings: Settings) -> dict[str, Any]:
    unsaid = FIRST_SETTINGS if _is_of_first_format(settings) else {}
    named = asdict(settings).items()
    # as JSON has it: a tuple is a list
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in named
        if name not in unsaid
    }


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(fields: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    content = _canonical(fields) + fingerprint_arrays(sorted(arrays.items()))
    return sha256(content.encode()).hexdigest()
