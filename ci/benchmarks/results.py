"""What the benchmark writes as JSON: records, and the way back from a file to them.

Seconds are of one iteration. A median is that of the rounds; a ratio is the median of each
round's ratio.
"""

import json
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from ci.benchmarks.shapes import Shape

T = TypeVar("T")


@dataclass(frozen=True)
class Method:
    """How it was measured."""

    text: str
    rounds: int
    quick: bool
    seconds: float


@dataclass(frozen=True)
class Machine:
    """What it was measured on."""

    system: str
    processor: str
    cores: int
    copy_bytes_per_second: float
    copy_bytes_per_second_all_cores: float
    versions: dict[str, str]


@dataclass(frozen=True)
class ContenderResult:
    """One contender on one shape.

    ratio : to plain NumPy
    distance : the largest of a weight from plain NumPy's
    """

    first_call: float
    first_call_bytes: int
    fingerprint: str | None
    rounds: tuple[float, ...]
    iterations: int
    peak_bytes: int
    median: float
    ratio: float | None
    gigabytes_per_second: float
    distance: float | None


@dataclass(frozen=True)
class ShapeResult:
    """All contenders on one shape.

    left_out : those that failed, and why
    too_large : why the shape is, for this machine, which is no fault
    """

    shape: Shape
    threads: int | None = None
    contenders: dict[str, ContenderResult] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    too_large: str | None = None


@dataclass(frozen=True)
class Growth:
    """Plain NumPy and the kernels on more and more rows, and with more and more threads."""

    rows: tuple[ShapeResult, ...]
    threads: tuple[ShapeResult, ...]


@dataclass(frozen=True)
class PassResult:
    """A pass over all rows of the files; from_disk: bytes that were fetched, where it is told."""

    rounds: tuple[float, ...]
    from_disk: tuple[int | None, ...]
    median: float
    rows_per_second: float
    gigabytes_per_second: float
    share_from_disk: float | None
    ratio_to_reading: float | None
    ratio_to_memory: float


@dataclass(frozen=True)
class DiskResult:
    """Training from files; failed: why there are no figures, if there are none."""

    shape: Shape
    wanted_rows: int
    max_memory: str
    bytes: int
    failed: str | None = None
    fingerprints: dict[str, str] = field(default_factory=dict)
    passes: dict[str, PassResult] = field(default_factory=dict)
    peak_bytes: int = 0
    resident_before: int = 0


@dataclass(frozen=True)
class CutResult:
    """An iteration on a cluster, on data that are cut into so many parts."""

    parts: int
    tasks: int
    rounds: tuple[float, ...]
    median: float


@dataclass(frozen=True)
class WorkersResult:
    """A cluster of so many workers, beside the same rows in memory."""

    fingerprint: str
    large: CutResult
    tiny: CutResult
    many: tuple[CutResult, ...]
    memory_rounds: tuple[float, ...]
    memory_rows_per_second: float
    rows_per_second: float
    ratio_to_memory: float
    seconds_a_task: float
    seconds_a_round_trip: float


@dataclass(frozen=True)
class ClusterResult:
    """Training on clusters, by the number of their workers; memory: the fingerprint there."""

    shape: Shape
    cores: int
    tiny_rows: int
    memory: str | None = None
    workers: dict[str, WorkersResult] = field(default_factory=dict)
    too_large: str | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Record:
    """Everything that was measured."""

    method: Method
    machine: Machine
    shapes: tuple[ShapeResult, ...]
    growth: Growth
    disk: DiskResult
    cluster: ClusterResult


def write(record: Record, file: Path) -> None:
    """Write the record as JSON."""
    file.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> Record:
    """Read a record that was written."""
    return build(Record, json.loads(file.read_text(encoding="utf-8")))


def build(kind: type[T], value: object) -> T:
    """Build again what `asdict` and JSON have taken apart, by the types of its fields."""
    built: object = value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # X | None
        (some,) = set(arguments) - {NoneType}
        built = None if value is None else build(some, value)
    elif is_dataclass(kind):
        kinds = get_type_hints(kind)
        assert isinstance(value, dict)
        built = kind(**{name: build(kinds[name], of) for name, of in value.items()})
    elif origin is dict:
        assert isinstance(value, dict)
        built = {name: build(arguments[1], of) for name, of in value.items()}
    elif origin is tuple:
        assert isinstance(value, list)
        built = tuple(build(arguments[0], of) for of in value)
    return built  # type: ignore[return-value]  # what the types of the fields say
