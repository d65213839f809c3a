"""Training sets: what training asks of its data, and one function that opens what users give."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neuron_xp.backends.backend import Backend, is_lazy, name_device
from neuron_xp.backends.examples import find_common_backend
from neuron_xp.backends.libraries import (
    LIBRARIES,
    find_backend,
    is_array,
    open_backend,
    open_host_backend,
)
from neuron_xp.backends.probe.guarantees import has_float64
from neuron_xp.backends.probe.trust import check_backend
from neuron_xp.checks import check_memory_size, check_whole_number
from neuron_xp.errors import NO_DASK, MissingBackendError
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples, Scaling
from neuron_xp.neuron.types import Array
from neuron_xp.threads import count_threads
from neuron_xp.training.data.in_memory import InMemory, open_in_memory
from neuron_xp.training.data.in_parts import InParts, open_in_parts
from neuron_xp.training.data.npy_stream import open_npy_stream
from neuron_xp.training.data.on_device import keep_on_device

MOST_CLASSES = 1000
LARGEST_DISTANCE = 2.0**-20
"""From 1, of the sum of an example's targets: more than rounding to float32 makes of it."""


class TrainingSet(Protocol):
    """Examples to learn from, and how a training is computed on them.

    backend : where the parameters are while it is trained
    network_backend : where the network is to be in the end
    dtype : the name of the floats
    layer_sizes : (inputs, neurons of each layer ...)
    in_parts : whether parts are worked off one by one: an iteration takes its time then
    """

    @property
    def backend(self) -> Backend: ...  # noqa: D102
    @property
    def network_backend(self) -> Backend: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def layer_sizes(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def in_parts(self) -> bool: ...  # noqa: D102
    @property
    def scaling(self) -> Scaling | None: ...  # noqa: D102
    def fingerprint(self) -> str:
        """Digest inputs, targets and sample weights: the same wherever they are."""

    def fingerprint_unordered(self) -> str:
        """Digest the rows, in any order, in 64 bits: the same wherever they are."""

    def fingerprint_groups(self) -> tuple[str, ...]:
        """Digest each group of 64 rows, in 32 bits; nothing where there are many."""

    def find_extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and the largest input of each column, float64."""

    def measure_class_sums(self) -> float:
        """Return the largest distance from 1 of the sum of an example's targets."""

    def take_sample(self, ranges: np.ndarray) -> Examples:
        """Return the examples of some ranges of rows, in any order, as NumPy arrays."""

    def sum_weights(self) -> float:
        """Return the sum of the sample weights, correctly rounded; without any, the rows."""

    def sum_blocks(self, function: Callable[..., tuple[Any, ...]], *values: Any) -> tuple[Any, ...]:
        """Sum over all examples what `function(block, *values, method=)` gives for a block.

        The sums are float64 NumPy arrays; so are the values, or tuples of arrays.
        """

    def with_scaling(self, scaling: Scaling) -> "TrainingSet":
        """Return the same examples, standardized by these NumPy arrays."""

    def without_kernels(self) -> "TrainingSet":
        """Return the same examples, worked on by array operations alone."""

    def advance(self, parameters: Parameters, start: int, count: int, rate: float) -> Parameters:
        """Return the parameters after the iterations start ... start + count - 1."""

    def sum_batch(self, iteration: int, parameters: Parameters) -> tuple[Array, ...]:
        """Return the sums of `neuron.step.block_sums` over the batch of an iteration, from 0."""

    def compute_losses(self, parameters: Parameters) -> np.ndarray:
        """Return the rule's loss, summed over the examples, for each output neuron."""

    def compute_losses_and_sums(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses, and the sums of `neuron.step.block_sums` as one flat array."""


@dataclass(frozen=True, eq=False)
class Given:
    """Data to learn from: lists, arrays of any library, Dask's; or `pathlib.Path` of .npy files."""

    inputs: Any
    targets: Any
    sample_weight: Any = None

    def by_name(self) -> dict[str, Any]:
        """Return the three by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class Where:
    """Backend, device, threads and memory to train with: none of them changes a bit of the result.

    backend : name, Array API namespace, `Backend`, or None for that of the data
    device : as that library spells it
    threads : how many may work at once on NumPy arrays; None for one a processor
    max_memory : bytes that the data of files may take, beside the program itself, or text
    """

    backend: Any = None
    device: Any = None
    threads: int | None = None
    max_memory: int | str | None = None

    def count_threads(self) -> int:
        """Return how many threads may work at once."""
        if self.threads is None:
            return count_threads()
        return check_whole_number("threads", self.threads, least=1, most=1024)

    def memory_bytes(self) -> int | None:
        """Return `max_memory` as a number of bytes."""
        if self.max_memory is None:
            return None
        return check_memory_size("max_memory", self.max_memory)

    def __post_init__(self) -> None:
        """Raise ValueError or TypeError for what threads or memory may not be."""
        self.count_threads()
        self.memory_bytes()


def open_training_set(given: Given, settings: Settings, where: Where) -> TrainingSet:
    """Open what the user gives: in memory, in files, or on a Dask cluster.

    Raises ValueError or TypeError for what cannot be learned from, and whatever opening a
    backend, a file or a cluster raises.
    """
    data = _open_any(given, settings, where)
    if settings.rule == "softmax_cross_entropy":
        _check_classes(data)
    return data


def _open_any(given: Given, settings: Settings, where: Where) -> TrainingSet:
    if isinstance(given.inputs, Path):
        return _open_files(given, settings, where)
    if where.backend == "dask" or any(map(is_lazy, given.by_name().values())):
        return _open_on_cluster(given, settings, where)
    return _open_in_memory(given, settings, where)


def _check_classes(data: TrainingSet) -> None:
    """Raise ValueError for targets that are no distributions over classes."""
    classes = data.layer_sizes[-1]
    if not 2 <= classes <= MOST_CLASSES:
        raise ValueError(
            f"softmax_cross_entropy takes a column of targets for each of 2 to {MOST_CLASSES} "
            f"classes; got {classes}; for one column of 0 and 1 give rule='cross_entropy'"
        )
    distance = data.measure_class_sums()
    if distance > LARGEST_DISTANCE:
        raise ValueError(
            "softmax_cross_entropy takes targets whose rows sum to 1, such as a 1 for the class "
            f"and 0 for the others; a row is off by {distance:.3g}; divide each by its sum, or "
            "give rule='cross_entropy', which takes each column by itself"
        )


def _open_in_memory(given: Given, settings: Settings, where: Where) -> InMemory:
    if where.max_memory is not None:
        raise TypeError(
            "max_memory is for files, and arrays are in memory already; give inputs and targets "
            "as pathlib.Path of .npy files, or leave it out"
        )
    backend = _choose_backend(find_common_backend(given.by_name()), where)
    if settings.arithmetic == "reproducible":
        check_backend(backend)
    return open_in_memory(
        given.by_name(),
        settings,
        backend,
        dtype=_choose_dtype(given.inputs, settings.arithmetic, backend),
        threads=where.count_threads(),
    )


def _choose_backend(home: Backend | None, where: Where) -> Backend:
    """Return the backend that was asked for, else the data's own `home`, else NumPy's."""
    asked, device = where.backend, where.device
    if asked is None and device is None:
        return home or open_host_backend()
    if asked is None:
        asked = "numpy" if home is None else home.xp
    chosen = open_backend(asked, device)
    if home is None or device is not None or isinstance(asked, Backend):
        return chosen
    return home if home.name == chosen.name else chosen


def _choose_dtype(inputs: Any, arithmetic: str, backend: Backend) -> str:
    """Return float64; in native arithmetic float32 for such inputs, or where nothing else is."""
    if arithmetic == "reproducible":
        return "float64"
    is_single = is_array(inputs) and inputs.dtype == find_backend(inputs).xp.float32
    return "float32" if is_single or not has_float64(backend) else "float64"


def _open_files(given: Given, settings: Settings, where: Where) -> InParts:
    for name, value in given.by_name().items():
        if value is not None and not isinstance(value, Path):
            raise TypeError(
                f"inputs are a path but {name} are {type(value).__name__}; give both as paths"
            )
    if where.backend == "dask":
        raise ValueError(
            "files are read by this process, whose backends are others; for Dask give its arrays "
            "or dataframes, or give backend='numpy'"
        )
    backend = open_backend(where.backend or "numpy", where.device)
    if settings.arithmetic == "reproducible":
        check_backend(backend)
    stream = open_npy_stream(
        {name: path for name, path in given.by_name().items() if path is not None},
        backend,
        native=settings.arithmetic == "native",
        threads=where.count_threads(),
        max_memory=where.memory_bytes(),
    )
    source = keep_on_device(stream)
    return open_in_parts(
        source, settings, stream.shapes(), network_backend=backend, dtype=stream.dtype
    )


def _open_on_cluster(given: Given, settings: Settings, where: Where) -> InParts:
    if where.max_memory is not None:
        raise TypeError("max_memory is for files; Dask's workers have limits of their own")
    try:
        from neuron_xp.cluster.parts import as_dask_arrays, load_parts
        from neuron_xp.cluster.scheduler import find_scheduler
    except ImportError as error:
        raise MissingBackendError(NO_DASK) from error
    library = _library_of_workers(where)
    scheduler = find_scheduler()
    arrays = as_dask_arrays(given.by_name(), scheduler)
    _check_batches(settings, arrays[0].shape[0])
    is_single = settings.arithmetic == "native" and arrays[0].dtype == "float32"
    dtype = "float32" if is_single else "float64"
    parts = load_parts(arrays, scheduler, library=library, dtype=dtype)
    shapes = tuple((int(array.shape[0]), int(array.shape[1])) for array in arrays)
    return open_in_parts(parts, settings, shapes, network_backend=open_host_backend(), dtype=dtype)


def _library_of_workers(where: Where) -> tuple[str, Any] | None:
    """Return name and device of the backend that is asked for; it need not be here."""
    if where.backend in (None, "dask"):
        if where.device is not None:
            raise ValueError(
                f"device={where.device!r} is of which library? Give the workers' as backend, such "
                "as 'cupy'; without one, chunks are computed where they are"
            )
        return None
    if isinstance(where.backend, str) and where.backend in LIBRARIES:
        return where.backend, where.device
    backend = open_backend(where.backend, where.device)
    return backend.name, name_device(backend.device)


def _check_batches(settings: Settings, rows: int) -> None:
    size = settings.batch_size or rows
    if size < rows and size % LEAF:
        raise ValueError(
            f"on Dask batch_size must be a multiple of {LEAF}, or all rows; got {size}"
        )
