"""The trainer: `train`, the public face of this room."""

from collections.abc import Callable
from inspect import signature
from os import PathLike
from types import ModuleType
from typing import Any

from neuron_xp.article import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.backends.backend import Backend, is_lazy
from neuron_xp.checks import check_whole_number
from neuron_xp.errors import unknown_keyword_error
from neuron_xp.frames import find_names, is_frame, read_frame
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import check_settings
from neuron_xp.training.data.training_set import Given, Where, open_training_set
from neuron_xp.training.fit import explain_lost_cluster, fit
from neuron_xp.training.report import Progress


def train(
    inputs: Any = None,
    targets: Any = None,
    *,
    backend: str | ModuleType | Backend | None = None,
    device: Any = None,
    arithmetic: str = "reproducible",
    hidden: tuple[int, ...] = (),
    bias: bool = False,
    optimizer: str = "gradient_descent",
    rule: str | None = None,
    l2: float = 0.0,
    learning_rate: float | str | None = None,
    iterations: int | None = None,
    seed: int = 1,
    standardize: bool = False,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: str | None = None,
    tolerance: float = 0.0,
    gradient_tolerance: float | None = None,
    loss_every: int | None = None,
    threads: int | None = None,
    max_memory: int | str | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
    progress_every: int | None = None,
    **unknown: Any,
) -> NeuralNetwork:
    r"""Train a network of sigmoid neurons, by default as the article does.

    On data of your own begin with `optimizer="lbfgs", standardize=True, bias=True`: L-BFGS finds
    the length of its steps, and stops when it is done. The defaults are the article's. Starting
    from random weights, each iteration adjusts them by the whole training set:

        output  = sigmoid(inputs @ weights)
        weights = weights + learning_rate * inputs.T @ ((targets - output) * output * (1 - output))

    Parameters
    ----------
    inputs : lists or array (examples, features), finite
    targets : lists or array (examples,) or (examples, neurons), in [0, 1]
        Lists go anywhere; arrays may be of any supported library. Data frames of pandas, polars
        and pyarrow hold numbers and booleans; the network keeps the names of their columns. A
        `pathlib.Path` of an
        .npy file, or of a folder of them in lexicographic order, is read once an iteration,
        block by block: it may be larger than memory. A GPU that has room for all of it keeps it
        from the first reading on. Dask arrays and dataframes are trained
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
    optimizer : "gradient_descent", "lbfgs" or "adam"
        The article's; L-BFGS (Nocedal and Wright, "Numerical optimization", 2006), which learns
        from all examples in each step, and is done soonest; or Adam (Kingma and Ba, 2015), for
        batches.
        The last two descend the mean loss, from starting weights that are brought to the size
        of Glorot and Bengio (2010).
    rule : "error_weighted_derivative", "cross_entropy" or "softmax_cross_entropy"
        The article's rule, which descends the halved squared error; the error alone, which
        descends the cross-entropy, learns more quickly and is the default of L-BFGS and Adam;
        or the same for 2 to 1,000 classes, a column of targets each, whose probabilities sum
        to 1.
    l2 : float >= 0
        Adds l2/2 * (sum of the squared weights) to the loss: shrinks weights, not biases.
    learning_rate : float > 0, or "auto"
        A factor of a sum over the examples, default 1.0: for many of them that is far too much
        with hidden layers; begin near 1 / examples. "auto", for one layer: 1 / (c ||X||^2 + l2),
        with which, without batches, the loss never rises but for rounding; c is 1/4 for
        cross-entropy, 1/2 for the softmax and 0.0770293 for the error-weighted derivative. Of
        Adam: about how far a weight moves in an iteration, default 0.001. L-BFGS has none.
    iterations : int >= 0
        How often the weights are adjusted, default 10,000; at most, for L-BFGS: 1,000.
    seed : int in [0, 2^32)
        For the random starting weights and the order of batches.
    standardize : bool or "weighted"
        Work on (inputs - mean) / deviation of each column; the network keeps both. "weighted":
        each example counts by its weight in them, too.
    sample_weight : lists or array (examples,), >= 0, optional
        How much each example counts; 2 is like having it twice.
    batch_size : int, optional
        Examples an iteration; default, and always for L-BFGS: all of them.
    shuffle : "rows", "leaves" or None
        The order of batches: each epoch draws the examples anew, or whole aligned groups
        of 64 (then batch_size is a multiple of 64), or keeps the order of the data. "rows"
        is for data in memory.
    tolerance : float >= 0
        Stop at a recorded loss that fell, but by no more than this share of the one before; not
        for L-BFGS.
    gradient_tolerance : float >= 0
        Stop L-BFGS where no slope of the mean loss over a weight or bias is steeper, default
        1e-7. It also stops where no step lowers the loss.
    loss_every : int
        Iterations between two records of the loss, default 100; 1 for L-BFGS.
    threads : int, optional
        How many may work at once on NumPy arrays, or as kernels; default: as many as there are
        processors.
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
        A function that is called with a `Progress` about once a second, and at the end, such as
        `neuron_xp.progress_bar()`; if it has a method `close`, that is called then, too.
    progress_every : int, optional
        Iterations between two calls of it, in place of a second.

    Returns
    -------
    NeuralNetwork
        Its weights are float64 (float32 where native arithmetic was given float32), in the
        library and on the device that trained them (NumPy's, from a cluster). Its `history` is
        pairs (iterations done, loss); the loss is the mean over the examples, plus the penalty
        of `l2` in proportion. Its `ending` says why, and when, the training stopped.

    Warns
    -----
    LearningWarning
        A UserWarning: the training ended and has learned little, or not converged; it says what
        to try.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it may be, or does not go with another, or there is none of the
        name.
    UnknownBackendError, MissingBackendError, UnusableBackendError
        A ValueError, ImportError and RuntimeError.
    TrainingDivergedError
        A FloatingPointError: the weights became infinite or NaN, or there is no finite loss to
        begin with.
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
    >>> xor = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> network = neuron_xp.train(*xor, hidden=(4,), bias=True, optimizer="lbfgs", l2=0.001)
    >>> network.ending.reason, network.think(xor[0])[:, 0].round()
    ('converged', array([0., 1., 1., 0.]))
    """
    for name in unknown:
        raise unknown_keyword_error("train", name, set(signature(train).parameters) - {"unknown"})
    settings = check_settings(
        optimizer=optimizer, arithmetic=arithmetic, hidden=hidden, bias=bias, rule=rule, l2=l2,
        learning_rate=learning_rate, iterations=iterations, seed=seed,
        standardize=standardize, batch_size=batch_size, shuffle=shuffle,
        tolerance=tolerance, gradient_tolerance=gradient_tolerance, loss_every=loss_every,
    )  # fmt: skip
    _check_callback(on_progress, progress_every)
    where = Where(backend=backend, device=device, threads=threads, max_memory=max_memory)
    saving = Saving.from_keywords(checkpoint, checkpoint_every, resume)
    given, names = _give_data(inputs, targets, sample_weight)
    with explain_lost_cluster(saving):
        data = open_training_set(given, settings, where)
    return fit(
        data, settings, feature_names=names, saving=saving,
        on_progress=on_progress, progress_every=progress_every,
    )  # fmt: skip


