"""How fast tables are read, beside pandas and pyarrow: python -m ci.benchmarks.tables."""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from ci.benchmarks.machine import describe, describe_in_words, measure_peak, restart_peak
from neuron_xp.model.table_use import TableUse
from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import read_training_table
from neuron_xp.workflows.clock import time_call
from neuron_xp.workflows.table_data import open_table_data

ROUNDS = 9
ROWS, LARGE_ROWS, FEATURES, MEMORY = 200_000, 1_000_000, 20, 256 * 10**6
READING = Reading("kind")
Found = dict[str, Any]


def write_tables(folder: Path) -> None:
    """Write rows of numbers with 17 digits and a class: small.csv, small.parquet, large.csv."""
    generator = np.random.default_rng(0)
    names = [f"x{i}" for i in range(FEATURES)]
    with (folder / "large.csv").open("wb") as large:
        for first in range(0, LARGE_ROWS, ROWS):
            table = pa.table(list(generator.standard_normal((FEATURES, ROWS))), names)
            kind = pa.array(np.where(generator.random(ROWS) < 0.5, "benign", "malignant"))
            table = table.append_column("kind", kind)
            if not first:
                csv.write_csv(table, folder / "small.csv")
                parquet.write_table(table, folder / "small.parquet")
            csv.write_csv(table, large, csv.WriteOptions(include_header=not first))


def compare(readers: dict[str, Callable[[], object]]) -> Found:
    """Call the readers by turns; return the median seconds of each, and of the first's ratios."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for round_number in range(ROUNDS + 1):
        for name, read in readers.items():
            spent, _ = time_call(read)
            if round_number:  # the first one warms up
                seconds[name].append(spent)
    ours, *others = seconds
    found: Found = {f"{name}, s": round(median(spent), 4) for name, spent in seconds.items()}
    for other in others:
        ratios = (x / y for x, y in zip(seconds[ours], seconds[other], strict=True))
        found[f"times {other}"] = round(median(ratios), 2)
    return found


def measure(folder: Path) -> dict[str, Found]:
    """Return what is found of each file."""
    text, columns = folder / "small.csv", folder / "small.parquet"
    use = TableUse(READING, Columns((), "", None, ()))

    def stream() -> None:
        with open_table_data(
            folder / "large.csv", use, known=False, max_memory=MEMORY, on_cluster=False
        ) as table:
            assert table.training.count == LARGE_ROWS

    before = restart_peak()
    seconds, _ = time_call(stream)
    streamed = {"s": round(seconds, 2), "grows by, MB": round((measure_peak() - before) / 1e6)}
    return {
        f"{LARGE_ROWS:,} x {FEATURES} of CSV, max_memory={MEMORY:,}": streamed,
        f"{ROWS:,} x {FEATURES} of CSV": compare({
            "neuron_xp": lambda: read_training_table(text, READING),
            "pandas": lambda: pd.read_csv(text),
            "pyarrow": lambda: csv.read_csv(text),
        }),
        f"{ROWS:,} x {FEATURES} of Parquet": compare({
            "neuron_xp": lambda: read_training_table(columns, READING),
            "pandas": lambda: pd.read_parquet(columns),
            "pyarrow": lambda: parquet.read_table(columns),
        }),
    }  # fmt: skip


def main() -> None:
    """Measure, print what is found, and write it if a file is given."""
    parser = argparse.ArgumentParser(prog="ci/tables", description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    machine = describe()
    versions = f"pandas {pd.__version__}, pyarrow {pa.__version__}"
    print(f"{describe_in_words(machine)}, {versions}", end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder))
        found = measure(Path(folder))
    for name, figures in found.items():
        print(f"{name}:", ", ".join(f"{what} {value}" for what, value in figures.items()))
    if arguments.json:
        record = {"machine": asdict(machine), "versions": versions, "rounds": ROUNDS, **found}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
