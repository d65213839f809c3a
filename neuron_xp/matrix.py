"""One training on every backend: are the bits the same, and how long does it take?"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neuron_xp.backend import Backend, HostArray
from neuron_xp.backends import host, open_backend
from neuron_xp.cases import CASES, Case
from neuron_xp.network import NeuralNetwork
from neuron_xp.status import statuses
from neuron_xp.training import ARITHMETICS, train

SLOW_LIMIT = 1000


@dataclass(frozen=True)
class Result:
    """One case, trained on one backend in one arithmetic.

    ulp
        The largest distance of a weight from reproducible numpy's, in units in the last
        place of float64: how many other floats lie between, plus one; 0 is the same.
    seconds
        Of the training, with compilation.
    """

    backend: str
    version: str
    device: str
    compiled: bool
    arithmetic: str
    case: str
    iterations: int
    fingerprint: str
    ulp: int
    seconds: float


def usable_backends() -> list[Backend]:
    """Every library that is usable here, on each of its devices."""
    return [open_backend(s.name, s.device) for s in statuses() if s.usable]


def run_case(case: Case, backend: Backend, arithmetic: str = "reproducible") -> NeuralNetwork:
    """The case trained on the backend: in native arithmetic one iteration, but for the article.

    At saturating rates training is chaotic: a difference in the last bit grows until
    nothing is left in common, and only the first step can be compared.
    """
    inputs, targets = case.make()
    return train(
        inputs,
        targets,
        backend=backend,
        arithmetic=arithmetic,
        learning_rate=case.learning_rate,
        iterations=_iterations(case, arithmetic),
    )


def _iterations(case: Case, arithmetic: str) -> int:
    comparable = arithmetic == "reproducible" or case.name.startswith("article")
    return case.iterations if comparable else 1


def run_matrix(
    backends: Iterable[Backend],
    *,
    arithmetics: Iterable[str] = ARITHMETICS,
    cases: Iterable[Case] = CASES,
) -> Iterator[Result]:
    """Every case on every backend in every arithmetic; long ones not where it is slow."""
    references: dict[tuple[str, int], HostArray] = {}
    cases, arithmetics = tuple(cases), tuple(arithmetics)
    for backend in backends:
        for arithmetic in arithmetics:
            for case in cases:
                if backend.slow and case.iterations > SLOW_LIMIT:
                    continue
                started = time.perf_counter()
                network = run_case(case, backend, arithmetic)
                seconds = time.perf_counter() - started
                iterations = _iterations(case, arithmetic)
                key = case.name, iterations
                if key not in references:
                    references[key] = _reference(case, iterations)
                yield Result(
                    backend=backend.name,
                    version=backend.version,
                    device=str(backend).rpartition(" ")[2],
                    compiled=backend.compiled,
                    arithmetic=arithmetic,
                    case=case.name,
                    iterations=iterations,
                    fingerprint=network.fingerprint(),
                    ulp=ulp_distance(_host_weights(network), references[key]),
                    seconds=seconds,
                )


def _reference(case: Case, iterations: int) -> HostArray:
    inputs, targets = case.make()
    rate = case.learning_rate
    return _host_weights(train(inputs, targets, learning_rate=rate, iterations=iterations))


def _host_weights(network: NeuralNetwork) -> HostArray:
    with network.backend.context():
        return host.concatenate([network.backend.to_host(w).ravel() for w in network.weights])


def ulp_distance(a: HostArray, b: HostArray) -> int:
    """The largest distance between two arrays of float64, counted in floats."""
    steps = [_rank(x) - _rank(y) for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    return max(map(abs, steps))


def _rank(x: HostArray) -> int:
    """The place of a float64 among all floats: neighbours differ by 1, and 0.0 is 0."""
    bits = int(host.float64(x).view("int64"))
    return bits if bits >= 0 else -(bits & (2**63 - 1))
