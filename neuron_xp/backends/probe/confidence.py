"""Confidence in kernels: they must show their bits first, and lose it by their first failure.

What they were asked for is then done by array operations, to the same bits, and one warning says
so. What fails comes late, too: a compiler meets another type, a launch wants more than a device
has.
"""

import warnings
from collections.abc import Callable
from threading import RLock
from typing import TypeVar
from weakref import WeakKeyDictionary

from neuron_xp.backends.backend import Backend, Kernels, MakeKernels
from neuron_xp.backends.probe.guarantees import make_reproducible
from neuron_xp.backends.probe.rehearsal import (
    FOR_DEVICE_KERNELS,
    FOR_KERNELS,
    Scene,
    find_wrong_scene,
    make_problem,
)
from neuron_xp.errors import UnusableBackendError, one_line
from neuron_xp.neuron.step import block_losses_and_sums

Result = TypeVar("Result")


class Confidence:
    """Confidence in some kernels.

    of_what : the kernels, in words
    on_host : whether they share the host's memory with array operations, which want more of it
    is_lost, problem : whether they have failed, and how
    """

    def __init__(self, of_what: str, *, on_host: bool) -> None:
        self.of_what, self.on_host, self.is_lost, self.problem = of_what, on_host, False, ""
        self._lock = RLock()

    def call(
        self,
        kernel: Callable[..., Result],
        arrays: Callable[..., Result],
        *arguments: object,
    ) -> Result:
        """Return kernel(*arguments), or arrays(*arguments) from the kernels' first failure on.

        Neither may change its arguments. What array operations would meet as well is raised: a
        library that is no use, a host whose memory is full. A device's memory is another matter,
        since kernels have a workspace there. A device that reports an error later than the call
        that made it is beyond help: it does no other work from then on.
        """
        if not self.is_lost:
            try:
                return kernel(*arguments)
            except (UnusableBackendError, Warning):  # a caller has made warnings errors
                raise
            except Exception as error:  # of imports, compilers and drivers
                if self.on_host and isinstance(error, MemoryError):
                    raise
                self.lose(f"cannot be used ({one_line(error)})")
        return arrays(*arguments)

    def lose(self, problem: str) -> None:
        """Warn, once however many threads there are, and use the kernels no more."""
        with self._lock:
            if self.is_lost:
                return
            warnings.warn(
                f"{self.of_what} {problem}, so array operations do their work: training is right "
                "but slower",
                RuntimeWarning,
                stacklevel=4,
            )
            self.is_lost, self.problem = True, problem


_in_backends: WeakKeyDictionary[Backend, Confidence] = WeakKeyDictionary()
_rehearsing = RLock()


def find_confidence(backend: Backend) -> Confidence:
    """Return the confidence in the backend's kernels: one, that of all its trainings.

    They have trained what libraries do in their rehearsal. Any difference would be a fault of a
    compiler or of this program; and what compiles them may be broken, or switched off.
    """
    with _rehearsing:
        confidence = _in_backends.get(backend)
        if confidence is None:
            on_host = backend.free_bytes is None
            confidence = Confidence(f"the kernels of {backend}", on_host=on_host)
            _rehearse(confidence, backend)
            _in_backends[backend] = confidence
    return confidence


def has_tried_kernels(backend: Backend) -> bool:
    """Tell whether this process has tried the backend's kernels, so that they are at hand."""
    return backend in _in_backends


def has_right_kernels(backend: Backend) -> bool:
    """Tell whether the backend has kernels, they gave the defined bits, and none has failed."""
    return backend.make_kernels is not None and not find_confidence(backend).is_lost


def _rehearse(confidence: Confidence, backend: Backend) -> None:
    if backend.make_kernels is None:
        return
    try:
        if not _give_defined_bits(backend.make_kernels, backend):
            confidence.lose("do not give the defined bits (report it)")
    except (UnusableBackendError, Warning):  # arrays are no better; warnings were made errors
        raise
    except Exception as error:  # also of memory, of which the little that is asked for is there
        confidence.lose(f"cannot be used ({one_line(error)})")


def _give_defined_bits(make_kernels: MakeKernels, backend: Backend) -> bool:
    """Tell whether kernels rehearse as they must, in one thread and in two."""

    def make(rule: str, no_tiny_inputs: bool) -> Kernels:
        return make_kernels(rule, no_tiny_inputs=no_tiny_inputs, threads=1)

    def share(rule: str, no_tiny_inputs: bool) -> Kernels:
        return make_kernels(rule, no_tiny_inputs=no_tiny_inputs, threads=2).share_all()

    if backend.free_bytes is None:
        return all(find_wrong_scene(FOR_KERNELS, backend, way) is None for way in (make, share))
    return all(
        find_wrong_scene(FOR_DEVICE_KERNELS, backend, way) is None
        and all(_add_parts_rightly(scene, backend, way) for scene in FOR_DEVICE_KERNELS)
        for way in (make, share)
    )


def _add_parts_rightly(
    scene: Scene, backend: Backend, make: Callable[[str, bool], Kernels]
) -> bool:
    """Tell whether what kernels add up of a part has the totals that they give themselves."""
    kernels = make(scene.rule, not scene.is_plain)
    with backend.context():
        total = make_reproducible(backend, no_tiny_inputs=False).total
        examples, parameters = make_problem(scene, backend.from_host)
        add = kernels.find_summand(block_losses_and_sums)
        if add is None:
            return True
        found = map(backend.to_host, map(total, add(examples, parameters)))
        expected = map(backend.to_host, kernels.losses_and_sums(parameters, examples))
        return all((a == b).all() for a, b in zip(found, expected, strict=True))
