"""The options of the commands on tables and model files, and the records made of them."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from neuron_xp import checks
from neuron_xp.cli.files import OUT, read_column
from neuron_xp.errors import NO_DASK
from neuron_xp.model.checkpoint import Saving
from neuron_xp.model.settings import AUTO
from neuron_xp.neuron.losses import RULES
from neuron_xp.tables.cells import Reading
from neuron_xp.training.data.training_set import Where
from neuron_xp.workflows.table_training import TableSettings, check_table_settings

F = TypeVar("F", bound=Callable[..., Any])

OPTIMIZERS = ("lbfgs", "adam", "gradient_descent")
COMMON = check_table_settings().base


def tell_defaults(setting: str) -> str:
    """End a help text: "  [default: 1000 (lbfgs); 10000 (adam, gradient_descent)]"."""
    names: dict[Any, list[str]] = {}
    for optimizer in OPTIMIZERS:
        found = check_table_settings(optimizer=optimizer)
        by_target = setting == "rule" and found.rule_by_target
        value = "by the target" if by_target else getattr(found.base, setting)
        if value is not None:
            names.setdefault(value, []).append(optimizer)
    told = (f"{value} ({', '.join(optimizers)})" for value, optimizers in names.items())
    return f"  [default: {'; '.join(told)}]"


class Rate(click.ParamType):  # type: ignore[type-arg]
    """A number, or the word auto."""

    name = "number|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value for `train`."""
        return AUTO if value == AUTO else click.FLOAT.convert(value, param, ctx)


class ClassWeights(click.ParamType):  # type: ignore[type-arg]
    """The word balanced, or numbers of classes."""

    name = "balanced|CLASS=NUMBER,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value for `train_on_table`."""
        if value == "balanced" or not isinstance(value, str):
            return value
        pairs = [pair.rpartition("=") for pair in value.split(",")]
        if not all(name and equals for name, equals, _ in pairs):
            self.fail(f"give balanced, or CLASS=NUMBER,...; got {value!r}", param, ctx)
        return {name: float(click.FLOAT(number, param, ctx)) for name, _, number in pairs}


class MemorySize(click.ParamType):  # type: ignore[type-arg]
    """Bytes, as a number or with a unit."""

    name = "bytes"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return how many bytes."""
        return checks.check_memory_size("--max-memory", value)


class LayerSizes(click.ParamType):  # type: ignore[type-arg]
    """The size of a layer, or those of several after each other."""

    name = "integer,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a tuple of sizes."""
        if isinstance(value, tuple):
            return value
        with suppress(ValueError):
            sizes = tuple(map(int, value.split(",")))
            if min(sizes) > 0:
                return sizes
        return self.fail(f"give sizes of layers, such as 16 or 16,8; got {value!r}", param, ctx)


class Share(click.ParamType):  # type: ignore[type-arg]
    """A share of the rows."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a float in [0, 1)."""
        with suppress(ValueError):
            if 0 <= float(value) < 1:
                return float(value)
        return self.fail(f"give a share of rows below 1, such as 0.2; got {value!r}", param, ctx)


WHERE = [
    click.option("--backend", default="numpy", show_default=True, help="The array library."),
    click.option("--device", help="As the library spells it."),
]
TEXT_LIKE_TRAINING = [
    click.option("--delimiter", help="Between cells.  [default: as in training]"),
    click.option("--decimal", help="A point or a comma.  [default: as in training]"),
    click.option("--header/--no-header", default=None,
                 help="Does the first line name the columns?  [default: as in training]"),
]  # fmt: skip
READING = [
    click.option("--target", required=True, help="The column to learn: name, or number from 0."),
    click.option("--features", help="The columns to learn from: a,b,c.  [default: all others]"),
    click.option("--categories", multiple=True, help="A feature of words; may be repeated."),
    click.option("--delimiter", help="Between cells; tab is one.  [default: comma; tab in .tsv]"),
    click.option("--decimal", default=".", show_default=True, help="Or a comma."),
    click.option("--header/--no-header", default=True, show_default=True,
                 help="Does the first line name the columns? Else they are 0, 1, ..."),
    click.option("--drop-missing", is_flag=True, help="Leave rows with missing cells out."),
]  # fmt: skip
WEIGHTS = [
    click.option("--weights", help="The column that says how much each row counts; where "
                 "rows are scored, each counts once."),
    click.option("--class-weights", type=ClassWeights(), metavar="balanced|CLASS=NUMBER,...",
                 help="How much rows of a class count."),
]  # fmt: skip
SETTINGS = [
    click.option("--hidden", type=LayerSizes(), multiple=True,
                 help="Sizes of hidden layers: 16,8; or one, repeated."),
    click.option("--optimizer", type=click.Choice(OPTIMIZERS), default=COMMON.optimizer,
                 show_default=True, help="How weights are adjusted."),
    click.option("--rule", type=click.Choice(list(RULES)),
                 help="What is descended." + tell_defaults("rule")),
    click.option("--l2", type=float, help="Shrinks weights." + tell_defaults("l2")),
    click.option("--learning-rate", type=Rate(),
                 help="Of the adjustments." + tell_defaults("learning_rate")),
    click.option("--iterations", type=int, help="At most." + tell_defaults("iterations")),
    click.option("--gradient-tolerance", type=float,
                 help="Stop where no slope is larger." + tell_defaults("gradient_tolerance")),
    click.option("--tolerance", type=float,
                 help="Stop when the loss settles; not for lbfgs.  [default: 0]"),
    click.option("--seed", type=int, default=COMMON.seed, show_default=True,
                 help="Of start and split."),
    click.option("--bias/--no-bias", default=COMMON.bias, show_default=True,
                 help="For each neuron."),
    click.option("--standardize/--no-standardize", default=COMMON.standardize, show_default=True,
                 help="Scale columns to mean 0, deviation 1."),
    click.option("--batch-size", type=int,
                 help="Rows an iteration; not for lbfgs.  [default: all]"),
    click.option("--shuffle", type=click.Choice(["rows", "leaves"]), help="Order of batches."),
    click.option("--arithmetic", type=click.Choice(["reproducible", "native"]),
                 default=COMMON.arithmetic, show_default=True, help="Or the library's own."),
]  # fmt: skip
THREADS = [
    click.option("--threads", type=int, help="Of NumPy's work.  [default: one a processor]"),
]
MEMORY = [
    click.option("--max-memory", type=MemorySize(), help="For the data, such as 500MB or 2GiB: "
                 "they are then read by parts.  [default: read whole]"),
]  # fmt: skip
CLUSTER = [
    click.option("--scheduler", metavar="ADDRESS", help="Join the Dask cluster at tls://HOST:PORT "
                 "or tcp://HOST:PORT, which runs what anybody sends it."),
    click.option("--workers", type=click.IntRange(min=1), help="Start so many processes for it."),
    click.option("--dashboard", is_flag=True, help="With --workers: Dask's web page, on "
                 "http://127.0.0.1:8787; every user of this machine can see it."),
]  # fmt: skip
SAVING = [
    click.option("--checkpoint", type=OUT, help="Save here as it goes."),
    click.option("--checkpoint-every", type=int, help="Iterations.  [default: ten seconds]"),
    click.option("--resume", is_flag=True, help="Go on from the checkpoint."),
]