def _check_callback(on_progress: object, progress_every: object) -> None:
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be a callable, such as print; got {on_progress!r}")
    if progress_every is not None:
        check_whole_number("progress_every", progress_every, least=1)
        if on_progress is None:
            raise TypeError("progress_every is for on_progress: give it, too, or leave both out")


def _give_data(
    inputs: Any, targets: Any, sample_weight: Any
) -> tuple[Given, tuple[str, ...] | None]:
    """Return what the user gives to learn from, and the names of a data frame's columns.

    If that is nothing, it is the article's examples.
    """
    if inputs is None and targets is None:
        inputs, targets = ARTICLE_INPUTS, ARTICLE_TARGETS
    if inputs is None or targets is None:
        missing = "inputs" if inputs is None else "targets"
        raise TypeError(f"{missing} are missing; give inputs and targets, or neither")
    names = None
    if is_lazy(inputs) and hasattr(inputs, "columns"):
        names = find_names(inputs.columns)
    elif is_frame(inputs):
        inputs, names = read_frame("inputs", inputs)
    if is_frame(targets):
        targets = read_frame("targets", targets).values
    if is_frame(sample_weight):
        sample_weight = read_frame("sample_weight", sample_weight).values
    return Given(inputs=inputs, targets=targets, sample_weight=sample_weight), names
