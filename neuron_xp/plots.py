"""Pictures for a lesson, a notebook or a report, by matplotlib (the extra `plots`).

Each function draws on the Axes that it is given, or on new ones, and returns them.
"""

import io
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuron_xp.backends.libraries import find_backend, is_array, open_host_backend
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.files.durable import write_durably
from neuron_xp.frames import check_names, is_frame, read_frame
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.summary import label_names
from neuron_xp.neuron.activations import sigmoid as compute_sigmoid
from neuron_xp.neuron.activations import sigmoid_gradient
from neuron_xp.workflows.matrix import Result

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's, which people with any kind of colour vision can tell apart."""
SIZE = (6.4, 4.2)
"""Inches of a new figure."""
GRID = 200
"""Points along each side of a boundary's background."""


def loss(network: Any, ax: Axes | None = None) -> Axes:
    """Draw the mean loss over the iterations: that of a network, or (iterations, loss) pairs.

    A loss that falls to a tenth or less has a logarithmic axis. Raises ValueError for a network
    without a history, as one from a file is.
    """
    pairs = getattr(_find_network(network), "history", network)
    if not len(pairs):
        raise ValueError("the network has no history, as one from a file has none; plot it where "
                         "it was trained, or give (iterations, loss) pairs")  # fmt: skip
    iterations, losses = zip(*pairs, strict=True)
    ax = _open(ax)
    ax.plot(iterations, losses, color=COLOURS[0], marker="." if len(losses) <= 50 else "")
    if min(losses) > 0 and max(losses) >= 10 * min(losses):
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.set(xlabel="iterations", ylabel="mean loss")
    ax.grid(alpha=0.3)
    return ax


def sigmoid(ax: Axes | None = None) -> Axes:
    """Draw the sigmoid 1 / (1 + e^-x) and its slope, which is largest where it is in doubt."""
    arithmetic = choose_arithmetic(open_host_backend(), "reproducible", no_tiny_inputs=False)
    x = np.linspace(-6, 6, 241)
    y = compute_sigmoid(x, arithmetic=arithmetic)
    ax = _open(ax)
    ax.plot(x, y, color=COLOURS[0], label="sigmoid(x) = 1 / (1 + e$^{-x}$)")
    slope = sigmoid_gradient(y, arithmetic=arithmetic)
    ax.plot(x, slope, color=COLOURS[1], linestyle="--", label="its slope, y (1 - y)")
    ax.set(xlabel="x, the weighted sum", ylabel="y", ylim=(-0.05, 1.05))
    ax.legend(loc="center right")
    ax.grid(alpha=0.3)
    return ax


def weights(network: Any, ax: Axes | None = None, *, layer: int = 0) -> Axes:
    """Draw the weights of a layer: bars for one neuron, a picture for several.

    They are those of standardized inputs where the network standardizes: columns of any size
    compare. Raises IndexError for a layer that it has not.
    """
    network = _find_network(network)
    model = network.to_model()
    if not 0 <= layer < len(model.weights):
        raise IndexError(f"layer must be 0 to {len(model.weights) - 1}; got {layer}")
    values, names = model.weights[layer], _name_inputs(network, layer)
    ax = _open(ax)
    largest = float(np.abs(values).max()) or 1.0
    of_what = "weight" if model.scaling is None or layer else "weight, of the standardized input"
    if values.shape[1] == 1:
        colours = [COLOURS[0] if value > 0 else COLOURS[1] for value in values[:, 0]]
        ax.barh(range(len(values)), values[:, 0], color=colours)
        ax.axvline(0, color="grey", linewidth=0.8)
        ax.invert_yaxis()
        ax.set(xlabel=of_what)
    else:
        image = ax.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto")
        ax.figure.colorbar(image, ax=ax, label=of_what)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="neuron")
    if len(names) <= 40:
        ax.set_yticks(range(len(names)), names, fontsize=9 if len(names) <= 20 else 7)
    else:
        ax.set(ylabel="input")
    return ax


