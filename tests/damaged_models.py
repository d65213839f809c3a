"""Real model files, and mutations of them: of bytes, of the header, and rightly signed ones."""

import copy
import json
import math
import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
from mutations import mutate_bytes

import neuron_xp
from neuron_xp.model import model_file as model_files

OLD = Path(__file__).parent / "data" / "before_rooms"
FULL = {"hidden": (2,), "bias": True, "standardize": True, "iterations": 9, "loss_every": 4}
CHECKPOINTS = {
    "plain": {"iterations": 9, "loss_every": 4},
    "lbfgs": {**FULL, "optimizer": "lbfgs", "l2": 0.1, "iterations": 20},
    "adam": {**FULL, "optimizer": "adam", "batch_size": 64, "shuffle": "rows"},
    "single": {**FULL, "optimizer": "adam", "arithmetic": "native"},
}
TABLE = "grams,kind,price,weight,colour\n" + "".join(
    f"{i % 7}.5,{'abc'[i % 3]},{i},{i % 4},{'red' if i % 5 else 'blue'}\n" for i in range(90)
)


def examples(name):
    inputs = np.random.RandomState(3).random_sample((80, 2))
    inputs = inputs.astype("float32") if name == "single" else inputs
    return inputs, (inputs.sum(axis=1) > 1).astype("float64")


@cache
def real_files():
    """The bytes of model files of every kind, by name; checkpoints are those of `examples`."""
    found = {path.stem: path.read_bytes() for path in sorted(OLD.glob("*.safetensors"))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_text(TABLE)
        for name, settings in CHECKPOINTS.items():
            checkpoint = Path(folder, name)
            neuron_xp.train(*examples(name), **settings, checkpoint=checkpoint)
            found[name] = checkpoint.read_bytes()
        tables = {
            "numbers": {"target": "kind", "features": ["grams", "price"], "holdout": 0.2},
            "words": {"target": "colour", "categories": ["kind"], "class_weights": {"red": 2.0}},
            "weighted": {"target": "colour", "features": ["price"], "weights": "weight",
                         "class_weights": "balanced", "holdout": 0.1},
        }  # fmt: skip
        for name, given in tables.items():
            trained = neuron_xp.train_on_table(path, **given, iterations=9)
            found[name] = trained.network.to_bytes()
        path.write_text(TABLE.partition("\n")[2])
        bare = neuron_xp.train_on_table(
            path, target=4, features=["0", "2"], header=False, iterations=9
        )
        found["bare"] = bare.network.to_bytes()
        archive = Path(folder, "table.npz")
        np.savez(archive, inputs=examples("plain")[0], targets=np.full((80, 3), 0.25))
        found["archive"] = neuron_xp.train_on_table(archive, iterations=9).network.to_bytes()
    return found


def split(content):
    """Header of safetensors, this project's fields in it, and the arrays."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    fields = json.loads(header["__metadata__"]["neuron_xp"])
    return header, fields, safetensors.numpy.load(content)


def mutate(chance):
    """(name of the real file, mutated content)."""
    files = real_files()
    name = chance.choice(sorted(files))
    content, kind = files[name], chance.random()
    if kind < 0.2:
        return name, mutate_bytes(content, chance, files[chance.choice(sorted(files))])
    if kind < 0.3:
        return name, _mutate_header(content, chance)
    return name, _sign_mutated(content, chance)


def _mutate_header(content, chance):
    """Other names, shapes, types and offsets, with nothing signed again."""
    header, _, _ = split(content)
    (size,) = struct.unpack("<Q", content[:8])
    _mutate_tree(header, chance)
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def _sign_mutated(content, chance):
    """Other fields or arrays, with the digest that is theirs."""
    _, fields, arrays = split(content)
    try:
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            if chance.random() < 0.75:
                _mutate_tree(fields, chance)
            else:
                _mutate_arrays(arrays, chance)
        return sign(fields, {name: np.asarray(array) for name, array in arrays.items()})
    except (ValueError, RecursionError):  # NaN in JSON, or lists too deep to be written
        return safetensors.numpy.save({}, metadata={"neuron_xp": "[" * chance.randrange(9000)})


def sign(fields, arrays):
    """The bytes of a file with these fields and arrays, and the digest that is theirs."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    fields["sha256"] = model_files._digest(
        {k: v for k, v in fields.items() if k != "sha256"}, arrays
    )
    return safetensors.numpy.save(arrays, metadata={"neuron_xp": model_files._canonical(fields)})


