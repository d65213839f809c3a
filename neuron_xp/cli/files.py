"""Files that the commands are given: a table from stdin, an output that may be written."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.model import model_file
from neuron_xp.model.network import NeuralNetwork


@contextmanager
def open_table_file(path: Path | str) -> Iterator[Path | str]:
    """Yield the table's file; for '-' one with the CSV from stdin."""
    if str(path) != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.csv"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


def load_network(model: Path | str, data: Path | str | None = None, **where: Any) -> NeuralNetwork:
    """Load a model file: of a path, an address that fsspec knows, or '-', stdin.

    where : backend and device; data : a table that may want stdin, too
    """
    if str(model) == "-":
        if str(data) == "-":
            raise ValueError("model and table cannot both be '-': stdin holds one of them")
        return _from_bytes(sys.stdin.buffer.read(), "stdin", **where)
    if isinstance(model, Path):
        return NeuralNetwork.load(model, **where)
    from neuron_xp.cluster.addresses import read_address

    return _from_bytes(read_address(model), model, **where)


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


def load_plots(picture: Path | None, *, force: bool, beside: Path | None = None) -> Any:
    """Return the module that draws, before any work; None where no picture is asked for.

    beside : another output, which must be another file

    Raises ValueError, ImportError or OSError for a picture that could not be written.
    """
    if picture is None:
        return None
    if picture.suffix.lower().removeprefix(".") not in KINDS_OF_PICTURES:
        kinds = ", ".join(f".{kind}" for kind in KINDS_OF_PICTURES)
        raise ValueError(f"--plot writes {kinds}, by the name's ending; got {str(picture)!r}")
    if beside is not None and picture.absolute() == beside.absolute():
        raise ValueError(f"--plot and --output are one file, {str(picture)!r}; name two")
    check_output(picture, force=force)
    return neuron_xp.plots


def check_output(path: Path, *, force: bool) -> None:
    """Raise OSError before any work: for a file that is there, or no folder to write in."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write in")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")
