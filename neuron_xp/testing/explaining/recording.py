"""Recordings: what each operation of a run gives, as digests, and one operation in full."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.neuron.arithmetic import Arithmetic
from neuron_xp.testing.explaining.watching import Operation, is_array_like, map_nested

HERE = Path(__file__).parent


class Call(NamedTuple):
    """A call of one of the functions of `Arithmetic`: its name, and how many were before it."""

    function: str
    number: int


class Line(NamedTuple):
    """A line of code: the function that it is in, its file, number and text."""

    function: str
    file: str
    number: int
    text: str


@dataclass(frozen=True, eq=False)
class Recorded:
    """An operation in full, on the host.

    name : see `watching.Operation`
    arguments, options, products : with NumPy arrays in place of the library's
    results : the arrays that it gave
    call : the function of the arithmetic that it is a part of; None between them
    line : the code that asked for it
    do_again : does the operation on other NumPy arrays, on the library's device
    """

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    products: dict[int, tuple[Any, Any]]
    results: tuple[np.ndarray, ...]
    call: Call | None
    line: Line
    do_again: Callable[..., np.ndarray]


class Recorder:
    """An `Intercept` that keeps a digest of what each operation gives, and one of them in full.

    backend : that does the operations, unwatched
    wanted : the number of the operation to keep in full
    """

    def __init__(self, backend: Backend, wanted: int | None = None) -> None:
        self.backend, self.wanted = backend, wanted
        self.digests: list[tuple[str, bytes]] = []
        self._sizes: list[int] = []
        self.recorded: Recorded | None = None
        self._calls: Counter[str] = Counter()
        self._call: Call | None = None

    def __call__(self, operation: Operation) -> Any:
        """Do the operation, and record it."""
        found = operation.run()
        results = tuple(self._bring(x) for x in _list_arrays(found))
        self._sizes.append(sum(result.size for result in results))
        if len(self.digests) == self.wanted:
            self.recorded = Recorded(
                name=operation.name,
                arguments=map_nested(self._bring, operation.arguments),
                options={k: self._bring(value) for k, value in operation.options.items()},
                products={n: (self._bring(x), self._bring(y))
                          for n, (x, y) in operation.products.items()},
                results=results,
                call=self._call,
                line=_find_line(),
                do_again=partial(self._do_again, operation),
            )  # fmt: skip
        self.digests.append((operation.name, digest(results)))
        return found

    def count(self, end: int | None = None) -> tuple[int, int]:
        """Count the operations before number `end`, or all, and the numbers that they gave."""
        sizes = self._sizes[:end]
        return len(sizes), sum(sizes)

    def _bring(self, value: Any) -> Any:
        """Return an array of the library as NumPy's; anything else as it is."""
        if not is_array_like(value) or isinstance(value, np.ndarray):
            return value
        return np.array(self.backend.to_host(value))

    def _do_again(self, operation: Operation, *arrays: Any) -> np.ndarray:
        """Do an operation on other arrays, each in the layout that it has."""
        with self.backend.context(), np.errstate(all="ignore"):
            given = map(self._send, arrays)
            return np.array(self.backend.to_host(operation.function(*given, **operation.options)))

    def _send(self, array: Any) -> Any:
        if not isinstance(array, np.ndarray):
            return array
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            return self.backend.from_host(array.T).T
        return self.backend.from_host(array)

    def name_calls(self, arithmetic: Arithmetic) -> Arithmetic:
        """Return the arithmetic, whose functions tell the recorder when they are called."""
        named: dict[str, Any] = {
            field.name: self._name_call(field.name, getattr(arithmetic, field.name))
            for field in fields(arithmetic)
            if field.name not in ("name", "xp", "exp_takes_any")
        }
        return replace(arithmetic, **named)

    def _name_call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self._inside(name):
                return function(*arguments, **options)

        return call

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        """Count a call; what one function of the arithmetic does by another is its own."""
        outer = self._call
        if outer is None:
            self._call = Call(name, self._calls[name])
            self._calls[name] += 1
        try:
            yield
        finally:
            self._call = outer


def _list_arrays(value: Any) -> list[Any]:
    found: list[Any] = []
    map_nested(lambda x: found.append(x) if is_array_like(x) else None, value)
    return found


def normalize(x: np.ndarray) -> np.ndarray:
    """Return numbers that count as the same with the same bits.

    Floats have one zero and one NaN, and integers, whose size the standard leaves open, 64 bits.
    """
    if x.dtype.kind in "iu":
        return x.astype("int64")
    if x.dtype.kind != "f":
        return x
    normal = np.where(np.isnan(x), np.asarray(np.nan, dtype=x.dtype), x + x.dtype.type(0))
    return normal.astype(x.dtype, copy=False)


def digest(arrays: tuple[np.ndarray, ...]) -> bytes:
    """Digest shapes, types and numbers."""
    found = blake2b(digest_size=16)
    for array in arrays:
        same = normalize(array)
        found.update(f"{same.dtype}{same.shape}".encode())
        found.update(same.tobytes())
    return found.digest()


def _find_line() -> Line:
    """Find the line that asked for the operation: the innermost outside of this folder."""
    for frame in reversed(traceback.extract_stack()):
        if Path(frame.filename).parent != HERE:
            return Line(
                frame.name, _shorten(Path(frame.filename)), frame.lineno or 0, frame.line or ""
            )
    raise AssertionError("somebody asked for it")


def _shorten(file: Path) -> str:
    """Name a file of this package from the package on; any other by its name."""
    package = HERE.parent.parent
    if not file.is_relative_to(package):
        return file.name
    return file.relative_to(package.parent).as_posix()
