"""A look at a library that its authors can use: what it keeps, and how far it is from ours.

The text of an `Examination` is made to be pasted into a bug report.
"""

import platform
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, name_device
from neuron_xp.backends.libraries import open_backend, open_host_backend
from neuron_xp.backends.probe.confidence import find_confidence
from neuron_xp.backends.probe.findings import Finding, fail
from neuron_xp.backends.probe.guarantees import make_reproducible
from neuron_xp.backends.probe.trust import examine_backend
from neuron_xp.bits import count_ulps
from neuron_xp.errors import one_line
from neuron_xp.neuron.arithmetic import Arithmetic, native_arithmetic
from neuron_xp.neuron.types import Array
from neuron_xp.random_start import draw_start


@dataclass(frozen=True)
class Distance:
    """How far a function of a library is from the reproducible one, on the same numbers.

    function
        Its name, and of what numbers.
    ulp
        The largest distance, in units in the last place of float64; None if it failed.
    differ, count
        How many results of how many are other floats.
    failure
        What the library raised, in a line.
    """

    function: str
    ulp: int | None
    differ: int
    count: int
    failure: str = ""


@dataclass(frozen=True)
class Examination:
    """What `examine` found out about a library on a device; its text is a screen.

    backend, version, device
        As the library spells them.
    machine
        The versions of Python and NumPy, the processor and the system.
    findings
        One for each guarantee; the last is of this package's own kernels, where there are some.
    distances
        Of the library's own functions from the reproducible ones.
    """

    backend: str
    version: str
    device: str
    machine: str
    findings: tuple[Finding, ...]
    distances: tuple[Distance, ...]

    @property
    def holds(self) -> bool:
        """Whether every guarantee is kept."""
        return all(finding.holds for finding in self.findings)

    def __str__(self) -> str:
        where = " ".join(filter(None, [self.backend, self.version, "on", self.device]))
        found = [line for finding in self.findings for line in _spell_finding(finding)]
        apart = [_spell_distance(distance) for distance in self.distances]
        title = "its own functions, from the reproducible ones"
        return "\n".join(
            [where, self.machine, "holds", *found, *([title] if apart else []), *apart]
        )


@dataclass(frozen=True)
class _Comparison:
    """A function of an arithmetic to compare, and the shapes of its arguments."""

    name: str
    call: Callable[..., Array]  # (arithmetic, *arguments)
    shapes: tuple[tuple[int, ...], ...]


# The arguments are in [0, 1): no digits cancel, so that a distance says something of the function.
COMPARISONS = (
    _Comparison("exp(-20 u)", lambda a, u: a.exp(u * -20.0), ((1000,),)),
    _Comparison("log1p(u)", lambda a, u: a.log1p(u), ((1000,),)),
    _Comparison("sqrt(u)", lambda a, u: a.sqrt(u), ((1000,),)),
    _Comparison("sum of 1000", lambda a, u: a.row_sums(u), ((100, 1000),)),
    _Comparison(
        "matmul (100, 1000) @ (1000, 10)",
        lambda a, u, v: a.weighted_sum(u, v),
        ((100, 1000), (1000, 10)),
    ),
)


def examine(backend: str | ModuleType | Backend = "numpy", device: Any = None) -> Examination:
    """Look at everything that a library must keep, and measure its own functions.

    Where training would stop at the first guarantee that is not kept, this goes on. Takes some
    seconds for a library that compiles.

    backend : a name, a namespace of the Array API standard, or a `Backend`
    device : what the library calls it; None for its own choice

    Raises `UnknownBackendError`, `MissingBackendError` or `UnusableBackendError` if the library
    cannot be opened at all.

    >>> found = examine("numpy")
    >>> found.holds, found.backend, [d.function for d in found.distances][:2]
    (True, 'numpy', ['exp(-20 u)', 'log1p(u)'])
    """
    opened = open_backend(backend, device)
    findings = examine_backend(opened)
    if opened.make_kernels is not None:
        findings.append(_examine_kernels(opened))
    return Examination(
        backend=opened.name,
        version=opened.version,
        device=name_device(opened.device),
        machine=describe_machine(),
        findings=tuple(findings),
        distances=tuple(_measure(opened, comparison) for comparison in COMPARISONS),
    )


def describe_machine() -> str:
    """Name the versions of Python and NumPy, the processor and the system."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"NumPy {np.__version__}, {python}, {_name_processor()}, {system}"


def _name_processor() -> str:
    with suppress(OSError):  # only Linux has it
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown processor"


def _examine_kernels(backend: Backend) -> Finding:
    name = "this package's kernels for it give the defined bits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the finding says it
        try:
            confidence = find_confidence(backend)
        except Exception as error:  # array operations are no better
            return fail(name, one_line(error))
    return fail(name, confidence.problem) if confidence.is_lost else Finding(name=name, holds=True)


def _measure(backend: Backend, comparison: _Comparison) -> Distance:
    """Compare a function of native arithmetic on the library with the reproducible one on NumPy."""
    sample = [(1 + x) / 2 for x in draw_start(comparison.shapes, seed=1)]
    host = open_host_backend()
    with host.context():
        expected = comparison.call(make_reproducible(host, no_tiny_inputs=False), *sample)
    try:
        given = _compute_natively(backend, comparison, sample)
        apart = count_ulps(np.ascontiguousarray(given, dtype="float64"), expected)
    except Exception as error:  # each library has its own
        return Distance(
            function=comparison.name, ulp=None, differ=0, count=0, failure=one_line(error)
        )
    return Distance(
        function=comparison.name,
        ulp=int(apart.max()),
        differ=int(np.count_nonzero(apart)),
        count=apart.size,
    )


def _compute_natively(
    backend: Backend, comparison: _Comparison, sample: list[np.ndarray]
) -> np.ndarray:
    with backend.context(), np.errstate(all="ignore"):
        arithmetic: Arithmetic = native_arithmetic(backend.xp)

        @backend.compile
        def compute(*arguments: Array) -> Array:
            return comparison.call(arithmetic, *arguments)

        return backend.to_host(compute(*map(backend.from_host, sample)))


def _spell_finding(finding: Finding) -> list[str]:
    """Return a line, and for a guarantee that is not kept one on what shows it."""
    if finding.holds:
        return [f"  yes  {finding.name}"]
    lines = [f"  NO   {finding.name}"]
    computed = f"{finding.formula}: " if finding.formula else ""
    if finding.failure:
        return [*lines, f"       {computed}fails ({finding.failure})"]
    lines.append(f"       {computed}expected {finding.expected}, given {finding.given}")
    if finding.arguments:
        lines.append(f"       {finding.arguments}")
        lines.append(f"       {finding.differ} of {finding.count} differ")
    return lines


def _spell_distance(distance: Distance) -> str:
    name = distance.function.ljust(max(len(comparison.name) for comparison in COMPARISONS))
    if distance.ulp is None:
        return f"  {name}  fails ({distance.failure})"
    return f"  {name}  up to {distance.ulp} ulp; {distance.differ} of {distance.count} differ"