def options(*groups: list[Any]) -> Callable[[F], F]:
    """Several groups of options as one decorator."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


def given_as(**builders: Callable[..., Any]) -> Callable[[F], F]:
    """Give a command records in place of single options: reading=build_reading, ...

    A builder takes the options that its parameters name; those with defaults may be absent.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def command(*arguments: Any, **values: Any) -> Any:
            for name, build in builders.items():
                options = inspect.signature(build).parameters
                values[name] = build(**{o: values.pop(o) for o in options if o in values})
            return function(*arguments, **values)

        return command  # type: ignore[return-value]

    return decorate


def build_reading(
    target: str, features: str | None, categories: tuple[str, ...], delimiter: str | None,
    decimal: str, header: bool, drop_missing: bool,
) -> Reading:  # fmt: skip
    """Return how to read a table."""
    return Reading(
        target=read_column(target),
        features=None if features is None else _split_names(features),
        categories=categories,
        delimiter=delimiter,
        decimal=decimal,
        header=header,
        drop_missing=drop_missing,
    )


def _split_names(text: str) -> tuple[str, ...]:
    """Split names at commas; the spaces around them are no part of them, as in a table of text."""
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise ValueError(f"--features needs a name at each comma, such as a,b,c; got {text!r}")
    return names


class TextOptions(NamedTuple):
    """The options of TEXT_LIKE_TRAINING."""

    delimiter: str | None
    decimal: str | None
    header: bool | None


def build_settings(
    hidden: tuple[tuple[int, ...], ...], optimizer: str, rule: str | None, l2: float | None,
    learning_rate: float | str | None, iterations: int | None, gradient_tolerance: float | None,
    tolerance: float | None, seed: int, bias: bool, standardize: bool, batch_size: int | None,
    shuffle: str | None, arithmetic: str,
) -> TableSettings:  # fmt: skip
    """Return the settings of a training."""
    return check_table_settings(
        hidden=tuple(chain(*hidden)), optimizer=optimizer, rule=rule, l2=l2, iterations=iterations,
        learning_rate=learning_rate, gradient_tolerance=gradient_tolerance, tolerance=tolerance,
        seed=seed, bias=bias, standardize=standardize, batch_size=batch_size, shuffle=shuffle,
        arithmetic=arithmetic,
    )  # fmt: skip


def build_saving(
    checkpoint: Path | None, checkpoint_every: int | None, resume: bool
) -> Saving | None:
    """Return where and when checkpoints are written."""
    return Saving.from_keywords(checkpoint, checkpoint_every, resume)


def build_where(
    backend: str, device: str | None, threads: int | None = None, max_memory: int | None = None
) -> Where:
    """Return on what to train, and with how much."""
    return Where(backend=backend, device=device, threads=threads, max_memory=max_memory)


class ClusterOptions(NamedTuple):
    """The options of CLUSTER."""

    scheduler: str | None
    workers: int | None
    dashboard: bool


@contextmanager
def open_cluster_of(cluster: ClusterOptions, where: Where) -> Iterator[bool]:
    """Open the cluster that the options ask for, if any; tell whether there is one."""
    if cluster.scheduler is None and cluster.workers is None:
        if cluster.dashboard:
            raise click.UsageError("--dashboard shows what --workers do; give that, too")
        yield False
        return
    if cluster.scheduler is not None and cluster.workers is not None:
        raise click.UsageError("--scheduler joins a cluster and --workers starts one; give one")
    if where.max_memory is not None:
        raise click.UsageError("--max-memory bounds this process, and a cluster's workers have "
                               "limits of their own; leave it out")  # fmt: skip
    try:
        from neuron_xp.cluster.opening import open_cluster
    except ImportError as error:
        raise ImportError(NO_DASK) from error
    with open_cluster(cluster.scheduler, cluster.workers, dashboard=cluster.dashboard):
        yield True
