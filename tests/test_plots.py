"""Pictures: what is drawn is what the network holds."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import neuron_xp
from neuron_xp import NeuronClassifier, plots
from neuron_xp.neuron.activations import sigmoid
from neuron_xp.workflows.matrix import Result

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::neuron_xp.errors.LearningWarning")
XOR = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.asarray([0, 1, 1, 0])


@pytest.fixture(autouse=True)
def close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def own_axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_the_line_of_a_loss_is_the_history():
    network = neuron_xp.train()
    ax = own_axes()
    assert plots.loss(network, ax) is ax
    assert tuple(map(tuple, ax.lines[0].get_xydata())) == network.history
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("iterations", "mean loss", "log")
    again = plots.loss(network.history)
    assert (again.lines[0].get_xydata() == ax.lines[0].get_xydata()).all()


def test_a_loss_that_hardly_falls_has_a_plain_axis():
    assert plots.loss([(0, 0.5), (10, 0.4)]).get_yscale() == "linear"
    assert plots.loss([(0, 0.5), (10, 0.0)]).get_yscale() == "linear"


def test_a_network_of_a_file_has_no_loss_to_draw(tmp_path):
    neuron_xp.train().save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"has no history, .* or give \(iterations, loss\) pairs"):
        plots.loss(neuron_xp.NeuralNetwork.load(tmp_path / "model.safetensors"))


def test_the_sigmoid_is_the_one_that_trains():
    ax = plots.sigmoid()
    curve, slope = (line.get_xydata().T for line in ax.lines)
    from neuron_xp.neuron.arithmetic import native_arithmetic

    expected = sigmoid(curve[0], arithmetic=native_arithmetic(np))
    assert np.abs(curve[1] - expected).max() < 1e-15
    assert slope[1].max() == 0.25
    assert len(ax.get_legend().get_texts()) == 2


def test_bars_are_the_weights_of_one_neuron():
    network = neuron_xp.train()
    ax = plots.weights(network)
    assert [bar.get_width() for bar in ax.patches] == network.weights[0][:, 0].tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["input 0", "input 1", "input 2"]


def test_a_picture_is_the_weights_of_several():
    table = pd.DataFrame({"width": [1.0, 2, 3, 4], "height": [0.0, 1, 0, 1]})
    model = NeuronClassifier(hidden=(3,)).fit(table, [0, 0, 1, 1])
    ax = plots.weights(model)
    (image,) = ax.images
    assert (image.get_array() == model.coefs_[0]).all()
    assert image.get_clim()[0] == -image.get_clim()[1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["width", "height"]
    second = plots.weights(model, layer=1)
    assert [bar.get_width() for bar in second.patches] == model.coefs_[1][:, 0].tolist()
    with pytest.raises(IndexError, match="layer must be 0 to 1; got 2"):
        plots.weights(model, layer=2)


def test_the_background_of_a_boundary_is_what_the_network_says():
    network = neuron_xp.train(*XOR, hidden=(4,), bias=True, optimizer="lbfgs", l2=0.001)
    ax = plots.boundary(network, *XOR)
    zero, one = ax.collections[-2:]
    assert zero.get_offsets().tolist() == [[0, 0], [1, 1]]
    assert one.get_offsets().tolist() == [[0, 1], [1, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]
    half = ax.collections[1]  # the line at 1/2
    points = np.concatenate([path.vertices for path in half.get_paths() if len(path.vertices)])
    assert np.abs(network.think(points) - 0.5).max() < 0.02
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input 0", "input 1")


def test_regions_are_the_classes_of_several_outputs():
    from sklearn.datasets import load_iris

    table = load_iris(as_frame=True)
    inputs = table.data.iloc[:, 2:]
    names = np.asarray(table.target_names)[table.target]
    model = NeuronClassifier().fit(inputs, names)
    ax = plots.boundary(model, inputs, names)
    (mesh,) = [x for x in ax.collections if type(x).__name__ == "QuadMesh"]
    shown = np.asarray(mesh.get_array()).ravel()
    x, y = np.meshgrid(*_corners(mesh))
    expected = model.network_.think(np.stack([x.ravel(), y.ravel()], axis=1)).argmax(axis=1)
    assert (shown == expected).mean() > 0.98  # a corner is not the middle of its cell
    assert ax.get_xlabel() == "petal length (cm)"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == table.target_names.tolist()


def _corners(mesh):
    corners = mesh.get_coordinates()
    middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    return np.asarray(middles[0, :, 0]), np.asarray(middles[:, 0, 1])


def colours_of_points(ax):
    """The colours of the points of each class that has points, by the legend's name."""
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    scattered = ax.collections[-len(names) :]
    return {
        name: mpl.colors.to_hex(points.get_facecolor()[0])
        for name, points in zip(names, scattered, strict=True)
        if len(points.get_offsets())
    }


@pytest.mark.parametrize("kinds", [["a", "b", "c"], [1.0, 2.0, 3.0], [0, 1, 2]])
def test_a_class_keeps_its_colour_where_another_has_no_examples(kinds):
    inputs = np.asarray([[0, 0], [0, 1.0], [4, 0], [4, 1], [8, 0], [8, 1]])
    targets = np.repeat(kinds, 2)
    model = NeuronClassifier().fit(inputs, targets)
    whole = colours_of_points(plots.boundary(model, inputs, targets))
    assert list(whole.values()) == [colour.lower() for colour in plots.COLOURS[:3]]
    some = plots.boundary(model, inputs[2:], targets[2:])
    assert colours_of_points(some) == dict(list(whole.items())[1:])
    assert len(some.get_legend().get_texts()) == 3
    two = NeuronClassifier().fit(inputs[:4], targets[:4])
    names = list(whole)[:2]
    ones = colours_of_points(plots.boundary(two, inputs[2:4], targets[2:4]))
    assert ones == {names[1]: plots.COLOURS[1].lower()}


