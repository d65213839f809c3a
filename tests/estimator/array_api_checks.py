"""Arrays of other libraries in, the same library and the same bits out.

Run by `test_array_api.py` in a process of its own, as SCIPY_ARRAY_API=1 must be set before SciPy is
imported.
"""

import array_api_strict
import numpy as np
import pytest
import sklearn
from configurations import CONFIGURATIONS
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.utils._array_api import get_namespace_and_device, move_estimator_to
from sklearn.utils.estimator_checks import _check_name, estimator_checks_generator

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.status import list_statuses

LIBRARIES = ["array_api_strict", "cupy", "jax", "torch"]
USABLE = [status.name for status in list_statuses() if status.usable]
PLACES = [(s.name, s.device) for s in list_statuses() if s.usable and s.name in LIBRARIES]
DATA = {"two classes": load_breast_cancer, "three classes": load_iris}


def is_possible(check):
    """Whether the libraries and devices that a check of scikit-learn asks for are here."""
    given = " ".join(map(str, check.keywords.values()))
    absent = [name for name in ("cupy", "torch") if name not in USABLE]
    no_device = ["cuda", "mps", "xpu", "gpu", "dpnp"]
    return not any(word in given for word in absent + no_device)


def list_checks():
    for name, estimator in CONFIGURATIONS.items():
        for instance, check in estimator_checks_generator(estimator):
            if "array_api" in _check_name(check) and is_possible(check):
                yield pytest.param(instance, check, id=f"{name}-{_check_name(check)}")


@pytest.fixture(params=PLACES, ids=":".join)
def library(request) -> Backend:
    return open_backend(*request.param)


@pytest.fixture(autouse=True)
def dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.mark.parametrize(("estimator", "check"), list(list_checks()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def bytes_of(array, library=None):
    if library is None:
        return np.asarray(array).tobytes()
    namespace, _, device = get_namespace_and_device(array)
    expected, _, place = get_namespace_and_device(library.from_host(np.zeros(1)))
    assert (namespace, device) == (expected, place)
    with library.context():
        return library.to_host(array).tobytes()


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
@pytest.mark.parametrize("name", [n for n in CONFIGURATIONS if n != "native"])
def test_bits_are_those_of_numpy(library, name, data):
    X, y = data(return_X_y=True)
    weight = np.arange(len(y)) % 3
    on_host = clone(CONFIGURATIONS[name]).set_params(max_iter=20).fit(X, y, weight)
    with library.context():
        arrays = [library.from_host(x) for x in (X, y, weight)]
        there = clone(on_host).fit(*arrays)
        assert there.fingerprint_ == on_host.fingerprint_
        for method in ("predict", "predict_proba", "decision_function"):
            found, expected = getattr(there, method)(arrays[0]), getattr(on_host, method)(X)
            assert bytes_of(found, library) == bytes_of(expected)
        for attribute in ("classes_", "coef_", "intercept_"):
            if hasattr(on_host, attribute):
                found, expected = getattr(there, attribute), getattr(on_host, attribute)
                assert bytes_of(found, library) == bytes_of(expected)
        for found, expected in zip(there.coefs_, on_host.coefs_, strict=True):
            assert bytes_of(found, library) == bytes_of(expected)


def test_the_score_is_that_of_numpy(library):
    X, y = load_iris(return_X_y=True)
    expected = CONFIGURATIONS["one layer"].fit(X, y).score(X, y)
    with library.context():
        arrays = library.from_host(X), library.from_host(y)
        assert clone(CONFIGURATIONS["one layer"]).fit(*arrays).score(*arrays) == pytest.approx(
            expected,
            abs=1e-6,  # scikit-learn adds up in float32
        )


def test_text_is_predicted_for_arrays_of_any_library(library):
    X, y = load_iris(return_X_y=True)
    names = np.asarray(["setosa", "versicolor", "virginica"])[y]
    with library.context():
        found = clone(CONFIGURATIONS["one layer"]).fit(library.from_host(X), names)
        predicted = found.predict(library.from_host(X))
    assert isinstance(predicted, np.ndarray)
    assert (predicted == CONFIGURATIONS["one layer"].fit(X, names).predict(X)).all()


def test_other_libraries_than_those_of_fit_are_refused_until_it_is_moved():
    X, y = load_iris(return_X_y=True)
    fitted = clone(CONFIGURATIONS["one layer"]).fit(X, y)
    other = array_api_strict.asarray(X)
    with pytest.raises(ValueError, match="must use the same namespace and the same device"):
        fitted.predict(other)
    xp, _, device = get_namespace_and_device(other)
    moved = move_estimator_to(fitted, xp, device)
    assert bytes_of(moved.predict_proba(other)) == bytes_of(fitted.predict_proba(X))


def test_a_fit_may_be_in_another_library_than_its_data(library):
    X, y = load_iris(return_X_y=True)
    expected = clone(CONFIGURATIONS["one layer"]).fit(X, y)
    found = clone(expected).set_params(backend=library.name, device=library.device).fit(X, y)
    assert found.network_.backend.name == library.name
    assert found.fingerprint_ == expected.fingerprint_
    assert bytes_of(found.predict_proba(X)) == bytes_of(expected.predict_proba(X))
