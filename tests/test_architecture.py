"""The rules of the house: what may import what, who names libraries, who prints, how long."""

import ast
import re
import sys
from pathlib import Path

import pytest

from neuron_xp.backends import LIBRARIES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "neuron_xp"
FILES = sorted(PACKAGE.rglob("*.py"))
LIMIT_OF_LINES = 300

# bottom to top: a file may import those of the rows above its own
LEVELS = [
    ["neuron.types"],
    ["neuron.reproducible"],
    ["neuron.exact_sum", "neuron.logarithm"],
    ["neuron.arithmetic"],
    ["neuron.activations"],
    ["neuron.learning_rules", "neuron.layers"],
    ["neuron.step"],
    ["errors", "datasets", "backend", "durable_files", "workers"],
    ["kernels.numba_vectors", "kernels.numba_compiler"],
    ["kernels.numba_arithmetic"],
    ["kernels.numba_leaf"],
    ["kernels.numba_network"],
    ["kernels.cpu", "kernels.cuda"],
    ["table_cells"],
    ["backends"],
    ["npy_files", "row_files", "clusters"],
    ["table_text", "table_arrays"],
    ["table_columns", "table_parquet", "table_words"],
    ["table_parts", "table_targets"],
    ["table_survey"],
    ["tables"],
    ["cluster_tables"],
    ["status", "checks", "arrays", "random_start", "probe", "fingerprint"],
    ["settings"],
    ["table_use"],
    ["table_data"],
    ["batches", "loop", "model_files", "engine"],
    ["checkpoints", "network", "training_sets"],
    ["preparation", "in_parts"],
    ["stream", "distributed"],
    ["fit"],
    ["training"],
    ["cases"],
    ["matrix", "tasks", "bench"],
    ["__init__", "command_options"],
    ["file_commands", "bench_command"],
    ["cli"],
    ["__main__"],
]
FOLDERS = {"neuron.__init__", "kernels.__init__"}
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def module_name(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


def imports(file):
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            if node.module != "neuron_xp":
                yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_no_import_runs_upward(file):
    name = module_name(file)
    if name in FOLDERS:
        assert list(imports(file)) == []
        return
    below = {n for n, level in LEVEL.items() if level < LEVEL[name]}
    for module in imports(file):
        inner = module.removeprefix("neuron_xp.")
        if module == "neuron_xp":
            assert name in ("cli", "__main__"), f"{name} imports the whole package"
        elif module.startswith("neuron_xp.") and inner in LEVEL:
            assert inner in below, f"{name} imports {inner}, which stands no lower"


@pytest.mark.parametrize("file", sorted((PACKAGE / "neuron").glob("*.py")), ids=module_name)
def test_the_mathematics_imports_the_standard_library_and_its_own_folder(file):
    for module in imports(file):
        top = module.partition(".")[0]
        assert top in sys.stdlib_module_names or module.startswith("neuron_xp.neuron"), module


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_only_backends_imports_array_libraries(file):
    named = {*LIBRARIES, "array_api_compat", "dask"}
    found = {module.partition(".")[0] for module in imports(file)} & named
    if file.name in ("distributed.py", "clusters.py", "cluster_tables.py"):  # they name Dask
        assert found == {"dask"}
    else:
        assert found == set() or file.name == "backends.py" or file.parent.name == "kernels"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_kernels_are_reached_through_backends_only(file):
    reached = [module for module in imports(file) if module.startswith("neuron_xp.kernels")]
    assert not reached or file.name == "backends.py" or file.parent.name == "kernels"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_only_the_command_line_prints(file):
    calls = (n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call))
    prints = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not prints or file.name == "cli.py"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_the_mathematics_is_written_once(file):
    """One sigmoid, one gradient, one rule, one update; kernels spell them again, to the bit."""
    if file.parent.name == "kernels":
        return
    text = file.read_text("utf-8")
    for name, home in (
        ("sigmoid", "activations.py"),
        ("sigmoid_gradient", "activations.py"),
        ("error_weighted_derivative", "learning_rules.py"),
        ("weighted_sum", "reproducible.py"),
        ("cross_entropy", "learning_rules.py"),
        ("back_propagate", "layers.py"),
        ("adjust", "step.py"),
    ):
        assert not re.search(rf"^def {name}\(", text, re.MULTILINE) or file.name == home


@pytest.mark.parametrize(
    "file", [*FILES, *sorted((ROOT / "tests").glob("*.py"))], ids=lambda file: file.name
)
def test_files_stay_short(file):
    assert len(file.read_text("utf-8").splitlines()) <= LIMIT_OF_LINES


def test_every_file_has_its_level():
    assert {module_name(file) for file in FILES} - FOLDERS == set(LEVEL)
