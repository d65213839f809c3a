"""Files that the commands are given: a table from stdin, an output that may be written."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.files.durable import check_writable
from neuron_xp.files.temporary import open_temporary_folder
from neuron_xp.model import model_file
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.tables.files import find_parts


@contextmanager
def open_table_file(path: Path | str) -> Iterator[Path | str]:
    """Yield the table's file; for '-' one with the CSV from stdin."""
    if str(path) != "-":
        yield path
        return
    content = open_stdin()
    with open_temporary_folder() as folder:
        copy = folder / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(content, file)
        yield copy


def load_network(model: Path | str, data: Path | str | None = None, **where: Any) -> NeuralNetwork:
    """Load a model file: of a path, an address that fsspec knows, or '-', stdin.

    where : backend and device; data : a table that may want stdin, too
    """
    if str(model) == "-":
        if str(data) == "-":
            raise ValueError("model and table cannot both be '-': stdin holds one of them")
        return _from_bytes(open_stdin().read(), "stdin", **where)
    if isinstance(model, Path):
        return NeuralNetwork.load(model, **where)
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
