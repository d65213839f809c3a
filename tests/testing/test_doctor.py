"""The doctor shows every fault, with what was expected and what was given."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from faulty_libraries import FAULTS, NUMPY, WRONG, broken_by, with_fault

from neuron_xp.backends.backend import name_device
from neuron_xp.backends.probe.findings import check_guarantees
from neuron_xp.backends.probe.guarantees import GUARANTEES, draw_samples, make_reproducible
from neuron_xp.errors import UnusableBackendError
from neuron_xp.testing.doctor import COMPARISONS, examine

HEX = r"-?0x[01]\.[0-9a-f]+p[+-]\d+|-?inf|nan"


def find_broken(backend):
    return [finding for finding in examine(backend).findings if not finding.holds]


def test_every_library_here_keeps_everything(library):
    found = examine(library)
    assert found.holds
    assert (found.backend, found.device) == (library.name, name_device(library.device))
    assert {g.name for g in GUARANTEES} < {finding.name for finding in found.findings}
    text = str(found)
    assert text.startswith(f"{library.name} {library.version} on ")
    assert f"NumPy {np.__version__}, CPython " in text
    assert max(map(len, text.splitlines())) <= 120  # one screen
    assert len(text.splitlines()) <= 30


def test_distances_are_of_the_librarys_own_functions(library):
    for distance, comparison in zip(examine(library).distances, COMPARISONS, strict=True):
        assert (distance.function, distance.failure) == (comparison.name, "")
        assert distance.differ <= distance.count
        assert (distance.ulp > 0) == (distance.differ > 0)
        assert distance.ulp <= (4 if distance.function.endswith("u)") else 64)


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=lambda guarantee: guarantee.name)
def test_a_broken_guarantee_is_shown_with_both_values(guarantee):
    [finding] = find_broken(broken_by(guarantee.name, WRONG[guarantee.name]))
    assert (finding.name, finding.formula) == (guarantee.name, guarantee.formula)
    arguments = re.findall(HEX, finding.arguments)
    x, y, z = map(float.fromhex, arguments)
    assert float.fromhex(finding.expected) == guarantee.on_floats(x, y, z)
    column = (np.asarray([value]) for value in (x, y, z))
    assert float.fromhex(finding.given) == WRONG[guarantee.name](*column)[0]
    assert finding.expected != finding.given
    assert 0 < finding.differ <= finding.count


def test_the_first_argument_of_the_first_length_is_shown():
    """As the probe would name it, and not that of another length."""
    broken = broken_by("x/y is correctly rounded", lambda x, y, z: x / y + 1)
    [finding] = find_broken(broken)
    assert (finding.differ, finding.count) == (1, 1)


def test_the_first_of_several_arguments_is_shown():
    broken = broken_by("x/y is correctly rounded", lambda x, y, z: x / y + (x < 1.5))
    [finding] = find_broken(broken)
    low = [sample for sample in draw_samples(finding.count) if sample[0] < 1.5]
    assert finding.differ == len(low) > 1
    assert finding.arguments.startswith(f"x = {low[0][0].hex()}, y = {low[0][1].hex()}, z = ")


def test_all_broken_guarantees_are_shown_where_training_names_one():
    def compile_(show):
        return lambda *columns: [1.5 * result + 1 for result in show(*columns)]

    broken = dataclasses.replace(NUMPY, compile=compile_, make_kernels=None)
    names = [finding.name for finding in find_broken(broken)]
    assert names[: len(GUARANTEES)] == [g.name for g in GUARANTEES]
    with pytest.raises(UnusableBackendError, match=rf"rule: {re.escape(names[0])}, so"):
        check_guarantees(broken)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_shown(fault):
    found = examine(with_fault(**FAULTS[fault]))
    assert not found.holds
    for finding in found.findings:
        if not finding.holds:
            shows = finding.expected and finding.given and finding.expected != finding.given
            assert shows or finding.failure
            assert f"  NO   {finding.name}\n" in str(found)


def test_other_bits_of_a_training_are_shown_by_their_digests():
    broken = find_broken(with_fault(**FAULTS["where in float32"]))
    networks = [finding for finding in broken if "small network" in finding.name]
    assert networks
    for finding in networks:
        digests = finding.expected, finding.given
        assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)


def refuse(*arguments, **options):
    raise NotImplementedError("no round here")


def test_a_function_that_fails_is_a_row_and_the_others_are_looked_at():
    found = examine(with_fault(round=refuse))
    broken = [finding for finding in found.findings if not finding.holds]
    assert broken[0].name == "halves are rounded to even"
    assert {finding.failure for finding in broken} == {"no round here"}
    assert "round(round(64 z) * 0.5): fails (no round here)\n" in str(found)
    kept = {finding.name for finding in found.findings if finding.holds}
    assert kept >= {g.name for g in GUARANTEES if g.name != broken[0].name}


def test_a_function_of_its_own_that_fails_is_a_row():
    by_name = {d.function: d for d in examine(with_fault(log1p=refuse)).distances}
    assert by_name["log1p(u)"].failure == "no round here"
    assert by_name["log1p(u)"].ulp is None
    assert by_name["exp(-20 u)"].ulp is not None


def test_a_function_of_its_own_is_measured():
    found = examine(with_fault(exp=lambda x: np.nextafter(NUMPY.xp.exp(x), 2)))
    assert found.holds  # reproducible arithmetic has an exp of its own
    [exp] = [d for d in found.distances if d.function == "exp(-20 u)"]
    assert exp.ulp in (1, 2)
    assert exp.differ > 900
    assert f"  up to {exp.ulp} ulp; {exp.differ} of 1000 differ\n" in str(found)


def test_a_function_that_is_the_reproducible_one_is_at_no_distance():
    ours = make_reproducible(NUMPY, no_tiny_inputs=False)
    for name, own in (("exp", ours.exp), ("log1p", ours.log1p)):
        [found] = [
            distance
            for distance in examine(with_fault(**{name: own})).distances
            if distance.function.startswith(f"{name}(")
        ]
        assert (found.ulp, found.differ, found.count) == (0, 0, 1000)


def test_a_result_of_another_shape_is_named():
    broken = broken_by("x/y is correctly rounded", lambda x, y, z: (x / y)[None])
    [finding] = find_broken(broken)
    assert finding.failure == "gives the shape (1, 1) for (1,)"


def test_without_float64_nothing_more_is_looked_at():
    def put(array):
        raise TypeError("float64 is not for this device")

    found = examine(dataclasses.replace(NUMPY, name="small", put=put, make_kernels=None))
    assert found.findings[-1].name == "has float64"
    assert found.findings[-1].failure == "float64 is not for this device"
    assert {distance.failure for distance in found.distances} == {found.findings[-1].failure}


def test_kernels_that_are_wrong_are_a_row():
    pytest.importorskip("numba", reason="the kernels need the extra 'fast'")

    def make_kernels(rule, **options):
        raise RuntimeError("no compiler")

    [finding] = find_broken(dataclasses.replace(NUMPY, make_kernels=make_kernels))
    assert finding.name == "this package's kernels for it give the defined bits"
    assert finding.failure == "cannot be used (no compiler)"


def probe(*arguments, program=("-m", "neuron_xp")):
    line = [sys.executable, *program, "backends", "--probe", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_shows_one_library():
    done = probe("--backend", "array_api_strict")
    assert (done.returncode, done.stderr) == (0, "")
    first, *blocks = done.stdout.strip().split("\n\n")
    assert re.fullmatch(r"neuron_xp \d.*", first)
    assert [block.split("\n")[0].split()[-1] for block in blocks] == ["CPU_DEVICE", "device1"]
    assert "  NO   " not in done.stdout
    assert done.stdout.isascii()


BREAK_DIVISION = """
import sys
from neuron_xp.backends.opening import openers
from neuron_xp.backends import libraries
from neuron_xp.cli.app import main
from faulty_libraries import WRONG, broken_by

name = "x/y is correctly rounded"
row = libraries.Library(lambda device: broken_by(name, WRONG[name]), lambda: ["cpu"], "numpy")
libraries.LIBRARIES.clear()  # NumPy is open by now
libraries.LIBRARIES["array_api_strict"] = row
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_has_status_1_where_a_guarantee_is_broken():
    done = probe(program=("-c", f"import sys; sys.path.append('tests'){BREAK_DIVISION}"))
    assert (done.returncode, done.stderr) == (1, "")
    shown = re.search(
        r"  NO   x/y is correctly rounded\n"
        rf"       x / y: expected ({HEX}), given ({HEX})\n"
        rf"       x = ({HEX}), y = ({HEX}), z = {HEX}\n"
        r"       1 of 1 differ\n",
        done.stdout,
    )
    expected, given, x, y = map(float.fromhex, shown.groups())
    assert expected == x / y
    assert given == x * (1 / y)
    assert expected != given


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--probe", "--backend", "trch"], "unknown backend 'trch'; did you mean 'torch'?"),
        (["--backend", "torch"], "--backend is for --probe; type: neuron-xp backends --probe"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, words):
    line = [sys.executable, "-m", "neuron_xp", "backends", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"neuron-xp: {words}\n"
