"""Files that the commands are given: a table from stdin, an output that may be written."""

import glob
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import OTHER_NAMES
from neuron_xp.files.durable import check_writable
from neuron_xp.files.temporary import open_temporary_folder
from neuron_xp.model import model_file
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.tables.files import READERS, find_parts


class AnyPath(click.Path):
    """A file, or what else click.Path allows, or an address such as s3://bucket/part-*.csv."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a path, but an address as it is."""
        if not value:  # Path would make it the current folder
            self.fail("a name is empty: give a file", param, ctx)
        return value if "://" in str(value) else super().convert(value, param, ctx)


MODEL = AnyPath(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
DATA = AnyPath(path_type=Path, allow_dash=True)
OUT = click.Path(dir_okay=False, path_type=Path)


def read_column(text: str) -> str | int:
    """Return the name of a table's column, or its number from 0."""
    return int(text) if text.isdecimal() else text


class TableCommand(click.Command):
    """A command whose last argument is DATA, which says what more than one may have meant."""

    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and raise UsageError for what is left."""
        try:
            left = super().parse_args(ctx, args)
        except (click.BadOptionUsage, click.NoSuchOption) as error:
            advice = self._explain_option(error.option_name, ctx)
            if not advice:
                raise
            raise click.UsageError(f"{error.message} {advice}") from error
        if left and not ctx.resilient_parsing:
            raise click.UsageError(_explain_left([str(ctx.params["data"]), *left]))
        return left

    def _explain_option(self, name: str, ctx: click.Context) -> str:
        """Say what to do about an option that only `train` has, or other libraries, or no value."""
        if name == "--delimiter":
            return "A shell wants quotes around it: --delimiter ';'."
        group = ctx.find_root().command
        train = group.get_command(ctx, "train") if isinstance(group, click.Group) else None
        options = {text for option in getattr(train, "params", ()) for text in option.opts}
        if name in options:
            return "The model knows it from its training: leave it out."
        meant = OTHER_NAMES.get(name.lstrip("-").replace("-", "_"), "").replace("_", "-")
        return f"Type --{meant}." if f"--{meant}" in options and train is self else ""


def _explain_left(words: list[str]) -> str:
    """Say in a line what to type for several words where DATA is one."""
    shown = ", ".join(map(repr, words[1:4])) + (", ..." if len(words) > 4 else "")
    message = f"DATA is one table, {words[0]!r}, and more was given: {shown}"
    if os.path.exists(" ".join(words)):
        return f"{message}; put quotes around what holds spaces: {shlex.quote(' '.join(words))}"
    if all(map(os.path.exists, words)):
        guess = _guess_pattern(words)
        if guess is None:
            return f"{message}; put the parts of a table into a folder, and give that"
        return f"{message}; put quotes around a pattern, so that the shell leaves it: '{guess}'"
    if words[1].lower() in ("true", "false", "yes", "no", "on", "off"):
        return f"{message}; a flag has no value: type --bias or --no-bias, and so on"
    return f"{message}; write lists as a,b,c, and quotes around what holds spaces"


def _guess_pattern(names: list[str]) -> str | None:
    """Find the pattern that these files, and no others, match."""
    folder, ending = Path(names[0]).parent, Path(names[0]).suffix
    letters = zip(*(Path(name).name for name in names), strict=False)
    shared = takewhile(lambda found: len(set(found)) == 1, letters)
    start = "".join(letter for letter, *_ in shared)
    for pattern in (f"*{ending}", f"{start}*{ending}", "*", f"{start}*"):
        guess = str(folder / pattern)
        if {*map(Path, glob.glob(guess))} == {*map(Path, names)}:
            return guess
    return None


@contextmanager
def open_table_file(path: Path | str, *, on_cluster: bool | None = None) -> Iterator[Path | str]:
    """Yield the table's file; for '-' one with the CSV from stdin.

    on_cluster : whether workers read it; None for a command that has none
    """
    if "://" in str(path) and not on_cluster:
        raise ValueError(_explain_address(str(path), may_have_workers=on_cluster is not None))
    if str(path) != "-":
        yield path
        return
    content = open_stdin()
    with open_temporary_folder() as folder:
        copy = folder / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(content, file)
        yield copy


def _explain_address(address: str, *, may_have_workers: bool) -> str:
    by_curl = address.startswith(("https://", "http://", "ftp://"))
    how = f" (curl -O {shlex.quote(address)}, or a browser)" if by_curl else ""
    if address.startswith("file://"):
        how = ", or give its path"
    if may_have_workers:
        return (f"{address!r} is for the workers of a cluster; type --workers N, and they read "
                f"what fsspec knows, or download it first{how}")  # fmt: skip
    return f"{address!r} is an address; download it first{how}"


def load_network(model: Path | str, data: Path | str | None = None, **where: Any) -> NeuralNetwork:
    """Load a model file: of a path, an address that fsspec knows, or '-', stdin.

    where : backend and device; data : a table that may want stdin, too
    """
    if str(model) == "-":
        if str(data) == "-":
            raise ValueError("model and table cannot both be '-': stdin holds one of them")
        return _from_bytes(open_stdin().read(), "stdin", **where)
    if isinstance(model, Path):
        try:
            return NeuralNetwork.load(model, **where)
        except neuron_xp.ModelFileError:
            if data is None or model.suffix.lower() not in READERS:
                raise
            raise neuron_xp.ModelFileError(
                f"{model} is not a model file but a table, by its name; MODEL stands before DATA"
            ) from None
    from neuron_xp.cluster.addresses import read_address

    return _from_bytes(read_address(model), model, **where)


def open_stdin() -> Any:
    """Return stdin, for bytes; ValueError if it is closed."""
    if sys.stdin is None:
        raise ValueError("stdin is closed, and '-' reads it; give a file")
    return sys.stdin.buffer


def _from_bytes(
    content: bytes, source: str, backend: Any = "numpy", device: Any = None
) -> NeuralNetwork:
    model = model_file.from_bytes(content, source)
    return NeuralNetwork.from_model(model, open_backend(backend, device))


KINDS_OF_PICTURES = ("png", "svg", "pdf")
PLOT = click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="A picture: .png, .svg or .pdf.  [extra plots]",
)  # fmt: skip


def load_plots(picture: Path | None, *, force: bool) -> Any:
    """Return the module that draws, before any work; None where no picture is asked for.

    Raises ValueError, ImportError or OSError for a picture that could not be written.
    """
    if picture is None:
        return None
    if picture.suffix.lower().removeprefix(".") not in KINDS_OF_PICTURES:
        kinds = ", ".join(f".{kind}" for kind in KINDS_OF_PICTURES)
        raise ValueError(f"--plot writes {kinds}, by the name's ending; got {str(picture)!r}")
    check_output(picture, force=force)
    return neuron_xp.plots


def check_csv_name(path: Path) -> None:
    """Raise ValueError for a name by which another program takes CSV for something else."""
    if path.suffix.lower() in (".xlsx", ".xls", ".ods", ".parquet", ".json", ".npy", ".npz"):
        raise ValueError(f"answers are written as CSV: type -o {shlex.quote(f'{path.stem}.csv')}")


def check_output(path: Path, *, force: bool) -> None:
    """Raise OSError before any work: for a file that is there, or no folder to write in."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write in")
    if path.is_file() and not path.is_symlink() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")
    check_writable(path)


def check_apart(
    outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | str | None]
) -> None:
    """Raise ValueError if an output is an input, or another output, by this name or a link."""
    seen = [(name, path) for name, path in inputs.items() if path is not None]
    for name, path in outputs.items():
        if path is None or str(path) == "-":
            continue
        for other, there in seen:
            if _are_same(path, there):
                raise ValueError(f"{name} {str(path)!r} is also {other}; name another file")
        seen.append((name, path))


def _are_same(path: Path, other: Path | str) -> bool:
    if str(other) == "-" or "://" in str(other):
        return False
    found = [Path(other)]
    with suppress(OSError, ValueError):  # the command says it, when it reads the table
        found += find_parts(other)
    return any(path.resolve() == one.resolve() or _is_one_file(path, one) for one in found)


def _is_one_file(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
