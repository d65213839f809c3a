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
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder {str(path.parent)!r} cannot be written to")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} is there already; give --force to replace it")
