"""The options of the commands on tables and model files, and what their values may be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from neuron_xp import checks
from neuron_xp.model.settings import AUTO
from neuron_xp.neuron.learning_rules import RULES

F = TypeVar("F", bound=Callable[..., Any])


class Rate(click.ParamType):  # type: ignore[type-arg]
    """A number, or the word auto."""

    name = "number|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for `train`."""
        return AUTO if value == AUTO else click.FLOAT.convert(value, param, ctx)


class MemorySize(click.ParamType):  # type: ignore[type-arg]
    """Bytes, as a number or with a unit."""

    name = "bytes"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """How many bytes."""
        return checks.memory_size("--max-memory", value)


class TablePath(click.Path):
    """A file, a folder, a pattern, '-', or an address such as s3://bucket/part-*.csv."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """A path, but an address as it is."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DATA = TablePath(path_type=Path, allow_dash=True)
OUT = click.Path(dir_okay=False, path_type=Path)

PLACE = [
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
SETTINGS = [
    click.option("--hidden", type=int, multiple=True, help="A hidden layer; may be repeated."),
    click.option("--rule", type=click.Choice(list(RULES)), default="error_weighted_derivative",
                 show_default=True, help="What is descended."),
    click.option("--l2", type=float, default=0.0, show_default=True, help="Shrinks weights."),
    click.option("--learning-rate", type=Rate(), default=AUTO, show_default=True,
                 help="Of the adjustments."),
    click.option("--iterations", type=int, default=10_000, show_default=True, help="How many."),
    click.option("--seed", type=int, default=1, show_default=True, help="Of start and split."),
    click.option("--bias/--no-bias", default=True, show_default=True, help="For each neuron."),
    click.option("--standardize", is_flag=True, help="Scale columns to mean 0, deviation 1."),
    click.option("--batch-size", type=int, help="Rows an iteration.  [default: all]"),
    click.option("--shuffle", type=click.Choice(["rows", "leaves"]), help="Order of batches."),
    click.option("--tolerance", type=float, default=0.0, help="Stop when the loss settles."),
    click.option("--threads", type=int, help="Of NumPy's work.  [default: one a processor]"),
    click.option("--arithmetic", type=click.Choice(["reproducible", "native"]),
                 default="reproducible", show_default=True, help="Or the library's own."),
]  # fmt: skip
MEMORY = [
    click.option("--max-memory", type=MemorySize(), help="For the data, such as 500MB or 2GiB: "
                 "they are then read by parts.  [default: read whole]"),
]  # fmt: skip
CLUSTER = [
    click.option("--scheduler", metavar="ADDRESS", help="Join the Dask cluster at tcp://HOST:PORT."),
    click.option("--workers", type=click.IntRange(min=1), help="Start so many processes for it."),
    click.option("--dashboard", is_flag=True, help="With --workers: Dask's web page, on "
                 "http://127.0.0.1:8787."),
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