def boundary(network: Any, inputs: Any, targets: Any, ax: Axes | None = None) -> Axes:
    """Draw what a network says everywhere, for two features, and the examples on it.

    For one output the background is the probability, with a line at 1/2; for several it is the
    class of the largest.

    network : an estimator's or a table's knows its classes, and targets may hold some of them only
    inputs : (examples, 2), an array or a data frame
    targets : (examples,) classes, or (examples, neurons) of 0 and 1

    Raises ValueError for another number of features, for a frame with other columns than were
    learned, and for targets that are not the network's classes.
    """
    known = _find_classes(network)
    network = _find_network(network)
    names = _name_inputs(network, 0)
    points, found = read_frame("inputs", inputs) if is_frame(inputs) else (_to_host(inputs), None)
    check_names("inputs", found, network.input_names, "network.input_names")
    if points.ndim != 2 or points.shape[1] != 2 or len(names) != 2:
        raise ValueError(f"a boundary is drawn over two features; the network has {len(names)}, "
                         f"and inputs have the shape {tuple(points.shape)}")  # fmt: skip
    horizontal, vertical = map(_spread, points.T)
    grid = np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2)
    with network.backend.context():
        outputs = network.backend.to_host(network.think(grid))
    labels, classes = _label(targets, known, max(outputs.shape[1], 2))
    if len(labels) != len(points):
        raise ValueError(f"inputs have {len(points)} rows, and targets have {len(labels)}")
    if network.input_names is None and found is not None:
        names = label_names(found)
    ax = _open(ax)
    colours = _choose_colours(len(classes))
    if outputs.shape[1] == 1:
        shown = outputs.reshape(GRID, GRID)
        image = ax.contourf(
            horizontal, vertical, shown, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.6
        )
        ax.contour(horizontal, vertical, shown, levels=[0.5], colors="black")
        ax.figure.colorbar(image, ax=ax, label="the network's output")
    else:
        shown = outputs.argmax(axis=1).reshape(GRID, GRID)
        ax.pcolormesh(
            horizontal, vertical, shown, cmap=ListedColormap(colours), alpha=0.3,
            vmin=-0.5, vmax=len(colours) - 0.5, rasterized=True)  # fmt: skip
    for number, name in enumerate(label_names(classes)):
        chosen = points[labels == number]
        ax.scatter(*chosen.T, color=colours[number], edgecolor="white", label=name, zorder=3)
    ax.set(xlabel=names[0], ylabel=names[1])
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    ax.legend(**(beside if len(classes) > len(COLOURS) else {}))  # a long one would hide points
    return ax


def confusion(counts: Any, classes: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix, (classes, classes): a row for each true class, as of `evaluate`."""
    counts, classes = np.asarray(counts), label_names(classes)
    ax = _open(ax)
    ax.imshow(counts, cmap="Blues")
    half = counts.max() / 2
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if count > half else "black"
        ax.text(column, row, str(count), ha="center", va="center", color=colour)
    ends: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(classes)), classes, **(ends if len(classes) > 3 else {}))
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="said", ylabel="true")
    return ax


def matrix(results: Iterable[Result], ax: Axes | None = None) -> Axes:
    """Draw the cross-backend matrix: for each backend and case the distance from NumPy's bits.

    results : of `neuron_xp.workflows.matrix.run_matrix`; 0 ulp is the same bits
    """
    found = list(results)
    cases = list(dict.fromkeys(result.case for result in found))
    rows = list(dict.fromkeys(map(_name_row, found)))
    distances = np.full((len(rows), len(cases)), np.nan)
    for result in found:
        distances[rows.index(_name_row(result)), cases.index(result.case)] = result.ulp
    if not found:
        raise ValueError("results are empty; give those of run_matrix")
    ax = _open(ax, (2 + 0.3 * len(cases), 2.5 + 0.3 * len(rows)))
    image = ax.imshow(np.log10(1 + distances), cmap="Blues", vmin=0, aspect="auto")
    for row, column in np.argwhere(distances == 0):
        ax.text(column, row, "=", ha="center", va="center", color="black")
    bar = ax.figure.colorbar(image, ax=ax, label="largest distance, ulp")
    ticks = np.arange(0, np.log10(1 + np.nanmax(distances)))
    bar.set_ticks(ticks.tolist(), labels=["0" if t == 0 else f"$10^{{{t:.0f}}}$" for t in ticks])
    ax.set_xticks(range(len(cases)), cases, rotation=90)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(title="= the same bits")
    return ax


def save(ax: Axes, path: str | PathLike[str]) -> None:
    """Write the picture, whole or not at all, in the format of its ending: png, svg or pdf.

    Equal pictures are equal files: no date and no version of a library is in them.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    content = io.BytesIO()
    nothing = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None},
               "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}  # fmt: skip
    figure = ax.get_figure(root=True)
    assert figure is not None, "Axes are on one"
    with rc_context({"svg.hashsalt": "neuron_xp"}):
        figure.savefig(content, format=kind, dpi=150, metadata=nothing.get(kind))
    write_durably(path, content.getvalue())


