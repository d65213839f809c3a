"""Watched backends: every operation on their arrays goes through a function of the watcher's."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.neuron.types import Array, Namespace

BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "truediv": operator.truediv, "floordiv": operator.floordiv, "mod": operator.mod,
    "pow": operator.pow, "matmul": operator.matmul, "and": operator.and_, "or": operator.or_,
    "xor": operator.xor, "lshift": operator.lshift, "rshift": operator.rshift,
}  # fmt: skip
COMPARISONS: dict[str, Callable[..., Any]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
UNARY: dict[str, Callable[..., Any]] = {
    "neg": operator.neg, "pos": operator.pos, "abs": operator.abs, "invert": operator.invert,
}  # fmt: skip
NAMES = {
    "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
    "ne": "not_equal", "neg": "negative", "pos": "positive", "invert": "bitwise_invert",
}  # fmt: skip
"""Operators by the names of the standard's functions, where these differ."""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of a library that is about to be done.

    name : the standard's: "multiply", "matmul", "exp"; or "from_host", "getitem", "transpose"
    function : the library's own
    arguments, options : what it is given, the library's own arrays among them
    products : the two factors of each argument that is a product, by the argument's number
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    products: Mapping[int, tuple[Any, Any]] = field(default_factory=dict)

    def run(self) -> Any:
        """Return what the library gives."""
        return self.function(*self.arguments, **self.options)


Intercept: TypeAlias = Callable[[Operation], Any]
"""intercept(operation) -> the operation's result, such as `operation.run()`."""


class WatchedArray:
    """An array of a library, whose operators are watched."""

    __array_ufunc__ = None  # so that NumPy's scalars leave their operators to it
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, array: Array, intercept: Intercept, factors: tuple[Any, Any] | None = None
    ) -> None:
        self.array, self.intercept, self.factors = array, intercept, factors

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> Any:
        """The type of its elements, as the library spells it."""
        return self.array.dtype

    @property
    def device(self) -> Any:
        """Its device, as the library spells it."""
        return self.array.device

    @property
    def T(self) -> "WatchedArray":  # noqa: N802  the standard's name
        """The transposed array."""
        return _watch("transpose", lambda x: x.T, self.intercept, (self,))  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> Any:
        return _watch("getitem", operator.getitem, self.intercept, (self, key))

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __index__(self) -> int:
        return operator.index(self.array)

    def __float__(self) -> float:
        return float(self.array)


def _make_operator(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def watched(self: WatchedArray, *others: Any) -> Any:
        return _watch(name, function, self.intercept, (self, *others))

    return watched


def _make_reflected(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def watched(self: WatchedArray, other: Any) -> Any:
        return _watch(name, function, self.intercept, (other, self))

    return watched


def _add_operators() -> None:
    for name, function in (BINARY | COMPARISONS | UNARY).items():
        standard = NAMES.get(name, name)
        setattr(WatchedArray, f"__{name}__", _make_operator(standard, function))
        if name in BINARY:
            setattr(WatchedArray, f"__r{name}__", _make_reflected(standard, function))


_add_operators()


class WatchedNamespace:
    """The namespace of a library, whose functions are watched."""

    def __init__(self, xp: Namespace, intercept: Intercept) -> None:
        self._xp, self._intercept = xp, intercept

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._xp, name)
        if not callable(value) or isinstance(value, type):  # a constant, or a dtype
            return value

        def watched(*arguments: Any, **options: Any) -> Any:
            return _watch(name, value, self._intercept, arguments, options)

        return watched


def watch(backend: Backend, intercept: Intercept) -> Backend:
    """Return the backend, one operation at a time, each of which goes through `intercept`.

    Its arrays are `WatchedArray`; `from_host` is an operation, too, and `to_host` is none.
    """
    plain = backend.eager()

    def put(array: np.ndarray) -> Any:
        return _watch("from_host", plain.from_host, intercept, (array,))

    return replace(
        plain,
        xp=WatchedNamespace(plain.xp, intercept),
        to_host=lambda x: plain.to_host(unwatch(x)),
        put=put,
        threaded=False,
        rounds_sqrt=False,
    )


def _watch(
    name: str,
    function: Callable[..., Any],
    intercept: Intercept,
    arguments: tuple[Any, ...],
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    products = {
        number: argument.factors
        for number, argument in enumerate(arguments)
        if isinstance(argument, WatchedArray) and argument.factors is not None
    }
    operation = Operation(
        name=name,
        function=function,
        arguments=tuple(map(unwatch, arguments)),
        options={key: unwatch(value) for key, value in options.items()},
        products=products,
    )
    found = intercept(operation)
    if name == "multiply":
        x, y = operation.arguments
        return WatchedArray(found, intercept, (x, y))
    return map_nested(lambda x: WatchedArray(x, intercept) if is_array_like(x) else x, found)


def unwatch(value: Any) -> Any:
    """Return the library's own array, in lists and tuples, too."""
    return map_nested(lambda x: x.array if isinstance(x, WatchedArray) else x, value)


def map_nested(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply the function to each item of lists and tuples, however deep."""
    if not isinstance(value, list | tuple):
        return function(value)
    items = [map_nested(function, item) for item in value]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def is_array_like(value: object) -> bool:
    """Tell whether it has a shape and a type of its elements, as arrays of every library have."""
    return hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, type)
