"""Examples and settings on which data in parts are held to data in memory."""

import numpy as np

ROWS, FEATURES = 1500, 7
RATE = {"learning_rate": 1e-3, "iterations": 12, "loss_every": 5}
SETTINGS = [
    {},
    {"bias": True, "standardize": True, "learning_rate": "auto"},
    {"hidden": (5,), "l2": 0.01, "rule": "cross_entropy"},
    {"hidden": (4, 3), "bias": True, "batch_size": 256, "shuffle": "leaves"},
    {"batch_size": 128},
    {"tolerance": 0.01, "loss_every": 1, "rule": "cross_entropy"},
    {"optimizer": "lbfgs", "learning_rate": None, "hidden": (3,), "bias": True, "l2": 0.1},
    {"optimizer": "adam", "hidden": (3,), "l2": 0.1, "batch_size": 256, "shuffle": "leaves"},
]


def examples(rows=ROWS):
    generator = np.random.default_rng(2)
    inputs = generator.standard_normal((rows, FEATURES))
    targets = (inputs[:, 0] > generator.standard_normal(rows)).astype("float64")
    return inputs, targets, generator.random(rows)


def irregular(rows, parts, multiple=1):
    """Chunk sizes that add up to the rows."""
    generator = np.random.default_rng(3)
    cuts = generator.choice(np.arange(1, rows // multiple), parts - 1, replace=False) * multiple
    return tuple(int(n) for n in np.diff([0, *np.sort(cuts), rows]))


CHUNKS = {
    "1": ROWS,
    "2": ROWS // 2,
    "7": -(-ROWS // 7),
    "100 irregular": irregular(ROWS, 100),
    "20 whole leaves": irregular(ROWS, 20, multiple=64),
}


def saved(folder, **tables):
    """The path of each table as an NPY file."""
    paths = {}
    for name, table in tables.items():
        paths[name] = folder / f"{name}.npy"
        np.save(paths[name], table)
    return paths
