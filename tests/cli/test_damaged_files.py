"""Tables that nobody saved, by the command: status 2, one line that names the file, no output."""

import random
import subprocess
import sys

import damaged_tables
import pytest
from command_lines import run_lines

from neuron_xp.tables.cells import Reading
from neuron_xp.tables.encode import read_training_table

TARGETS = {".npy": "2", ".npz": "targets"}
ENDINGS = sorted(damaged_tables.real_files())
MEMORY = ("", " --max-memory 16MiB")


def find_refused(ending, folder, count):
    """Write mutations until so many are refused; return their names."""
    chance, found = random.Random(f"command{ending}"), []
    reading = Reading(
        TARGETS.get(ending, "kind"), categories=() if ending in TARGETS else ("colour",)
    )
    while len(found) < count:
        path = folder / f"data-{len(found)}{ending}"
        path.write_bytes(damaged_tables.mutate(ending, chance))
        try:
            read_training_table(path, reading)
        except (ValueError, TypeError, OSError):
            found.append(path.name)
    return found


def spell_line(name, ending, memory=""):
    categories = "" if ending in TARGETS else " --categories colour"
    target = TARGETS.get(ending, "kind")
    return f"train {name} --target {target}{categories} -o model-{name}{memory}"


def is_one_line(status, stdout, stderr, name):
    return (
        (status, stdout) == (2, "")
        and stderr.startswith("neuron-xp: ")
        and stderr.count("\n") == 1
        and stderr[:-1].isprintable()
        and name in stderr
    )


def test_damaged_files(tmp_path):
    lines = {}
    for ending in ENDINGS:
        for name in find_refused(ending, tmp_path, 6):
            lines |= {spell_line(name, ending, memory): name for memory in MEMORY}
    before = sorted(tmp_path.iterdir())
    found = run_lines(tmp_path, lines)
    assert {line: said for line, said in found.items() if not is_one_line(*said, lines[line])} == {}
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", [".csv.gz", ".npz", ".parquet"])
def test_a_damaged_file_in_a_process(tmp_path, ending):
    [name] = find_refused(ending, tmp_path, 1)
    line = [sys.executable, "-m", "neuron_xp", *spell_line(name, ending).split()]
    run = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert is_one_line(run.returncode, run.stdout, run.stderr, name), run
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("memory", MEMORY)
def test_statistics_that_do_not_fit_end_no_process(tmp_path, memory):
    """Of a column that may have nulls, where the schema says that it has none."""
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    content, schema = damaged_tables.real_files()[".parquet"], b"\x25\x02\x18\x06length"
    assert content.count(schema) == 1
    path = tmp_path / "data.parquet"
    path.write_bytes(content.replace(schema, schema.replace(b"\x02", b"\x00")))
    line = spell_line(path.name, ".parquet", memory)
    [said] = run_lines(tmp_path, [line]).values()
    assert is_one_line(*said, path.name), said
