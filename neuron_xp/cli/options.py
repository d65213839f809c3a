"""The options of the commands on tables and model files, and the records made of them."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from neuron_xp import checks
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


class TablePath(click.Path):
    """A file, a folder, a pattern, '-', or an address such as s3://bucket/part-*.csv."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a path, but an address as it is."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


class ModelPath(click.Path):
    """A file, '-' for stdin, or an address such as s3://bucket/model.safetensors."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a path, but an address as it is."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


MODEL = ModelPath(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
DATA = TablePath(path_type=Path, allow_dash=True)
OUT = click.Path(dir_okay=False, path_type=Path)

WHERE = [
    click.option("--backend", default="numpy", show_default=True, help="The array library."),
    click.option("--device", help="As the library spells it."),
]
READING = [
    click.option("--target", required=True, help="The column to learn: name, or number from 0."),
    click.option("--features", help="The columns to learn from: a,b,c.  [default: all others]"),
    click.option("--categories", multiple=True, help="A feature of words; may be repeated."),
    click.option("--delimiter", help="Between cells.  [default: comma; tab in .tsv]"),
    click.option("--decimal", default=".", show_default=True, help="Or a comma."),
    click.option("--drop-missing", is_flag=True, help="Leave rows with missing cells out."),
]
WEIGHTS = [
    click.option("--weights", help="The column that says how much each row counts; where "
                 "rows are scored, each counts once."),
    click.option("--class-weights", type=ClassWeights(), metavar="balanced|CLASS=NUMBER,...",
                 help="How much rows of a class count."),
]  # fmt: skip
SETTINGS = [
    click.option("--hidden", type=int, multiple=True, help="A hidden layer; may be repeated."),
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
    decimal: str, drop_missing: bool,
) -> Reading:  # fmt: skip
    """Return how to read a table."""
    return Reading(
        target=int(target) if target.isdecimal() else target,
        features=None if features is None else tuple(features.split(",")),
        categories=categories,
        delimiter=delimiter,
        decimal=decimal,
        drop_missing=drop_missing,
    )


def build_settings(
    hidden: tuple[int, ...], optimizer: str, rule: str | None, l2: float | None,
    learning_rate: float | str | None, iterations: int | None, gradient_tolerance: float | None,
    tolerance: float | None, seed: int, bias: bool, standardize: bool, batch_size: int | None,
    shuffle: str | None, arithmetic: str,
) -> TableSettings:  # fmt: skip
    """Return the settings of a training."""
    return check_table_settings(
        hidden=hidden, optimizer=optimizer, rule=rule, l2=l2, learning_rate=learning_rate,
        iterations=iterations, gradient_tolerance=gradient_tolerance, tolerance=tolerance,
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