def _deep(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


VALUES = (
    None, True, False, 0, -1, 1, 2, 3, 64, 2**31, 2**53, 2**63, 10**40, 10**400, 0.5, 1.5, -0.0,
    1e308, 1e-320, math.inf, math.nan, "", "a", "red", "kind", "x" * 1000, "y" * 100_000,
    "\x1b[31mred\n", "\ud800", "=1+1", "0x1p99999", "nan", "inf", "-inf", "0x1.0p+0", "balanced",
    "auto", "lbfgs", "adam", "weighted", "rows", "softmax_cross_entropy", "native", "0" * 64, "0"
    * 16, "0" * 8, "\t", "\n", '"', [], {}, [[]], [1, 2], ["a"], ["a", "b"], ["a", "b", "c"],
    [["a", ["b"]]], [["red", 2.0]], {"a": 1}, _deep(50), _deep(400),
)  # fmt: skip


def _mutate_tree(tree, chance):
    """Change one place of a tree of dictionaries and lists."""
    nodes, at = [], [tree]
    while at:
        node = at.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            nodes.append((node, key))
            if isinstance(value, dict | list) and len(value) < 1000:
                at.append(value)
    if not nodes:
        return
    node, key = chance.choice(nodes)
    value, kind = node[key], chance.randrange(8)
    if kind < 4:
        node[key] = copy.deepcopy(chance.choice(VALUES))
    elif kind == 4 and isinstance(value, int | float | str | list):
        node[key] = _change(value, chance)
    elif kind == 5:
        del node[key]
    elif kind == 6 and isinstance(node, dict):
        other = chance.choice(("x", "\x1b]0;x\x07", "evaluations", "rows", "memory.mean", key * 2))
        node[other] = copy.deepcopy(chance.choice((value, *VALUES)))
    else:
        node[key] = copy.deepcopy(chance.choice([other[at] for other, at in nodes]))


def _change(value, chance):
    """A value that is near to this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice(
            (value + 1, value - 1, -value, 2 * value, 10 * value, float(value % 2**60))
        )
    if isinstance(value, float):
        return chance.choice((value * 2, -value, value / 2, value * 1e300, value + 1.0))
    if isinstance(value, list):
        return chance.choice((value + value[:1], value[1:], value[::-1], value * 2))
    return chance.choice(
        (value.upper(), value[1:], value + "0", value[::-1], value.replace("0", "f"))
    )


def _mutate_arrays(arrays, chance):
    """Change one array: its values, its shape, its type, its name; or drop it, or add one."""
    name = chance.choice(sorted(arrays) or [""])
    array, kind = arrays.get(name, np.zeros(3)), chance.randrange(8)
    if kind == 0:
        arrays.pop(name, None)
    elif kind == 1:
        other = chance.choice(("weights.2", "memory.mean", "memory.square", "x", name + "\x1b[0m"))
        arrays[other] = arrays.pop(name) if chance.random() < 0.5 and arrays else array.copy()
    elif kind == 2:
        types = ("float32", "float16", "int64", "uint8", "bool", "float64")
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(chance.choice(types))
    elif kind == 3:
        shapes = ((0,), (0, 3), (1, 1), (3,), (2, 1), (2, 2), (1, 2**40, 0), (1,) * 20, ())
        arrays[name] = np.zeros(chance.choice(shapes))
    elif kind == 4:
        arrays[name] = array.reshape(chance.choice(((-1,), (1, -1), (-1, 1), (*array.shape, 1))))
    elif kind == 5 and array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            arrays[name] = array * array.dtype.type(chance.choice((0.0, -1.0, 1e30, 1e300, 1e-300)))
    elif array.size and array.dtype.kind == "f":
        array = array.copy()
        with np.errstate(all="ignore"):
            array.flat[chance.randrange(array.size)] = chance.choice(
                (np.nan, np.inf, -0.0, 1e308, -1e308, 5e-324, 0.0, 7.0)
            )
        arrays[name] = array
