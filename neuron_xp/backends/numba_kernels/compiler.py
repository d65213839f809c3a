"""Ways in which Numba compiles the kernels, as decorators."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler

from neuron_xp.neuron import step

_ROOMS = Path(__file__).parent, Path(step.__file__).parent
_SOURCES = sha256(
    b"".join(file.read_bytes() for room in _ROOMS for file in sorted(room.rglob("*.py")))
).digest()


class _NoAlias(Compiler):  # type: ignore[misc]
    """Tells LLVM that array arguments do not overlap, which lets it use vectors."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.state.flags.noalias = True


allocating = partial(numba.njit, nogil=True, error_model="numpy", pipeline_class=_NoAlias)
"""Decorator: compile a function when it is first called."""


class _Cache(FunctionCache):  # type: ignore[misc]
    """Keeps machine code on disk until one of the sources changes, not only a function's own."""

    def _index_key(self, *arguments: Any) -> Any:
        return *super()._index_key(*arguments), _SOURCES


def kept(function: Callable[..., Any]) -> Any:
    """Compile a function once on this machine (a decorator)."""
    dispatcher = allocating(function)
    with suppress(RuntimeError):  # there is no folder to keep it in
        dispatcher._cache = _Cache(function)
    return dispatcher


compiled = partial(allocating, _nrt=False)
"""Decorator: as `allocating`, for what makes no arrays and need not count references to them."""

inlined = partial(compiled, forceinline=True)
"""Decorator: compile a function into its callers, so that their loops can use vectors."""

spliced = partial(compiled, inline="always")
"""Decorator: take a function for a part of its callers, which compiles large ones sooner."""
