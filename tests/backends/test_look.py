"""The kernel that looks at the data before they are trained on: it finds what array operations do.

They are the definition (`neuron.extremes`); numbers are compared bit by bit.
"""

import math

import array_api_compat.numpy as xp
import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_host_backend
from neuron_xp.backends.probe import look as looks
from neuron_xp.backends.probe.confidence import Confidence
from neuron_xp.neuron.extremes import find_extremes

look = pytest.importorskip("neuron_xp.backends.numba_kernels.host.look")

SHAPES = [(8, 1), (1, 9), (3, 3), (500, 1), (37, 20), (130, 3), (5, 1000), (2, 2500), (3000, 7)]
WAYS = {
    "in order": lambda x: x,
    "columns first": np.asfortranarray,
    "upside down": lambda x: x[::-1],
    "mirrored columns first": lambda x: np.asfortranarray(x)[:, ::-1],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "not aligned": lambda x: np.frombuffer(b"." + x.tobytes(), offset=1).reshape(x.shape),
    "float32": lambda x: np.clip(x, -(2.0**99), 2.0**99).astype("float32"),
    "int64": lambda x: np.clip(x, -9, 9).astype("int64"),
    "uint8": lambda x: np.clip(x, 0, 9).astype("uint8"),
    "bool": lambda x: x > 0,
}
LARGE = (300, 10)  # for a kernel: more than `looks.FEW`


def draw(shape):
    """Numbers of any size, subnormals, and zeros of both signs."""
    generator = np.random.RandomState(shape[0])
    x = np.ldexp(generator.standard_normal(shape), generator.randint(-1080, 1000, shape))
    return np.where(generator.random_sample(shape) < 0.3, np.copysign(0.0, x), x)


def check(x, found):
    with np.errstate(all="ignore"):
        expected = find_extremes(x.astype("float64"), xp=xp)
    assert [end.tobytes() for end in found] == [end.tobytes() for end in expected]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_extremes_are_those_of_array_operations(shape, way):
    x = WAYS[way](draw(shape))
    check(x, look.find_extremes(x))
    for threads, task_size, long_column in ((2, 8, 16), (3, 100, 10_000), (2, 2500, 100)):
        found = look.find_extremes(x, threads, task_size=task_size, long_column=long_column)
        check(x, found)
    assert len(look._fold.signatures) == 1, "compiled once, whatever is given"


@pytest.mark.parametrize("number", [-9.0, 9.0, 2.0**-1074])
@pytest.mark.parametrize("way", ["in order", "columns first", "float32"])
@pytest.mark.parametrize("shape", [(61, 3), (9, 11)])
def test_no_number_is_overlooked(shape, way, number):
    if way == "float32":
        number = max(number, 2.0**-149)
    for index in np.ndindex(shape):
        x = np.ones(shape)
        x[index] = number
        check(x, look.find_extremes(WAYS[way](x), 2, task_size=32, long_column=16))


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, -math.nan])
def test_what_is_not_finite_is_an_end_of_its_column(bad):
    x = draw((70, 9))
    for row, column in ((0, 0), (33, 5), (69, 8)):
        spoilt = x.copy()
        spoilt[row, column] = bad
        low, high, smallest = look.find_extremes(spoilt)
        finite = np.isfinite(low) & np.isfinite(high)
        assert np.flatnonzero(~finite).tolist() == [column]
        spoilt[row, column] = 0.0
        assert smallest == find_extremes(spoilt, xp=xp).smallest


def test_only_zeros_have_no_smallest_magnitude():
    check(np.zeros((5, 4)), look.find_extremes(np.zeros((5, 4))))
    check(-np.zeros((5, 4)), look.find_extremes(-np.zeros((5, 4))))


def give(backend, shape=LARGE, **spoilt):
    """Inputs, targets and sample weights on a backend, some of them with one number spoilt."""
    generator = np.random.RandomState(3)
    arrays = {
        "inputs": generator.random_sample(shape) - 0.5,
        "targets": np.eye(10)[generator.randint(0, 10, shape[0])],
        "sample_weight": generator.random_sample(shape[0]),
    }
    for name, (index, number) in spoilt.items():
        arrays[name][index] = number
    with backend.context():
        return {name: backend.from_host(array) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("name", "index", "number", "message"),
    [
        ("inputs", (299, 7), math.nan, r"^inputs\[299, 7\] is nan; inputs must be finite numbers$"),
        ("inputs", (3, 0), -math.inf, r"^inputs\[3, 0\] is -inf; inputs must be finite numbers$"),
        ("targets", (299, 9), 1.5, r"^targets\[299, 9\] is 1.5; targets must lie in \[0, 1\]$"),
        (
            "targets",
            (0, 1),
            -(2.0**-70),
            r"^targets\[0, 1\] is -8.4703.*; targets must lie in \[0,",
        ),
    ],
)
def test_the_first_bad_number_is_named(library, name, index, number, message):
    arrays = give(library, **{name: (index, number)})
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(**arrays, iterations=0, backend=library)


