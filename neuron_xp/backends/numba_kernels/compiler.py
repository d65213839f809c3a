"""Ways in which Numba compiles the kernels, as decorators."""

import logging
import os
import pickle
import time
import warnings
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import event as events
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from neuron_xp.errors import one_line
from neuron_xp.files.durable import write_durably
from neuron_xp.neuron import step

if numba.config.DISABLE_JIT:  # the kernels call what only compiled code can
    raise ImportError("NUMBA_DISABLE_JIT is set")

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
    """Keeps machine code on disk until one of the sources changes, not only a function's own.

    One file for each signature and processor: a SHA-256 of all that follows, a SHA-256 of what
    the code was compiled from, and the code, pickled. It is not read as code, nor unpickled,
    before the first has shown it to be whole. This guards against damage, not against somebody
    who may write to the folder and can make a checksum, too.

    Numba's own two files are not used: they have no checksum, and processes that save two
    signatures at a time can leave an index that calls the code of one by the name of the other.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function, or None if it is to be compiled.

        Machine code needs the runtime that allocates its arrays, but none of what Numba knows of
        Python's functions, whose modules take longer to import than all kernels to load: they
        are for the compiler, which asks for them itself.
        """
        rtsys.initialize(target_context)
        key = self._index_key(sig, target_context.codegen())
        path = self._name_file(key)
        try:
            content = _read_checked(path, key)
            if content is None:
                return None
            return self._impl.rebuild(target_context, pickle.loads(content))
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever it is, the source is there to be compiled
            _warn_once(
                f"the kernel kept in {path} cannot be used ({_say_reason(error)}) and is compiled "
                "again; the result is the same"
            )
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function for the next process."""
        if not self._impl.check_cachable(data):
            return
        key = self._index_key(sig, data.codegen)
        body = sha256(repr(key).encode()).digest() + dumps(self._impl.reduce(data))
        try:
            os.makedirs(self.cache_path, exist_ok=True)
            write_durably(self._name_file(key), sha256(body).digest() + body)
        except OSError as error:
            if os.name == "nt" and isinstance(error, PermissionError):
                return  # another process, which has compiled the same, holds the file open
            _warn_that_none_is_kept(f"in {self.cache_path} ({_say_reason(error)})")

    def _index_key(self, *arguments: Any) -> Any:
        versions = numba.__version__, llvmlite.__version__
        return *super()._index_key(*arguments), versions, _SOURCES

    def _name_file(self, key: Any) -> Path:
        """Return the file's path: of one name for every state of the sources, so that none stay."""
        signature, processor, *_ = key
        name = sha256(repr((signature, processor)).encode()).hexdigest()[:16]
        return Path(self.cache_path, f"{self._impl.filename_base}.{name}.nbc")


def _read_checked(path: Path, key: Any) -> bytes | None:
    """Return a file's pickled content, or None if it belongs to another key.

    Raises ValueError if the content is not what was written.
    """
    content = path.read_bytes()
    checksum, body = content[:32], content[32:]
    if sha256(body).digest() != checksum:
        raise ValueError("it is damaged: its checksum differs")
    return body[32:] if body[:32] == sha256(repr(key).encode()).digest() else None


def _say_reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or one_line(error))


def _warn_that_none_is_kept(where: str) -> None:
    _warn_once(
        f"compiled kernels cannot be kept {where}, so the next process compiles them again; "
        "the result is the same. NUMBA_CACHE_DIR names another folder"
    )


class _Announcer(events.Listener):  # type: ignore[misc]
    """Logs the first compilation of a kernel in this process: others are done sooner.

    Numba tells its listeners of every function that it compiles, in one thread at a time, and
    of none that it loads.
    """

    def __init__(self) -> None:
        self.kernels = list[Any]()
        self._first: dict[str, Any] | None = None
        self._began = 0.0

    def on_start(self, event: events.Event) -> None:
        """Log that it begins."""
        if self._first is None and any(event.data["dispatcher"] is k for k in self.kernels):
            self._first, self._began = event.data, time.perf_counter()
            _log.info(
                "compiling kernels, once on this machine; about ten seconds ...",
                extra={"under_way": True},
            )

    def on_end(self, event: events.Event) -> None:
        """Log that it is done."""
        if self._first is not None and event.data is self._first:
            seconds = time.perf_counter() - self._began
            _log.info("compiled kernels in %.1f seconds", seconds, extra={"under_way": False})


_log = logging.getLogger("neuron_xp")
_announcer = _Announcer()
events.register("numba:compile", _announcer)


def is_kept(kernel: Any, *arguments: Any) -> bool:
    """Tell whether the machine code for such arguments is on disk: nothing is compiled for it."""
    if not isinstance(kernel._cache, _Cache):
        return False
    signature = tuple(map(kernel.typeof_pyval, arguments))
    key = kernel._cache._index_key(signature, kernel.targetctx.codegen())
    try:
        return _read_checked(kernel._cache._name_file(key), key) is not None
    except (OSError, ValueError):
        return False


_told = set[str]()


def _warn_once(message: str) -> None:
    """Warn of the first trouble with the cache, in one line: more would say no more."""
    if not _told:
        _told.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def kept(function: Callable[..., Any]) -> Any:
    """Compile a function once on this machine, and log that it takes a while (a decorator)."""
    # other threads may change what it is given while it runs
    dispatcher = _keep(numba.njit(nogil=True, error_model="numpy")(function))
    _announcer.kernels.append(dispatcher)
    return dispatcher


def kept_small(function: Callable[..., Any]) -> Any:
    """Compile a function once on this machine, which takes a second or two (a decorator)."""
    return _keep(allocating(function))


def _keep(dispatcher: Any) -> Any:
    try:
        dispatcher._cache = _Cache(dispatcher.py_func)
    except RuntimeError:
        _warn_that_none_is_kept("on this machine (no folder for them can be written)")
    return dispatcher


compiled = partial(allocating, _nrt=False)
"""Decorator: as `allocating`, for what makes no arrays and need not count references to them."""

inlined = partial(compiled, forceinline=True)
"""Decorator: compile a function into its callers, so that their loops can use vectors."""

spliced = partial(compiled, inline="always")
"""Decorator: take a function for a part of its callers, which compiles large ones sooner."""