def test_a_network_of_a_table_knows_its_classes(tmp_path):
    rows = [(0, 0, "no"), (0, 1, "no"), (4, 0, "yes"), (4, 1, "yes")]
    table = pd.DataFrame(rows, columns=["width", "height", "ripe"])
    table.to_csv(tmp_path / "t.csv", index=False)
    trained = neuron_xp.train_on_table(tmp_path / "t.csv", target="ripe")
    ripe = table[table.ripe == "yes"]
    for network in (trained, trained.network):
        ax = plots.boundary(network, ripe[["width", "height"]], ripe.ripe)
        assert colours_of_points(ax) == {"yes": plots.COLOURS[1].lower()}
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")
    assert plots.loss(trained).lines[0].get_xdata()[-1] == trained.network.history[-1][0]


def test_a_frame_names_the_axes_and_is_not_turned():
    frame = pd.DataFrame(XOR[0], columns=["left", "right"])
    nameless, named = (neuron_xp.train(x, XOR[1], iterations=10) for x in (XOR[0], frame))
    ax = plots.boundary(nameless, frame, pd.Series(XOR[1]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("left", "right")
    with pytest.raises(ValueError, match="inputs have the columns in another order"):
        plots.boundary(named, frame[["right", "left"]], XOR[1])


def test_more_classes_than_colours():
    inputs = np.random.RandomState(0).standard_normal((60, 2))
    targets = np.arange(60) % 12
    ax = plots.boundary(NeuronClassifier(max_iter=3).fit(inputs, targets), inputs, targets)
    assert len(set(colours_of_points(ax).values())) == 12
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1  # and hides no point


def test_arrays_of_another_device_are_drawn():
    strict = pytest.importorskip("array_api_strict")
    inputs, targets = (strict.asarray(x, device=strict.Device("device1")) for x in XOR)
    network = neuron_xp.train(inputs, targets, iterations=10)
    zero, one = plots.boundary(network, inputs, targets).collections[-2:]
    assert (len(zero.get_offsets()), one.get_offsets().tolist()) == (2, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 2, 3], r"targets must be of 2 classes, 0, 1; got 0, 1, 2, 3"),
        ([0.5, 0.5, 0.5, 0.5], r"targets must be of 2 classes, 0, 1; got 0.5"),
        ([0, 1], "inputs have 4 rows, and targets have 2"),
    ],
)
def test_targets_that_are_not_the_networks(targets, message):
    with pytest.raises(ValueError, match=message):
        plots.boundary(neuron_xp.train(*XOR, iterations=10), XOR[0], targets)


def test_an_estimator_without_a_network():
    with pytest.raises(ValueError, match="NeuronClassifier holds no trained network; call its fit"):
        plots.loss(NeuronClassifier())


def test_a_boundary_needs_two_features():
    with pytest.raises(ValueError, match=r"over two features; the network has 3, .* \(4, 3\)"):
        plots.boundary(neuron_xp.train(), np.zeros((4, 3)), [0, 1, 0, 1])


def test_cells_of_a_confusion_hold_its_counts():
    ax = plots.confusion([[5, 1], [0, 7]], ["benign", "malignant"])
    assert [text.get_text() for text in ax.texts] == ["5", "1", "0", "7"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["benign", "malignant"]


def test_long_names_of_classes_do_not_overlap():
    names = ["a long name of a class", "another long name", "b", "the last of the names"]
    ax = plots.confusion(np.eye(4, dtype=int), names)
    ax.figure.draw_without_rendering()
    for label, column in zip(ax.get_xticklabels(), range(4), strict=True):
        end = label.get_window_extent().x1  # each ends below its own column
        left, right = (ax.transData.transform((column + d, 0))[0] for d in (-0.5, 0.5))
        assert left < end < right


def test_the_matrix_marks_the_same_bits():
    def result(backend, case, ulp):
        return Result(
            backend=backend, version="1", device="cpu", engine="arrays", arithmetic="native",
            case=case, iterations=1, fingerprint="", ulp=ulp, seconds=0.0,
        )  # fmt: skip

    ax = plots.matrix([result("numpy", "a", 0), result("numpy", "b", 9), result("torch", "b", 0)])
    assert [text.get_position() for text in ax.texts] == [(0, 0), (1, 1)]
    assert np.ma.filled(ax.images[0].get_array(), -1).tolist() == [[0, 1], [-1, 0]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]


def test_a_matrix_of_nothing():
    with pytest.raises(ValueError, match="results are empty; give those of run_matrix"):
        plots.matrix([])


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_equal_pictures_are_equal_files(tmp_path, kind):
    files = [tmp_path / f"{number}.{kind}" for number in range(2)]
    for file in files:
        plots.save(plots.loss([(0, 1.0), (1, 0.5)]), file)
    assert files[0].read_bytes() == files[1].read_bytes() != b""
