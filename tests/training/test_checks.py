"""Bad input: one clear line each, on every backend, and nothing changed or half done."""

import enum
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

import neuron_xp
from neuron_xp.backends.libraries import open_backend

X, Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1]


def table(**rows):
    return [pytest.param(*row, id=name.replace("_", " ")) for name, row in rows.items()]


ARRAYS = table(
    nan=([[0.0, 1.0], [np.nan, 0.0]], [0, 1], ValueError, "inputs[1, 0] is nan; inputs must be"),
    infinity=([[0.0, 1.0], [1.0, -np.inf]], [0, 1], ValueError, "inputs[1, 1] is -inf"),
    target_nan=(X, [0.0, np.nan, 1.0], ValueError, "targets[1] is nan"),
    target_above_1=(X, [0.0, 0.5, 1.5], ValueError, "targets[2] is 1.5; targets must lie in"),
    target_below_0=(X, [-0.25, 0.5, 1.0], ValueError, "targets[0] is -0.25"),
    length=(X, [0, 1], ValueError, "inputs hold 3 examples but targets hold 2; give one"),
    one_dimension=([0.0, 1.0], [0, 1], ValueError, "(examples, features); got (2,); for one"),
    three_dimensions=([X], Y, ValueError, "inputs must have the shape (examples, features)"),
    target_dimensions=(
        X,
        [[[0]], [[1]], [[1]]],
        ValueError,
        "targets must have the shape (examples,) or",
    ),
    no_features=([[], [], []], Y, ValueError, "inputs are empty: shape (3, 0)"),
    no_examples=(np.zeros((0, 2)), np.zeros(0), ValueError, "inputs are empty: shape (0, 2)"),
    large_integers=([[2**53 + 1, 0], [0, 1], [1, 1]], Y, ValueError, "integers of 2^53 or more"),
    negative_large=([[-(2**60), 0], [0, 1], [1, 1]], Y, ValueError, "integers of 2^53 or more"),
    complex_numbers=([[1j, 0], [0, 1], [1, 1]], Y, TypeError, "inputs must be real numbers"),
)


@pytest.mark.parametrize(("inputs", "targets", "error", "words"), ARRAYS)
def test_bad_arrays(library, inputs, targets, error, words):
    with library.context():
        x = library.from_host(np.asarray(inputs))
        y = library.from_host(np.asarray(targets))
    with pytest.raises(error, match=re.escape(words)):
        neuron_xp.train(x, y)


@pytest.mark.parametrize(("inputs", "targets", "error", "words"), ARRAYS)
def test_bad_lists(library, inputs, targets, error, words):
    x, y = (v.tolist() if isinstance(v, np.ndarray) else v for v in (inputs, targets))
    if x == []:
        words = "inputs are empty: shape (0,)"
    with pytest.raises(error, match=re.escape(words)):
        neuron_xp.train(x, y, backend=library)


OTHER = table(
    ragged=([[0.0, 1.0], [1.0]], [0, 1], ValueError, "inputs are ragged"),
    ragged_targets=(X, [[0], [1], [1, 0]], ValueError, "targets are ragged"),
    strings=(
        [["a", "b"]],
        [0],
        TypeError,
        "got dtype <U1, such as 'a'",
    ),
    none=([[None, 1.0]], [0], TypeError, "got dtype object, such as None"),
    objects=(np.asarray([[object()]]), [0], TypeError, "real numbers; got dtype object"),
    dates=(np.asarray([["2015-07-20"]], "datetime64[D]"), [0], TypeError, "real numbers; got"),
    masked=(np.ma.masked_array(X), Y, TypeError, "masked array; give inputs.filled(VALUE)"),
    sparse=(scipy.sparse.csr_array(X), Y, TypeError, "sparse (csr_array); give inputs.toarray()"),
    frame=(SimpleNamespace(to_numpy=None), Y, TypeError, "SimpleNamespace; give inputs.to_numpy()"),
    string=("abc", Y, TypeError, "or an array; got str; give inputs and targets both as"),
    huge_integers=([[2**70, 0.5]], [0], ValueError, "integers of 2^53 or more"),
    very_huge_integers=([[2**70, 1]], [0], ValueError, "integers of 2^53 or more"),
    mixed_integers=([[2**53 + 1, 0.5]], [0], ValueError, "integers of 2^53 or more"),
    numpy_integers=([[np.int64(2**53 + 1), 0.5]], [0], ValueError, "integers of 2^53 or more"),
    two_kinds=([[np.uint64(2**63 + 1), np.int64(-1)]], [0], ValueError, "integers of 2^53 or"),
    object_array=(np.asarray([[1, 0.5]], dtype=object), [0], TypeError, "inputs.astype('float64')"),
    longdouble=(np.asarray(X, dtype="longdouble"), Y, TypeError, "real numbers; got dtype"),
    no_targets=(X, None, TypeError, "targets are missing; give inputs and targets, or neither"),
    no_inputs=(None, Y, TypeError, "inputs are missing"),
)


