"""The kit for those who test array code: it comes after the workflows, and alone names pytest.

Its public names are handed on from here, each imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuron_xp.testing.assertions import assert_same_bits, assert_within_ulp
    from neuron_xp.testing.doctor import examine
    from neuron_xp.testing.explaining.explain import explain, explain_function
    from neuron_xp.testing.explaining.models import explain_models

_HOMES = {
    "assert_same_bits": "assertions",
    "assert_within_ulp": "assertions",
    "examine": "doctor",
    "explain": "explaining.explain",
    "explain_function": "explaining.explain",
    "explain_models": "explaining.models",
}
"""Names, and the modules that have them."""


def __getattr__(name: str) -> Any:
    """Import what is asked for by its name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})


__all__ = [
    "assert_same_bits",
    "assert_within_ulp",
    "examine",
    "explain",
    "explain_function",
    "explain_models",
]
