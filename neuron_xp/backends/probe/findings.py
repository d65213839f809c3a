"""Findings: what a backend shows for each guarantee, for the probe and for whoever reports a bug.

The probe asks for the first that is not kept; an examination for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.probe.guarantees import (
    GUARANTEES,
    LENGTHS,
    Guarantee,
    Sample,
    broken_error,
    check_float64,
    draw_samples,
    find_guarantees,
    make_reproducible,
)
from neuron_xp.errors import one_line
from neuron_xp.neuron.types import Array


@dataclass(frozen=True)
class Finding:
    """Whether a backend keeps a guarantee, and if not, the first argument that shows it.

    name
        The guarantee's.
    holds
        Whether it is kept.
    formula, arguments
        What was computed, and of which numbers.
    expected, given
        What that is, and what the backend gave: floats in hexadecimal, or a digest.
    differ, count
        How many numbers of how many are not as expected.
    failure
        What the backend raised instead, in a line.
    """

    name: str
    holds: bool
    formula: str = ""
    arguments: str = ""
    expected: str = ""
    given: str = ""
    differ: int = 0
    count: int = 0
    failure: str = ""


def fail(name: str, failure: str, formula: str = "") -> Finding:
    """Return the finding for a guarantee that nothing was given for, and why."""
    return Finding(name=name, holds=False, formula=formula, failure=failure)


def check_guarantees(backend: Backend) -> None:
    """Raise `UnusableBackendError` for the first guarantee that the backend does not keep."""
    check_float64(backend)
    try:
        findings = _show_and_compare(backend, GUARANTEES)
    except Exception as error:  # each library has its own
        raise broken_error(backend, f"fails in its probe ({one_line(error)})") from error
    for finding in findings:
        if not finding.holds:
            raise broken_error(backend, f"does not keep the rule: {finding.name}")


def examine_guarantees(backend: Backend) -> list[Finding]:
    """Return a finding for every guarantee: the first that does not hold, of all lengths.

    Where the backend fails, each guarantee is shown by itself.
    """
    try:
        findings = list(_show_and_compare(backend, GUARANTEES))
    except Exception:  # each library has its own
        findings = [f for guarantee in GUARANTEES for f in _examine_alone(backend, guarantee)]
    by_name: dict[str, Finding] = {}
    for finding in findings:
        if by_name.setdefault(finding.name, finding).holds:
            by_name[finding.name] = finding
    return [by_name[guarantee.name] for guarantee in GUARANTEES]


def _examine_alone(backend: Backend, guarantee: Guarantee) -> list[Finding]:
    try:
        return list(_show_and_compare(backend, [guarantee]))
    except Exception as error:
        return [fail(guarantee.name, one_line(error), guarantee.formula)]


def _show_and_compare(backend: Backend, among: Sequence[Guarantee]) -> Iterator[Finding]:
    """Have the backend show guarantees, then return an iterator of what each length shows."""
    sets = [draw_samples(count) for count in LENGTHS]
    shown = _show_guarantees(backend, among, sets)
    return (
        _compare(guarantee, samples, array)
        for samples, arrays in zip(sets, shown, strict=True)
        for guarantee, array in zip(find_guarantees(len(samples), among), arrays, strict=True)
    )


def _compare(guarantee: Guarantee, samples: list[Sample], array: np.ndarray) -> Finding:
    """Compare what a backend shows with the same formula on Python's floats."""
    expected = [float(guarantee.on_floats(*sample)) for sample in samples]
    found = array.tolist()
    if found == expected:
        return Finding(name=guarantee.name, holds=True)
    count = len(samples)
    if array.shape != (count,):
        failure = f"gives the shape {array.shape} for {(count,)}"
        return fail(guarantee.name, failure, guarantee.formula)
    wrong = [number for number in range(count) if found[number] != expected[number]]
    first = wrong[0]
    arguments = zip("xyz", samples[first], strict=True)
    return Finding(
        name=guarantee.name,
        holds=False,
        formula=guarantee.formula,
        arguments=", ".join(f"{letter} = {value.hex()}" for letter, value in arguments),
        expected=expected[first].hex(),
        given=float(found[first]).hex(),
        differ=len(wrong),
        count=count,
    )


def _show_guarantees(
    backend: Backend, among: Sequence[Guarantee], sets: list[list[Sample]]
) -> list[list[np.ndarray]]:
    """Return, for each set of samples, what the backend computes for each guarantee."""
    with backend.context():
        arithmetic = make_reproducible(backend, no_tiny_inputs=False)

        @backend.compile
        def show(x: Array, y: Array, z: Array) -> list[Array]:
            return [g.on_arrays(arithmetic, x, y, z) for g in find_guarantees(x.shape[0], among)]

        columns = [np.asarray(samples, dtype="float64").T for samples in sets]
        shown = [show(*map(backend.from_host, three)) for three in columns]
        return [list(map(backend.to_host, arrays)) for arrays in shown]