@pytest.mark.parametrize(("inputs", "targets", "error", "words"), OTHER)
def test_what_is_no_array_of_numbers(inputs, targets, error, words):
    with pytest.raises(error, match=re.escape(words)):
        neuron_xp.train(inputs, targets)


SETTINGS = table(
    negative_iterations=({"iterations": -1}, ValueError, "iterations must be a whole number from"),
    fractional_iterations=({"iterations": 2.5}, TypeError, "got 2.5"),
    bool_iterations=({"iterations": True}, TypeError, "got True"),
    text_iterations=({"iterations": "10"}, TypeError, "got '10'"),
    zero_rate=({"learning_rate": 0}, ValueError, "learning_rate must be a finite number above 0"),
    negative_rate=({"learning_rate": -1.0}, ValueError, "got -1.0"),
    nan_rate=({"learning_rate": float("nan")}, ValueError, "got nan"),
    infinite_rate=({"learning_rate": float("inf")}, ValueError, "got inf"),
    text_rate=({"learning_rate": "1"}, TypeError, "above 0 (or 'auto'); got '1'"),
    list_rate=({"learning_rate": [1.0]}, TypeError, "got [1.0]"),
    huge_rate=({"learning_rate": 10**400}, TypeError, "got an integer of 1329 bits"),
    negative_seed=({"seed": -1}, ValueError, "seed must be a whole number from 0 to 4294967295"),
    large_seed=({"seed": 2**32}, ValueError, "got 4294967296"),
    hidden_number=({"hidden": 4}, TypeError, "hidden must be a tuple of layer sizes, such as"),
    hidden_zero=(
        {"hidden": (4, 0)},
        ValueError,
        "a layer size in hidden must be a whole",
    ),
    bias=({"bias": 1}, TypeError, "bias must be True or False; got 1"),
    standardize=({"standardize": "yes"}, TypeError, "standardize must be True or False"),
    rule=(
        {"rule": "crossentropy"},
        ValueError,
        "did you mean 'cross_entropy'?",
    ),
    negative_l2=({"l2": -1}, ValueError, "l2 must be a finite number 0 or more; got -1"),
    nan_tolerance=({"tolerance": float("nan")}, ValueError, "tolerance must be a finite number"),
    batch_size=({"batch_size": 0}, ValueError, "batch_size must be a whole number from 1; got 0"),
    loss_every=(
        {"loss_every": 0.5},
        TypeError,
        "loss_every must be a whole number from 1",
    ),
    shuffle=({"shuffle": "row", "batch_size": 2}, ValueError, "did you mean 'rows'?"),
    shuffle_alone=(
        {"shuffle": "rows"},
        ValueError,
        "shuffle changes nothing without batches",
    ),
    leaves_of_100=(
        {"shuffle": "leaves", "batch_size": 100},
        ValueError,
        "shuffle='leaves' needs a batch_size that is a multiple of 64; got 100",
    ),
    auto_with_layers=(
        {"learning_rate": "auto", "hidden": (4,)},
        ValueError,
        "no such bound is known: give optimizer='lbfgs', which needs no rate, or a number",
    ),
    weights_length=(
        {"sample_weight": [1, 2]},
        ValueError,
        "4 examples but sample_weight hold 2",
    ),
    negative_weight=(
        {"sample_weight": [1, 2, -1, 1]},
        ValueError,
        "sample_weight[2] is -1.0; ",
    ),
    no_weight=({"sample_weight": [0] * 4}, ValueError, "sample_weight is 0 for every example"),
    wide_weights=(
        {"sample_weight": [[1, 1]] * 4},
        ValueError,
        "sample_weight must have one",
    ),
    progress=(
        {"on_progress": True},
        TypeError,
        "on_progress must be a callable, such as print",
    ),
    array_rate=({"learning_rate": np.ones(2)}, TypeError, "learning_rate must be a finite number"),
    endless=({"iterations": 10**400}, ValueError, "from 0 to 9007199254740992; got an integer of"),
    tiny_rate=({"learning_rate": 5e-324}, ValueError, "below the smallest normal float, 2.2e-308"),
    array_iterations=(
        {"iterations": np.ones((9, 9))},
        TypeError,
        "iterations must be a whole number",
    ),
    huge_iterations=({"iterations": -(10**5000)}, ValueError, "got an integer of 16610 bits"),
    arithmetic=({"arithmetic": "reproducable"}, ValueError, "did you mean 'reproducible'?"),
    unlike_arithmetic=({"arithmetic": "x"}, ValueError, "choose from native, reproducible"),
    unknown_backend=({"backend": "numpi"}, ValueError, "unknown backend 'numpi'; did you mean"),
    unlike_backend=({"backend": "zzz"}, ValueError, "choose from array_api_strict, cupy, jax"),
    no_backend=({"backend": 3}, TypeError, "backend must be a name such as 'numpy', or a module"),
    device=({"device": "cuda"}, RuntimeError, "numpy has only the device 'cpu'"),
)


