"""What the benchmark writes as JSON: what was measured; medians and ratios are reckoned from it."""

import json
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from statistics import median
from types import NoneType, UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from ci.benchmarks.shapes import Shape
from neuron_xp.workflows.clock import compare

T = TypeVar("T")

IN_MEMORY = "iteration, in memory"
ON_CLUSTER = "iteration, on the cluster"
IDLE = "nothing to compute"
"""How ways begin that have fewer rows than their contest's shape, only for a cluster's tasks."""


@dataclass(frozen=True)
class Machine:
    """The machine that it was measured on."""

    system: str
    processor: str
    cores: int
    memory_bytes: int
    copy_bytes_per_second: float
    copy_bytes_per_second_all_cores: float
    versions: dict[str, str]


@dataclass(frozen=True)
class First:
    """A contender's first training; distance: the largest of a weight from the compared one's."""

    seconds: float | None = None
    bytes: int | None = None
    fingerprint: str | None = None
    distance: float | None = None


@dataclass(frozen=True)
class Way:
    """A way over all rows.

    rounds : seconds of an iteration in each
    iterations : of the last round
    peak_bytes : the most that was resident in rounds, beside the resident_bytes before them
    from_disk : bytes that each round fetched, where the system tells
    parts, tasks : of an iteration on a cluster
    """

    rounds: tuple[float, ...]
    iterations: int | None = None
    peak_bytes: int | None = None
    resident_bytes: int | None = None
    from_disk: tuple[int | None, ...] | None = None
    parts: int | None = None
    tasks: int | None = None

    @property
    def median(self) -> float:
        """Seconds of an iteration."""
        return median(self.rounds)


@dataclass(frozen=True)
class Contest:
    """Contenders that took turns on one shape.

    beside : the way that the others are compared with
    bytes : read by an iteration
    left_out : contenders that failed, and why
    too_large : why the shape is, for this machine, which is no fault
    """

    title: str
    beside: str
    shape: Shape
    bytes: int
    threads: int | None = None
    workers: int | None = None
    firsts: dict[str, First] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    too_large: str | None = None

    def ratio(self, name: str) -> float | None:
        """Return the median of each round's ratio; None without the way to compare with."""
        base = self.ways.get(self.beside)
        return None if base is None else compare(self.ways[name].rounds, base.rounds)

    def list_idle(self) -> list[Way]:
        """List the ways with nothing to compute, from few tasks to many."""
        return [way for name, way in self.ways.items() if name.startswith(IDLE)]


@dataclass(frozen=True)
class Record:
    """Everything that was measured; contests: by their section."""

    method: str
    rounds: int
    quick: bool
    seconds: float
    machine: Machine
    contests: dict[str, tuple[Contest, ...]]


def write(record: Record, file: Path) -> None:
    """Write the record as JSON, without what is None."""
    given = asdict(record, dict_factory=lambda of: {k: v for k, v in of if v is not None})
    file.write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> Record:
    """Read a record that was written."""
    return build(Record, json.loads(file.read_text(encoding="utf-8")))


def build(kind: type[T], value: object) -> T:
    """Build again what `asdict` and JSON have taken apart, by the types of its fields."""
    built: object = value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType and value is not None:  # X | None
        (some,) = set(arguments) - {NoneType}
        built = build(some, value)
    elif is_dataclass(kind) and isinstance(value, dict):
        kinds = get_type_hints(kind)
        built = kind(**{name: build(kinds[name], of) for name, of in value.items()})
    elif isinstance(value, dict):
        built = {name: build(arguments[1], of) for name, of in value.items()}
    elif isinstance(value, list):
        built = tuple(build(arguments[0], of) for of in value)
    return built  # type: ignore[return-value]  # what the types of the fields say
