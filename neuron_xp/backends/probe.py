"""A look at a library before it is trusted with reproducible arithmetic.

The definition stands on a few guarantees of the Array API standard and IEEE 754. Before its
first use in a process each backend and device shows them, compiled as training is, on
run-time arguments of several lengths; the expected values come from Python's own floats and
integers. What a library gets wrong is then named, not trained on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import UnusableBackendError
from neuron_xp.neuron.arithmetic import Arithmetic, native_arithmetic, reproducible_arithmetic
from neuron_xp.neuron.reproducible.elementary import multiply
from neuron_xp.neuron.types import Array

LENGTHS = (1, 7, 1000)


@dataclass(frozen=True)
class Guarantee:
    """A promise to look at: the same formula on arrays and on Python floats, to be compared.

    The arguments are x and y in [1, 2), and z = -x y.
    """

    name: str
    on_arrays: Callable[..., Array]  # (xp, times, x, y, z)
    on_floats: Callable[[float, float, float], float]


GUARANTEES = (
    Guarantee(
        "numbers down to 2^-1022 are kept",
        lambda xp, times, x, y, z: x * 2.0**-1022,
        lambda x, y, z: x * 2.0**-1022,
    ),
    Guarantee(
        "a product is rounded before it is added to (no fused multiply-add)",
        lambda xp, times, x, y, z: times(x, y) + z,
        lambda x, y, z: x * y + z,
    ),
    Guarantee(
        "sums keep the order in which they are written",
        lambda xp, times, x, y, z: ((x * 2.0**-30 + y) - y) + z,
        lambda x, y, z: ((x * 2.0**-30 + y) - y) + z,
    ),
    Guarantee(
        "1/x is correctly rounded",
        lambda xp, times, x, y, z: 1.0 / (1.0 + x),
        lambda x, y, z: 1.0 / (1.0 + x),
    ),
    Guarantee(
        "halves are rounded to even",
        lambda xp, times, x, y, z: xp.round(xp.round(z * 64.0) * 0.5),
        lambda x, y, z: round(round(z * 64.0) * 0.5),
    ),
    Guarantee(
        "int64 and float64 are converted exactly, or rounded to nearest",
        lambda xp, times, x, y, z: xp.astype(
            xp.astype(x * 2.0**61, xp.int64) + xp.astype(y * 2.0**52, xp.int64), xp.float64
        ),
        lambda x, y, z: float(int(x * 2.0**61) + int(y * 2.0**52)),
    ),
    Guarantee(
        "shifts of negative integers round down",
        lambda xp, times, x, y, z: xp.astype(xp.astype(z * 2.0**50, xp.int64) >> 32, xp.float64),
        lambda x, y, z: float(int(z * 2.0**50) >> 32),
    ),
)


def _draw_samples(count: int) -> list[tuple[float, float, float]]:
    """Return x, y in [1, 2) with all bits in use (golden ratio sequences), and z = -(x * y)."""
    fractions = [math.modf(i * (math.sqrt(5) - 1) / 2)[0] for i in range(1, 2 * count + 1)]
    pairs = zip(fractions[::2], fractions[1::2], strict=True)
    return [(1 + a, 1 + b, -((1 + a) * (1 + b))) for a, b in pairs]


def has_float64(backend: Backend) -> bool:
    """Tell whether the device can hold float64 at all."""
    try:
        with backend.context():
            return bool(backend.from_host(np.ones(1)).dtype == backend.xp.float64)
    except Exception:  # each library has its own
        return False


@lru_cache(maxsize=64)
def check_guarantees(backend: Backend) -> None:
    """Raise `UnusableBackendError` for the first guarantee that the backend does not keep."""
    times = partial(multiply, xp=backend.xp, fence=backend.compiled)

    @backend.compile
    def show(x: Array, y: Array, z: Array) -> list[Array]:
        return [g.on_arrays(backend.xp, times, x, y, z) for g in GUARANTEES]

    if not has_float64(backend):
        raise _broken_error(backend, "has no float64")
    with backend.context():
        for count in LENGTHS:
            samples = _draw_samples(count)
            columns = np.asarray(samples, dtype="float64").T
            try:
                shown = [backend.to_host(x) for x in show(*map(backend.from_host, columns))]
            except Exception as error:  # each library has its own
                raise _broken_error(backend, f"fails in its probe ({error})") from error
            for guarantee, array in zip(GUARANTEES, shown, strict=True):
                expected = [float(guarantee.on_floats(*sample)) for sample in samples]
                if array.tolist() != expected:
                    raise _broken_error(backend, f"does not keep the rule: {guarantee.name}")


def _broken_error(backend: Backend, problem: str) -> UnusableBackendError:
    return UnusableBackendError(
        f"{backend} {problem}, so it cannot be reproducible; give arithmetic='native', "
        "or another backend or device"
    )


@lru_cache(maxsize=64)
def choose_arithmetic(backend: Backend, name: str, *, no_tiny_inputs: bool) -> Arithmetic:
    """Return the arithmetic of that name on the backend; check a reproducible one first."""
    if name == "native":
        return native_arithmetic(backend.xp)
    check_guarantees(backend)
    with backend.context():
        return reproducible_arithmetic(
            backend.xp,
            device=backend.device,
            compiled=backend.compiled,
            rounds_sqrt=backend.rounds_sqrt,
            no_tiny_inputs=no_tiny_inputs,
        )
