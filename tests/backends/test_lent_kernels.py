"""NumPy's kernels, lent to PyTorch's tensors and JAX's arrays on the processor: the same bits."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.backend import map_arrays
from neuron_xp.backends.engine import choose_engine, choose_summand, name_engine
from neuron_xp.backends.libraries import find_backend, open_backend, open_host_backend
from neuron_xp.backends.opening import openers
from neuron_xp.backends.opening.lent_kernels import LentKernels, Loan
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.step import (
    Examples,
    Scaling,
    block_losses,
    block_losses_and_sums,
    block_sums,
)

pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

NUMPY = open_host_backend()
RNG = np.random.default_rng(4)
INPUTS, TARGETS = RNG.standard_normal((700, 9)), RNG.integers(0, 2, (700, 3)) * 1.0
PROBLEM = (
    Parameters(
        tuple(RNG.standard_normal(shape) for shape in ((9, 4), (4, 3))),
        tuple(RNG.standard_normal(n) for n in (4, 3)),
    ),
    Examples(
        INPUTS,
        TARGETS / 3,
        RNG.random((700, 1)),
        Scaling(RNG.standard_normal(9), 1 + RNG.random(9)),
    ),
)


@pytest.fixture(params=["torch", "jax"])
def borrower(request):
    pytest.importorskip(request.param, reason=f"lends its arrays of {request.param}")
    backend = open_backend(request.param, "cpu")
    assert name_engine(backend, "reproducible") == "kernels"
    return backend


def to_host(backend, value):
    return map_arrays(lambda x: np.array(backend.to_host(x)), value)


def check_bytes(found, expected):
    for a, b in zip(found, expected, strict=True):
        if isinstance(a, tuple):
            check_bytes(a, b)
        else:
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rule", list(RULES))
def test_all_that_they_do_is_what_numpys_array_operations_do(borrower, rule, threads):
    options = {"no_tiny_inputs": False, "block": 128, "threads": threads}
    lent = choose_engine(borrower, "reproducible", rule, **options)
    arrays = choose_engine(NUMPY.without_kernels(), "reproducible", rule, **options)
    assert isinstance(lent.run.args[0].__self__, LentKernels)
    for name, more in (("loss", ()), ("sums", ()), ("losses_and_sums", ()), ("run", (0.01, 0.5))):
        first = (3,) if name == "run" else ()
        with borrower.context():
            given = map_arrays(borrower.from_host, PROBLEM)
            found = getattr(lent, name)(*first, *given, *more)
            map_arrays(partial(check_home, borrower), found)
            found = to_host(borrower, found)
        with NUMPY.context():
            expected = getattr(arrays, name)(*first, *PROBLEM, *more)
        check_bytes([found], [expected]) if name == "loss" else check_bytes(found, expected)


def check_home(backend, array):
    """Fail unless the array is the library's own, on its device, and nobody else's."""
    assert find_backend(array) is backend
    assert not getattr(array, "requires_grad", False)
    assert getattr(array, "committed", True)  # JAX's is to stay where it is


@pytest.mark.parametrize(
    "function", [block_losses, block_sums, block_losses_and_sums], ids=lambda f: f.__name__
)
def test_parts_are_summed_to_what_can_be_merged(borrower, function):
    options = {"no_tiny_inputs": True, "block": 64, "threads": 1}
    lent, arrays = (
        choose_summand(backend, "reproducible", "cross_entropy", function, **options)
        for backend in (borrower, NUMPY.without_kernels())
    )
    parameters, examples = PROBLEM
    with borrower.context():
        given = map_arrays(borrower.from_host, (examples, parameters))
        found = to_host(borrower, lent(*given))
    with NUMPY.context():
        check_bytes(found, arrays(examples, parameters))


def test_arrays_are_read_where_they_lie(borrower):
    """Rows apart, columns first, from the middle of something: not copied, and the same bits."""
    loan = borrower.make_kernels("cross_entropy", no_tiny_inputs=False, threads=1).loan
    expected = neuron_xp.train(INPUTS, TARGETS, iterations=3, learning_rate=0.01).fingerprint()
    wide = np.zeros((1401, 30))
    wide[1::2, 2:20:2] = INPUTS
    with borrower.context():
        there = borrower.from_host(wide)
        views = {
            "rows apart": there[1::2, 2:20:2],
            "columns first": borrower.xp.permute_dims(borrower.from_host(INPUTS.T), (1, 0))
            if borrower.name == "torch"
            else borrower.from_host(INPUTS.T).T,
        }
        for view in views.values():
            network = neuron_xp.train(
                view, borrower.from_host(TARGETS), iterations=3, learning_rate=0.01
            )
            assert network.fingerprint() == expected
        borrowed = loan.borrow(there)
        assert np.shares_memory(borrowed, borrower.to_host(there))
        assert borrowed.shape == wide.shape


def test_tensors_whose_sign_is_yet_to_be_turned():
    """PyTorch lends only what lies in memory as it is."""
    torch = pytest.importorskip("torch", reason="its conjugates are lazy")
    numbers = np.random.default_rng(1).standard_normal((2**15, 9))
    lazy = torch.complex(torch.zeros(numbers.shape, dtype=torch.float64), torch.tensor(-numbers))
    lazy = lazy.conj().imag
    assert lazy.is_neg()
    targets = (numbers[:, 0] > 0) * 1.0
    settings = {"iterations": 2, "learning_rate": 1e-4}
    expected = neuron_xp.train(numbers, targets, **settings).fingerprint()
    network = neuron_xp.train(lazy, torch.tensor(targets), **settings)
    assert network.fingerprint() == expected


def test_arrays_that_are_still_computed_are_waited_for():
    jax = pytest.importorskip("jax", reason="its calls return before their work is done")
    backend = open_backend("jax", "cpu")
    loan = backend.make_kernels("cross_entropy", no_tiny_inputs=False, threads=1).loan
    with backend.context():
        x = backend.from_host(np.random.default_rng(1).random((1500, 1500)))
        late = jax.jit(lambda x: jax.lax.fori_loop(0, 8, lambda _, y: (y @ x) / 750, x))(x)
        found = loan.borrow(late).copy()
        np.testing.assert_array_equal(found, np.asarray(jax.block_until_ready(late)))


def test_outside_of_double_precision_and_in_several_threads(borrower):
    expected = neuron_xp.train(INPUTS, TARGETS, iterations=30, learning_rate=0.01)

    def train(_):
        return neuron_xp.train(
            INPUTS, TARGETS, backend=borrower, iterations=30, learning_rate=0.01, threads=2
        ).fingerprint()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(train, range(8))) == {expected.fingerprint()}


def test_a_loan_that_fails_is_followed_by_the_librarys_own_operations(borrower, monkeypatch):
    expected = neuron_xp.train(INPUTS, TARGETS, iterations=30, learning_rate=0.01)
    fresh = openers.open_torch("cpu") if borrower.name == "torch" else openers.open_jax("cpu")
    assert name_engine(fresh, "reproducible") == "kernels"
    with fresh.context():
        given = fresh.from_host(INPUTS), fresh.from_host(TARGETS)

    def refuse(*_, **__):
        raise BufferError("cannot export")

    monkeypatch.setattr(np, "from_dlpack", refuse)
    with pytest.warns(RuntimeWarning, match=r"on cpu\S* cannot be used \(cannot export\)"):
        network = neuron_xp.train(*given, backend=fresh, iterations=30, learning_rate=0.01)
    assert network.fingerprint() == expected.fingerprint()
    assert name_engine(fresh, "reproducible") != "kernels"


def test_a_gpus_kernels_are_waited_for_before_anybody_goes_on(monkeypatch):
    """No GPU is here: NumPy's arrays and kernels stand for CuPy's, and every step is noted."""
    done = []

    @contextmanager
    def device(number):
        done.append(f"device {number}")
        yield
        done.append("device left")

    def note(word, function):
        def noted(*given):
            done.append(word)
            return function(*given)

        return noted

    stream = SimpleNamespace(synchronize=partial(done.append, "waited"))
    cuda = SimpleNamespace(Device=device, get_current_stream=lambda: stream)
    cupy = SimpleNamespace(cuda=cuda, from_dlpack=note("borrowed", np.asarray))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(name=name))
    monkeypatch.setattr(openers, "open_cupy", lambda device: NUMPY)
    borrow = partial(openers._borrow_cupy_kernels, 1, note("given", np.asarray))
    monkeypatch.setenv("NEURON_XP_CUDA_KERNELS", "0")
    assert borrow() is None
    monkeypatch.setenv("NEURON_XP_CUDA_KERNELS", "1")
    kernels = borrow(lambda: device("of the borrower"))(
        "cross_entropy", no_tiny_inputs=False, threads=1
    )
    assert isinstance(kernels.loan, Loan)
    assert done == []
    kernels.loss(*PROBLEM)
    borrowed = ["borrowed"] * 9  # weights, biases, inputs, targets, sample weights, scaling
    assert done == ["device 1", "device of the borrower", *borrowed, "given", "waited",
                    "device left", "device left"]  # fmt: skip
