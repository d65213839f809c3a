"""A look at how this thread rounds: two settings of the processor would change the bits.

Any library may set them, also after it was probed; a look takes a microsecond.
"""

from neuron_xp.errors import UnusableBackendError

# variables, as Python computes with constants when it compiles
_ONE, _HALF_ULP, _MORE = 1.0, 2.0**-53, 3 * 2.0**-54
_SMALLEST, _SMALLEST_NORMAL = 2.0**-1074, 2.0**-1022

CURE = "undo that, or give arithmetic='native'"


def keeps_subnormals() -> bool:
    """Tell whether this thread takes numbers below 2^-1022 for what they are."""
    return _SMALLEST > 0.0 and _SMALLEST_NORMAL * 0.5 > 0.0


def check_rounding(arithmetic: str = "reproducible") -> None:
    """Raise `UnusableBackendError` unless this thread rounds to nearest, and keeps subnormals.

    Native arithmetic may round as it likes.
    """
    if arithmetic != "reproducible":
        return
    if not keeps_subnormals():
        raise UnusableBackendError(
            "numbers below 2^-1022 are taken for 0 in this thread, so it cannot be reproducible: "
            "torch.set_flush_denormal(True), or a library built with -ffast-math, has set "
            f"flush-to-zero; {CURE}"
        )
    if not (_ONE + _HALF_ULP == 1.0 and _ONE + _MORE > 1.0 and -_ONE - _HALF_ULP == -1.0):
        raise UnusableBackendError(
            "this thread does not round to nearest, so it cannot be reproducible: a library has "
            f"set another rounding mode (fesetround); {CURE}"
        )
