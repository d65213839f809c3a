"""Tables that the workers of a cluster read, each file by a task: no row comes to the client."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import dask
from dask import array as da
from fsspec.core import url_to_fs

from neuron_xp.cluster.addresses import explain_address
from neuron_xp.cluster.scheduler import find_scheduler
from neuron_xp.files.temporary import open_temporary_folder
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import Table, read_table
from neuron_xp.tables.files import check_one_kind, find_parts, pick_tables
from neuron_xp.tables.survey import (
    Survey,
    decide_columns,
    find_constant_inputs,
    merge_surveys,
    survey_file,
)

Surveys = tuple[Survey, tuple[int, ...]]
"""The survey of several files, and the rows of each."""


def spread_table(path: str, reading: Reading, columns: Columns | None = None) -> Table:
    """Return a table whose inputs and targets are Dask arrays, with a chunk for each file.

    path : file, folder or pattern, the same for all workers; or an address that fsspec knows,
        such as s3://bucket/part-*.parquet
    columns : those of a model; None for training, in which they are found

    Raises what `decide_columns` and `read_table` do.
    """
    parts = _list_parts(path)
    survey, rows = find_scheduler().fold(
        _survey_part, [(part, reading) for part in parts], _merge_surveys
    )
    constant: tuple[str, ...] = ()
    if columns is None:
        columns = decide_columns(survey)
        constant = find_constant_inputs(survey, columns)
    load = dask.delayed(partial(_load_part, reading=reading, columns=columns), pure=False, nout=2)
    loaded = [(load(part), count) for part, count in zip(parts, rows, strict=True) if count]

    def join(which: int, width: int) -> Any:
        return da.concatenate([
            da.from_delayed(tables[which], (count, width), "float64") for tables, count in loaded
        ])  # fmt: skip

    return Table(
        inputs=join(0, len(columns.input_names)), targets=join(1, columns.neurons),
        columns=columns, dropped=survey.dropped, constant=constant,
    )  # fmt: skip


def bring_arrays(*arrays: Any) -> list[Any]:
    """Compute Dask arrays, and bring them into the memory of the client."""
    return find_scheduler().bring(list(arrays))


def _survey_part(part: str, reading: Reading) -> Surveys:
    """Survey one file (a task)."""
    with _open_locally(part) as file:
        survey = survey_file(file, reading)
    return survey, (survey.rows,)


def _merge_surveys(a: Surveys, b: Surveys) -> Surveys:
    """Merge the surveys of two runs of files, in their order (a task)."""
    return merge_surveys(a[0], b[0]), (*a[1], *b[1])


def _load_part(part: str, *, reading: Reading, columns: Columns) -> tuple[Any, Any]:
    """Read the inputs and targets of one file (a task)."""
    with _open_locally(part) as file:
        table = read_table(file, reading, columns, targets=True)
    return table.inputs, table.targets


def _list_parts(path: str) -> tuple[str, ...]:
    """List the names of the files, in lexicographic order."""
    if "://" not in path:
        return tuple(map(str, find_parts(Path(path).absolute())))
    with explain_address(path):
        system, name = url_to_fs(path)
        if not glob.has_magic(name) and not system.isdir(name):
            return (path,)
        found = system.glob(name) if glob.has_magic(name) else system.ls(name, detail=False)
    parts = pick_tables(map(PurePosixPath, found))
    if not parts:
        raise FileNotFoundError(f"no table is at {path!r}")
    check_one_kind(path, parts)
    return tuple(system.unstrip_protocol(str(file)) for file in parts)


@contextmanager
def _open_locally(part: str) -> Iterator[Path]:
    """Yield the path of a file; of one at an address that fsspec knows, the path of a copy."""
    if "://" not in part:
        yield Path(part)
        return
    system, name = url_to_fs(part)
    with open_temporary_folder() as folder:
        copy = folder / PurePosixPath(name).name
        system.get_file(name, str(copy))
        yield copy
