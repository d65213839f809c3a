"""The rules of the house: the order of its rooms, who names which library, who prints, how long."""

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "neuron_xp"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(file.parent for file in PACKAGE.rglob("__init__.py"))
LIMIT_OF_LINES = 300
LIMIT_OF_ENTRIES = 9

# A room imports only rooms before it; those of one row do not know each other. The ground is
# the files beside the rooms.
ORDER = [
    {"ground"},
    {"files"},
    {"neuron", "tables"},
    {"backends"},
    {"model", "cluster"},
    {"training"},
    {"workflows"},
    {"estimator", "plots", "testing"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]
HAND_ON_NAMES = {PACKAGE, PACKAGE / "testing"}  # what users import from; others import from files
ROOMS_OF_ONE_FILE = {"__init__", "__main__", "plots"}
STRANGERS = [{"tables", "backends"}]  # in rows of their own, and yet

# By room, or by file of the ground.
LIBRARIES = {
    "frames": {"narwhals"},
    "progress": {"rich"},
    "backends": {
        "array_api_compat", "array_api_strict", "cupy", "jax", "llvmlite", "numba", "torch",
    },
    "cluster": {"dask", "distributed", "fsspec"},
    "tables": {"pyarrow"},
    "model": {"onnx", "safetensors", "torch"},  # what a network is exported as
    "estimator": {"sklearn"},
    "plots": {"matplotlib"},
    "testing": {"pytest"},
    "cli": {"click", "rich"},
}  # fmt: skip


def dotted(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


def room_of(module):
    """The room of a module's dotted name."""
    top, _, rest = module.partition(".")
    return top if rest or top in ROOMS_OF_ONE_FILE else "ground"


def imports(file):
    """Every module that a file imports, anywhere in it, as (module, name or None)."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)


def own_imports(file):
    """The dotted names, inside the package, of the modules of it that a file imports."""
    known = {dotted(path) for path in FILES}
    for module, name in imports(file):
        if module == "neuron_xp" or module.startswith("neuron_xp."):
            inner = module.removeprefix("neuron_xp").removeprefix(".")
            longer = f"{inner}.{name}".removeprefix(".")
            yield longer if longer in known else inner or "__init__"


def libraries(file):
    """The third-party libraries that a file imports, NumPy aside."""
    tops = {module.partition(".")[0] for module, _ in imports(file)}
    return tops - sys.stdlib_module_names - {"neuron_xp", "numpy"}


def row_of(room):
    return next(number for number, rooms in enumerate(ORDER) if room in rooms)


def test_every_room_has_its_place_in_the_order():
    assert {room_of(dotted(file)) for file in FILES} == set().union(*ORDER)


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_a_room_imports_only_rooms_before_it(file):
    here = room_of(dotted(file))
    for module in own_imports(file):
        there = room_of(module)
        if there != here:
            assert row_of(there) < row_of(here), f"{dotted(file)} imports {module}"
            assert {here, there} not in STRANGERS, f"{dotted(file)} imports {module}"


def test_no_import_goes_in_a_circle():
    try:
        TopologicalSorter({dotted(file): set(own_imports(file)) for file in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_each_library_has_one_room(file):
    room = room_of(dotted(file))
    assert libraries(file) <= LIBRARIES.get(dotted(file) if room == "ground" else room, set())
    if room == "neuron":
        assert "numpy" not in {module.partition(".")[0] for module, _ in imports(file)}


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_only_the_command_line_prints(file):
    calls = (n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call))
    prints = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not prints or room_of(dotted(file)) == "cli"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_begins_with_its_rule_and_has_few_entries(room):
    tree = ast.parse((room / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree)
    assert room in HAND_ON_NAMES or len(tree.body) == 1, "a room's __init__ is its docstring"
    entries = {
        entry.name
        for entry in room.iterdir()
        if entry.suffix in (".py", ".cu", ".cuh") or (entry / "__init__.py").exists()
    }
    if room != PACKAGE:
        assert len(entries - {"__init__.py"}) <= LIMIT_OF_ENTRIES
    else:
        ground = {name for name in entries if name.endswith(".py")}
        ground -= {f"{name}.py" for name in ROOMS_OF_ONE_FILE}
        assert len(ground) <= LIMIT_OF_ENTRIES


@pytest.mark.parametrize(
    "file", [*FILES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "ci").rglob("*.py"))],
    ids=lambda file: file.relative_to(ROOT).as_posix(),
)  # fmt: skip
def test_files_stay_short(file):
    assert len(file.read_text("utf-8").splitlines()) <= LIMIT_OF_LINES


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_the_mathematics_is_written_once(file):
    """One sigmoid, one gradient, one rule, one update; kernels spell them again, to the bit."""
    if file.parent.name == "numba_kernels" or file.stem == "plots":  # which draws the sigmoid
        return
    text = file.read_text("utf-8")
    for name, home in (
        ("sigmoid", "activations.py"),
        ("sigmoid_gradient", "activations.py"),
        ("error_weighted_derivative", "losses.py"),
        ("weighted_sum", "elementary.py"),
        ("cross_entropy", "losses.py"),
        ("back_propagate", "layers.py"),
        ("adjust", "step.py"),
    ):
        assert not re.search(rf"^def {name}\(", text, re.MULTILINE) or file.name == home


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=str)
def test_actions_are_pinned_by_their_commits(file):
    used = re.findall(r"uses: (.*)", file.read_text("utf-8"))
    assert used
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line) for line in used)
