"""The matrix: each case on every backend, its bits and its time."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from neuron_xp.backends.backend import Backend, name_device
from neuron_xp.backends.engine import name_engine
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.status import list_statuses
from neuron_xp.bits import count_ulps
from neuron_xp.errors import one_line
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.workflows.cases import CASES, Case


@dataclass(frozen=True)
class Result:
    """The result of one case on one backend in one arithmetic.

    engine
        "kernels", "compiled" or "arrays": what ran the iterations.
    fingerprint
        Of the weights; empty if the training failed.
    ulp
        The largest distance of a weight from reproducible numpy's, in units in the last
        place of float64: how many other floats lie between, plus one; 0 is the same. None
        if the training failed.
    seconds
        Of the training, with compilation.
    failure
        Why it failed, if it did.
    """

    backend: str
    version: str
    device: str
    engine: str
    arithmetic: str
    case: str
    iterations: int
    fingerprint: str
    ulp: int | None
    seconds: float
    failure: str = ""


def find_usable_backends() -> list[Backend]:
    """Return every library usable here, on each of its devices, without kernels and with them."""
    backends = [open_backend(s.name, s.device) for s in list_statuses() if s.usable]
    return [kind for b in backends for kind in dict.fromkeys((b.without_kernels(), b))]


def _iterations(case: Case, arithmetic: str) -> int:
    """Return the case's iterations; in native arithmetic one, but for the article.

    At saturating rates training is chaotic: a difference in the last bit grows until
    nothing is left in common, and only the first step can be compared.
    """
    comparable = arithmetic == "reproducible" or case.name.startswith("article")
    return case.iterations if comparable else 1


def run_matrix(
    backends: Iterable[Backend],
    *,
    arithmetics: Iterable[str] = ARITHMETICS,
    cases: Iterable[Case] = CASES,
) -> Iterator[Result]:
    """Every case on every backend in every arithmetic, but for those that take too long there.

    A training that fails is a result, too, and the others go on.
    """
    references: dict[tuple[str, int], np.ndarray] = {}
    cases, arithmetics, done = tuple(cases), tuple(arithmetics), set()
    for backend in backends:
        for arithmetic in arithmetics:
            try:
                engine = name_engine(backend, arithmetic)
            except Exception:  # only kernels are tried out; their first training tells why
                engine = "kernels"
            row = str(backend), engine, arithmetic
            if row in done:  # native arithmetic knows no kernels
                continue
            done.add(row)
            for case in cases:
                if case.iterations <= backend.patience:
                    yield _train(case, backend, arithmetic, engine, references)


def _train(
    case: Case,
    backend: Backend,
    arithmetic: str,
    engine: str,
    references: dict[tuple[str, int], np.ndarray],
) -> Result:
    """Train, and compare with numpy's weights, which are kept for other backends."""
    iterations = _iterations(case, arithmetic)
    fingerprint, ulp, failure = "", None, ""
    started = time.perf_counter()
    try:
        network = case.train(iterations, backend=backend, arithmetic=arithmetic)
        ended = time.perf_counter()
        key = case.name, iterations
        if key not in references:
            references[key] = _host_weights(case.train(iterations))
        ulp = int(count_ulps(_host_weights(network), references[key]).max())
        fingerprint = network.fingerprint()
    except Exception as error:  # of compilers, drivers and memory: each library has its own
        ended, failure = time.perf_counter(), f"{type(error).__name__}: {one_line(error)}"
    return Result(
        backend=backend.name,
        version=backend.version,
        device=name_device(backend.device),
        engine=engine,
        arithmetic=arithmetic,
        case=case.name,
        iterations=iterations,
        fingerprint=fingerprint,
        ulp=ulp,
        seconds=ended - started,
        failure=failure,
    )


def _host_weights(network: NeuralNetwork) -> np.ndarray:
    with network.backend.context():
        return np.concatenate([network.backend.to_host(w).ravel() for w in network.weights])