def test_it_serves_whoever_has_kernels_on_the_host(library, monkeypatch):
    seen = list[tuple[int, ...]]()

    def find(x, threads):
        seen.append(x.shape)
        return look.find_extremes(x, threads)

    arrays = give(library)
    monkeypatch.setattr(looks, "_open_look", lambda: (Confidence("", on_host=True), find))
    neuron_xp.train(**arrays, iterations=0, backend=library)
    serves = library.make_kernels is not None and library.free_bytes is None
    assert seen == ([LARGE, (300, 10)] if serves else [])
    neuron_xp.train(**arrays, iterations=0, backend=library, arithmetic="native")
    assert len(seen) == 2 * serves


@pytest.mark.parametrize("order", ["C", "F"])
def test_subnormals_and_zeros_of_both_signs_change_no_bit(library, order):
    zeros = give(library, inputs=((5, slice(3, 7)), 0.0))
    others = give(library, inputs=((5, slice(3, 7)), [2.0**-1074, -(2.0**-1023), -0.0, 0.0]))
    if library.name == "numpy":
        others["inputs"] = np.asarray(others["inputs"], order=order)
    settings = {"backend": library, "iterations": 2, "learning_rate": 0.01, "standardize": True}
    expected = neuron_xp.train(**zeros, **settings)
    found = neuron_xp.train(**others, **settings)
    assert found.fingerprint() == expected.fingerprint()
    assert found.history == expected.history


def test_an_array_that_has_changed_is_looked_at_anew():
    arrays = give(open_host_backend())
    neuron_xp.train(**arrays, iterations=0)
    arrays["inputs"][150, 4] = math.nan
    with pytest.raises(ValueError, match=r"inputs\[150, 4\] is nan"):
        neuron_xp.train(**arrays, iterations=0)


@pytest.fixture
def opened_anew():
    looks._open_look.cache_clear()
    yield
    looks._open_look.cache_clear()


def check_that_arrays_do_it(monkeypatch, find, warning):
    arrays = give(open_host_backend(), inputs=((150, 4), math.nan))
    monkeypatch.setattr(look, "find_extremes", find)
    with (
        pytest.warns(RuntimeWarning, match=f"the kernel that looks at the data {warning}") as told,
        pytest.raises(ValueError, match=r"inputs\[150, 4\] is nan"),
    ):
        neuron_xp.train(**arrays, iterations=0)
    assert len(told) == 1
    arrays["inputs"][150, 4] = 0.0
    neuron_xp.train(**arrays, iterations=0)  # and the warning is not given again


def test_a_kernel_that_fails_is_followed_by_array_operations(monkeypatch, opened_anew):
    def fail(*_):
        raise OSError("no\nspace")

    check_that_arrays_do_it(monkeypatch, fail, r"cannot be used \(no space\)")


def test_a_kernel_that_fails_later_is_followed_by_array_operations(monkeypatch, opened_anew):
    right = look.find_extremes

    def fail(x, *threads):
        if threads:
            raise OSError("no\nspace")
        return right(x)

    check_that_arrays_do_it(monkeypatch, fail, r"cannot be used \(no space\)")


def test_a_kernel_that_finds_something_else_is_not_used(monkeypatch, opened_anew):
    right = look.find_extremes
    wrong = lambda x, *_: right(np.abs(x))  # noqa: E731
    check_that_arrays_do_it(monkeypatch, wrong, r"does not find what there is \(report it\)")


def test_few_numbers_are_looked_at_by_array_operations(monkeypatch):
    monkeypatch.setattr(looks, "_open_look", lambda: pytest.fail("a kernel was asked for"))
    x = np.ones((looks.FEW - 1, 1))
    neuron_xp.train(x, x[:, 0], iterations=0)
