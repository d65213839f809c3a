"""The first use: what is imported."""

import ast
import inspect
import os
import subprocess
import sys

import pytest

import neuron_xp


def run_code(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip


# --- imports ---------------------------------------------------------------------------


def test_importing_neuron_xp_imports_nothing_before_it_is_asked_for():
    code = (
        "import sys, neuron_xp\n"
        "print(*(m for m in sys.modules if m.startswith(('numpy', 'neuron_xp.'))))"
    )
    assert run_code(code).stdout.split() == ["neuron_xp.start"]


def test_public_names_are_those_that_type_checkers_see():
    (block,) = (n for n in ast.parse(inspect.getsource(neuron_xp)).body if isinstance(n, ast.If))
    seen = {
        alias.name: node.module.removeprefix("neuron_xp").removeprefix(".") or alias.name
        for node in block.body
        for alias in node.names
    }
    homes = {name: home for home, names in neuron_xp._HOMES.items() for name in names}
    assert seen == homes
    assert sorted(seen) == neuron_xp.__all__


def test_every_public_name_is_found_and_listed():
    code = "from neuron_xp import *; print(*sorted(set(dir()) - {'__builtins__'}))"
    names = [name for name in dir(neuron_xp) if not name.startswith("_")]
    assert set(neuron_xp.__all__) <= set(names)
    assert all(getattr(neuron_xp, name) is not None for name in neuron_xp.__all__)
    assert set(neuron_xp.__all__) <= set(run_code(code).stdout.split())
    with pytest.raises(AttributeError, match=r"module 'neuron_xp' has no attribute 'tarin'"):
        neuron_xp.tarin  # noqa: B018
