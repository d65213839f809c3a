"""pyarrow, which reads text and Parquet: its modules, and its columns as ours."""

import importlib
from typing import Any

from neuron_xp.tables.cells import Words
from neuron_xp.tables.readers.missing import find_gaps


def import_pyarrow(module: str, purpose: str) -> Any:
    """Import pyarrow and a module of it; ImportError says what it is for, and how to get it."""
    try:
        importlib.import_module(f"pyarrow.{module}")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ImportError(f"{purpose} needs pyarrow; type: pip install pyarrow") from error


def to_words(column: Any, decimal: str) -> Words:
    """Take a column of text, a pyarrow.Array of dictionaries or a pyarrow.ChunkedArray of them.

    Python sees each distinct word once, and not each row.
    """
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
    words = [word.strip() for word in column.dictionary.to_pylist()]
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return find_gaps(Words(codes, tuple(words), decimal))
