"""pyarrow, which reads text and Parquet: its modules, and its columns as ours."""

import importlib
from typing import Any

import numpy as np

from neuron_xp.tables.cells import Words
from neuron_xp.tables.readers.missing import find_gaps


def import_pyarrow(module: str, purpose: str) -> Any:
    """Import pyarrow and a module of it; ImportError says what it is for, and how to get it."""
    try:
        importlib.import_module(f"pyarrow.{module}")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ImportError(f"{purpose} needs pyarrow; type: pip install pyarrow") from error


def to_numpy(column: Any, missing: float) -> np.ndarray:
    """Take a pyarrow.Array of numbers, or a pyarrow.ChunkedArray, with a number for nulls.

    By DLPack: pyarrow's own to_numpy imports pandas where that is installed, for half a second.
    """
    column = _combine(column)
    return np.from_dlpack(column.fill_null(missing) if column.null_count else column)


def to_words(column: Any, decimal: str) -> Words:
    """Take a column of text, a pyarrow.Array of dictionaries or a pyarrow.ChunkedArray of them.

    Python sees each distinct word once, and not each row.
    """
    column = _combine(column)
    codes = to_numpy(column.indices, -1)
    words = [word.strip() for word in column.dictionary.to_pylist()]
    return find_gaps(Words(codes, tuple(words), decimal))


def _combine(column: Any) -> Any:
    """Return a pyarrow.Array, of the chunks of a pyarrow.ChunkedArray."""
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column
