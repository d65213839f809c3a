"""train(): from data and settings to a neural network."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

from neuron_xp import checks
from neuron_xp.article import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.backends import convert as arrays
from neuron_xp.backends.backend import Backend, device_name, is_lazy
from neuron_xp.backends.libraries import LIBRARIES, backend_of, is_array, open_backend
from neuron_xp.backends.probe import has_float64, probe
from neuron_xp.errors import NO_DASK, MissingBackendError
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import Settings, checked
from neuron_xp.threads import available_threads
from neuron_xp.training.fit import fit
from neuron_xp.training.in_memory import InMemory, TrainingSet
from neuron_xp.training.loop import Progress
from neuron_xp.training.npy_stream import MAX_MEMORY, streamed

NAMES = ("inputs", "targets", "sample_weight")


def train(
    inputs: Any = None,
    targets: Any = None,
    *,
    backend: str | ModuleType | Backend | None = None,
    device: Any = None,
    arithmetic: str = "reproducible",
    hidden: tuple[int, ...] = (),
    bias: bool = False,
    rule: str = "error_weighted_derivative",
    l2: float = 0.0,
    learning_rate: float | str = 1.0,
    iterations: int = 10_000,
    seed: int = 1,
    standardize: bool = False,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: str | None = None,
    tolerance: float = 0.0,
    loss_every: int = 100,
    threads: int | None = None,
    max_memory: int | str | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> NeuralNetwork:
    r"""Train a network of sigmoid neurons, by default as the article does.

    Starting from random weights, each iteration adjusts them by the whole training set:

        output  = sigmoid(inputs @ weights)
        weights = weights + learning_rate * inputs.T @ ((targets - output) * output * (1 - output))

    Parameters
    ----------
    inputs : lists or array (examples, features), finite
    targets : lists or array (examples,) or (examples, neurons), in [0, 1]
        Lists go anywhere; arrays may be of any supported library. A `pathlib.Path` of an
        .npy file, or of a folder of them in lexicographic order, is read once an iteration,
        block by block: it may be larger than memory. Dask arrays and dataframes are trained
        on where they lie, by the cluster of the active client, or by Dask's threads.
        Without both, the article's training set. Neither is changed.
    backend : name, Array API namespace or Backend, optional
        The library to train in; default: the one of `inputs`, numpy for lists. "dask" spreads
        arrays over a cluster; for Dask arrays any other name is the library of its workers.
    device : optional
        As that library spells it; default: where `inputs` are, or the library's own default.
    arithmetic : "reproducible" or "native"
        Reproducible: float64 (float32 inputs are widened exactly), and the same bits from
        every library and device. Native: the library's own exp and matmul; float32 inputs
        are taken as they are.
    hidden : tuple of int
        Neurons in each hidden layer; (4,) is the article's sequel. They learn by
        back-propagation.
    bias : bool
        Whether each neuron also adds a bias, which starts at 0, to its weighted sum.
    rule : "error_weighted_derivative" or "cross_entropy"
        The article's rule, which descends the halved squared error; or the error alone,
        which descends the cross-entropy and learns more quickly.
    l2 : float >= 0
        Adds l2/2 * (sum of the squared weights) to the loss: shrinks weights, not biases.
    learning_rate : float > 0, or "auto"
        Times a sum over the examples: for many of them 1.0 is far too much with hidden
        layers; begin near 1 / examples. "auto", for one layer: 1 / (c ||X||^2 + l2), with
        which, without batches, the loss never rises but for rounding; c is 1/4 for
        cross-entropy and 0.0770293 for the error-weighted derivative.
    iterations : int >= 0
        How often the weights are adjusted.
    seed : int in [0, 2^32)
        Of the random starting weights and of the order of batches.
    standardize : bool
        Work on (inputs - mean) / deviation of each column; the network keeps both.
    sample_weight : lists or array (examples,), >= 0, optional
        How much each example counts; 2 is like having it twice.
    batch_size : int, optional
        Examples an iteration; default: all of them.
    shuffle : "rows", "leaves" or None
        The order of batches: each epoch draws the examples anew, or whole aligned groups
        of 64 (then batch_size is a multiple of 64), or keeps the order of the data. "rows"
        is for data in memory.
    tolerance : float >= 0
        Stop at a recorded loss that fell, but by no more than this share of the one before.
    loss_every : int
        Iterations between two records of the loss.
    threads : int, optional
        How many may work at once on NumPy arrays; default: as many as there are processors.
    max_memory : int or str, optional
        About how many bytes the data of files may take, beside the program itself:
        500_000_000, "500MB", "2GiB"; default: 1 GiB.
    checkpoint : path, optional
        Where to write, as training goes, a model file from which it can be resumed; the one
        before is kept beside it. Also written when the keyboard interrupts.
    checkpoint_every : int, optional
        Iterations between two checkpoints; default: about ten seconds.
    resume : bool
        Go on from the checkpoint, if there is one: to the bits of an uninterrupted run, on
        any backend. Data and settings must be the same; `iterations` may be larger.
    on_progress : callable, optional
        Called with a `Progress` between stretches of about a second at most.

    Returns
    -------
    NeuralNetwork
        With weights in the library and on the device that trained them (NumPy's, from a
        cluster), and `history`:
        (iterations done, loss) pairs, the loss being the mean over the examples, plus the
        penalty of `l2` in proportion.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it may be, or does not go with another.
    UnknownBackendError, MissingBackendError, UnusableBackendError
        A ValueError, ImportError and RuntimeError.
    TrainingDivergedError
        A FloatingPointError: the weights became infinite or NaN.
    ClusterLostError
        A ConnectionError: the scheduler, or every worker, is gone.
    OSError, ModelFileError
        A file cannot be read, or has changed meanwhile; the checkpoint cannot be written,
        is there and not to be resumed, or is damaged.

    The rule is Milo Spencer-Harper's, "How to build a simple neural network in 9 lines of
    Python code" (2015).

    Examples
    --------
    >>> import neuron_xp
    >>> network = neuron_xp.train([[0, 0, 1], [0, 1, 1], [1, 0, 1]], [0, 0, 1])
    >>> print(network.think([1, 1, 1]))
    [0.9505469]
    """
    settings = checked(
        arithmetic=arithmetic, hidden=hidden, bias=bias, rule=rule, l2=l2,
        learning_rate=learning_rate, iterations=iterations, seed=seed,
        standardize=standardize, batch_size=batch_size, shuffle=shuffle,
        tolerance=tolerance, loss_every=loss_every,
    )  # fmt: skip
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be a callable, such as print; got {on_progress!r}")
    workers = (
        available_threads()
        if threads is None
        else checks.whole_number("threads", threads, least=1, most=1024)
    )
    memory = None if max_memory is None else checks.memory_size("max_memory", max_memory)
    saving = Saving.checked(checkpoint, checkpoint_every, resume)
    given = dict(zip(NAMES, (*_or_article(inputs, targets), sample_weight), strict=True))
    if isinstance(inputs, Path):
        opened = _files
    else:
        lazy = backend == "dask" or any(map(is_lazy, given.values()))
        opened = _distributed if lazy else _arrays
    data = opened(given, settings, backend, device, threads=workers, max_memory=memory)
    with data.place.context():
        return fit(data, settings, saving=saving, on_progress=on_progress)


def _arrays(
    given: dict[str, Any],
    settings: Settings,
    backend: Any,
    device: Any,
    *,
    threads: int,
    max_memory: int | None,
) -> TrainingSet:
    if max_memory is not None:
        raise TypeError(
            "max_memory is for files, and arrays are in memory already; give inputs and targets "
            "as pathlib.Path of .npy files, or leave it out"
        )
    place = _place(given, backend, device)
    if settings.arithmetic == "reproducible":
        probe(place)
    dtype = _dtype(given["inputs"], settings.arithmetic, place)
    with place.context():
        examples = arrays.examples(
            given["inputs"], given["targets"], given["sample_weight"], place, dtype=dtype
        )
    return InMemory(examples, settings, place, dtype, threads)


def _distributed(
    given: dict[str, Any],
    settings: Settings,
    backend: Any,
    device: Any,
    *,
    threads: int,
    max_memory: int | None,
) -> TrainingSet:
    if max_memory is not None:
        raise TypeError("max_memory is for files; Dask's workers have limits of their own")
    try:
        from neuron_xp.cluster.parts import distributed
    except ImportError as error:
        raise MissingBackendError(NO_DASK) from error
    where = None
    if backend in (None, "dask"):
        if device is not None:
            raise ValueError(
                f"device={device!r} is of which library? Give the workers' as backend, such as "
                "'cupy'; without one, chunks are computed where they are"
            )
    elif isinstance(backend, str) and backend in LIBRARIES:  # it need not be here
        where = backend, device
    else:
        place = open_backend(backend, device)
        where = place.name, device_name(place.device)
    return distributed(given, settings, where=where)


def _files(
    given: dict[str, Any],
    settings: Settings,
    backend: Any,
    device: Any,
    *,
    threads: int,
    max_memory: int | None,
) -> TrainingSet:
    for name, value in given.items():
        if value is not None and not isinstance(value, Path):
            raise TypeError(
                f"inputs are a path but {name} are {type(value).__name__}; give both as paths"
            )
    if backend == "dask":
        raise ValueError(
            "files are read by this process, whose backends are others; for Dask give its arrays "
            "or dataframes, or type: neuron-xp train --workers N"
        )
    place = open_backend(backend or "numpy", device)
    if settings.arithmetic == "reproducible":
        probe(place)
    return streamed(
        given["inputs"], given["targets"], given["sample_weight"], settings,
        place=place, threads=threads, max_memory=max_memory or MAX_MEMORY,
    )  # fmt: skip


def _or_article(inputs: Any, targets: Any) -> tuple[Any, Any]:
    if inputs is None and targets is None:
        return ARTICLE_INPUTS, ARTICLE_TARGETS
    if inputs is None or targets is None:
        missing = "inputs" if inputs is None else "targets"
        raise TypeError(f"{missing} are missing; give inputs and targets, or neither")
    return inputs, targets


def _place(data: dict[str, Any], backend: Any, device: Any) -> Backend:
    """Where to train: as asked for, else where the data are."""
    homes = arrays.same_place(data)
    if backend is None:
        backend = homes[0].xp if homes else "numpy"
    chosen = open_backend(backend, device)
    stays = homes and device is None and not isinstance(backend, Backend)
    return homes[0] if stays and homes[0].name == chosen.name else chosen


def _dtype(inputs: Any, arithmetic: str, backend: Backend) -> str:
    """float64; in native arithmetic float32 for such inputs, and where there is nothing else."""
    if arithmetic == "reproducible":
        return "float64"
    single = is_array(inputs) and inputs.dtype == backend_of(inputs).xp.float32
    return "float32" if single or not has_float64(backend) else "float64"