@pytest.mark.parametrize(("settings", "error", "words"), SETTINGS)
def test_bad_settings(settings, error, words):
    with pytest.raises(error, match=re.escape(words)) as raised:
        neuron_xp.train(**settings)
    assert "\n" not in str(raised.value)


def test_a_list_of_tensors_that_require_grad():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    with pytest.raises(TypeError, match=r"inputs must be lists of numbers: .*grad"):
        neuron_xp.train([[torch.ones((), requires_grad=True)]], [0])
    with pytest.raises(ValueError, match=r"inputs require grad; give inputs.detach\(\)"):
        neuron_xp.train(torch.ones((1, 1), requires_grad=True), [0])


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_tensors(layout):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls its CSR a beta
        x = getattr(torch.ones((2, 2)), layout)()
    with pytest.raises(TypeError, match=r"inputs are sparse \(Tensor\); give inputs.to_dense\(\)"):
        neuron_xp.train(x, [0, 1])


def test_float32_is_checked_before_anything_is_rounded():
    x = np.ones((2, 1), dtype="float32")
    network = neuron_xp.train(x, [0, 1], arithmetic="native", iterations=1)
    with pytest.raises(ValueError, match=r"inputs\[0\] is 1e\+300; inputs must fit into float32"):
        network.think([1e300])
    with pytest.raises(ValueError, match=r"integers of 2\^24 or more, which float32 cannot tell"):
        network.think([16777217])
    with pytest.raises(ValueError, match=r"targets\[1\] is 1.000000001; targets must lie"):
        neuron_xp.train(x, [0, 1 + 1e-9], arithmetic="native")


def test_a_string_that_only_equals_an_option_is_that_option():
    class Name(enum.StrEnum):
        MINE = "reproducible"

    assert neuron_xp.train(arithmetic=Name.MINE, iterations=0).settings.arithmetic == "reproducible"


def test_arrays_in_two_places(library):
    other = open_backend("array_api_strict" if library.name == "numpy" else "numpy")
    with library.context():
        x = library.from_host(np.asarray(X))
    y = other.from_host(np.asarray(Y))
    words = f"inputs are in {library} but targets are in {other}; give both in one place"
    with pytest.raises(ValueError, match=re.escape(words)):
        neuron_xp.train(x, y)


def test_two_devices_of_one_library():
    strict = open_backend("array_api_strict"), open_backend("array_api_strict", "device1")
    x, y = strict[0].from_host(np.asarray(X)), strict[1].from_host(np.asarray(Y))
    with pytest.raises(ValueError, match=r"CPU_DEVICE but targets are in .* device1"):
        neuron_xp.train(x, y)


@pytest.mark.parametrize(
    ("inputs", "words"),
    table(
        few=([1, 0], "inputs have 2 features but the network has 3"),
        many=([[1, 0, 0, 0]], "inputs have 4 features but the network has 3"),
        number=(1.0, "inputs must have the shape (examples, features); got ()"),
        nan=([1, 0, float("nan")], "inputs[2] is nan"),
        empty=([], "inputs are empty: shape (0,)"),
    ),
)
def test_bad_thoughts(library, inputs, words):
    network = neuron_xp.train(backend=library, iterations=1)
    with pytest.raises(ValueError, match=re.escape(words)):
        network.think(inputs)


@pytest.mark.parametrize("arithmetic", ["reproducible", "native"])
def test_divergence_names_the_iteration_and_the_rate(backend, arithmetic):
    """The same iteration for every library; in both arithmetics the weights overflow at once."""
    inputs, targets = [[1.0]] * 100, [1.0] * 100
    words = r"infinite or NaN in iteration 1 with learning_rate=1e\+308: try a smaller"
    with pytest.raises(neuron_xp.TrainingDivergedError, match=words) as raised:
        neuron_xp.train(
            inputs, targets, backend=backend, arithmetic=arithmetic,
            learning_rate=1e308, iterations=50,
        )  # fmt: skip
    assert isinstance(raised.value, FloatingPointError)
    assert (raised.value.iteration, raised.value.learning_rate) == (1, 1e308)


def test_inputs_are_never_changed(library):
    x, y = np.random.RandomState(0).random_sample((2, 70, 3))
    x[0, 0], before = 5e-324, None
    with library.context():
        inputs, targets = library.from_host(x), library.from_host(y[:, :1])
        before = library.to_host(inputs).tobytes(), library.to_host(targets).tobytes()
    network = neuron_xp.train(inputs, targets, iterations=3)
    network.think(inputs)
    with library.context():
        after = library.to_host(inputs).tobytes(), library.to_host(targets).tobytes()
    assert after == before