def open_axes() -> Axes:
    """Return Axes that pyplot and its backend know nothing of, for a picture to `save`."""
    return Figure(figsize=SIZE, layout="constrained").subplots()


def _open(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """Return the Axes, or those of a new figure of pyplot, so that a notebook shows it."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _find_network(given: Any) -> Any:
    """Return the network of an estimator, or of what train_on_table returns; or what was given."""
    for name in ("network_", "network"):
        if hasattr(given, name):
            return getattr(given, name)
    if hasattr(given, "fit"):
        raise ValueError(f"{type(given).__name__} holds no trained network; call its fit first, "
                         "and of a pipeline give the last step, pipeline[-1]")  # fmt: skip
    return given


def _find_classes(given: Any) -> list[str] | None:
    """Return the names of the classes, in the order of the outputs, where they are known."""
    if hasattr(given, "classes_"):
        return [_tell(value) for value in _to_host(given.classes_).tolist()]
    table = getattr(_find_network(given), "table", None)
    return None if table is None or table.columns.classes is None else list(table.columns.classes)


def _name_inputs(network: NeuralNetwork, layer: int) -> list[str]:
    if layer == 0 and network.input_names is not None:
        return label_names(network.input_names)
    word = "hidden" if layer else "input"
    return [f"{word} {number}" for number in range(network.weights[layer].shape[0])]


def _name_row(result: Result) -> str:
    return f"{result.backend} {result.device}, {result.engine}, {result.arithmetic}"


def _spread(values: np.ndarray) -> np.ndarray:
    """Return points over the range of the values, and a tenth beyond."""
    low, high = float(values.min()), float(values.max())
    margin = (high - low) / 10 or 1.0
    return np.linspace(low - margin, high + margin, GRID)


def _to_host(value: Any) -> np.ndarray:
    """Return numbers or words of any library, a series or a frame among them, on the host."""
    if not is_array(value):
        return np.asarray(value)
    backend = find_backend(value)
    with backend.context():
        return backend.to_host(value)


def _label(targets: Any, known: list[str] | None, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the number of each example's class, and the names of all `count` classes."""
    values = _to_host(targets)
    numbers = [str(number) for number in range(count)]
    if values.ndim == 2 and values.shape[1] == count:
        return values.argmax(axis=1), known or [f"class {number}" for number in numbers]
    told = [_tell(value) for value in values.reshape(-1).tolist()]
    words = [_tell(value) for value in np.unique(values).tolist()]
    classes = known or (numbers if set(told) <= set(numbers) else words)
    if len(classes) != count or not set(told) <= set(classes):
        wanted, strange = known or numbers, [word for word in words if word not in classes] or words
        raise ValueError(f"targets must be of {count} classes, {', '.join(wanted)}; "
                         f"got {', '.join(strange[:5])}")  # fmt: skip
    return np.asarray([classes.index(name) for name in told]), classes


def _tell(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _choose_colours(count: int) -> Sequence[str]:
    """Return a colour for each class; more than COLOURS has are steps of a range."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 1, count))]
