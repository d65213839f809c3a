"""The page that defines the arithmetic: its vectors are the package's bits and the port's.

A line of a page's block is `CONSTANT = value`, `name = expression` for what later lines of
the block use, or a vector, `function(arguments) = value`. Numbers are C99 hexadecimal floats.
"""

import re
from pathlib import Path

import numpy as np
import package_functions
import package_optimizers
import pytest
import scalar_functions
import scalar_optimizers
import scalar_port
import scalar_search
import scalar_training

from neuron_xp.model.fingerprint import GROUP
from neuron_xp.neuron.reproducible import elementary

PAGE = Path(elementary.__file__).parent.with_name("README.md").read_text("utf-8")
HEX_FLOAT = re.compile(r"0x[0-9a-f]+(?:\.[0-9a-f]+)?p[+-]\d+")
SECTIONS = {  # the vectors in each: one that is lost is missed
    "Numbers": 7,
    "Random numbers": 5,
    "The order of a sum": 14,
    "Products": 7,
    "Sums over examples": 19,
    "The exponential": 13,
    "The logarithm": 20,
    "The square root": 15,
    "The sigmoid": 13,
    "The softmax": 10,
    "Learning rules": 20,
    "Layers": 5,
    "One step": 13,
    "Standardization": 12,
    "The automatic learning rate": 8,
    "Batches": 9,
    "The recorded loss": 8,
    "The gradient of the mean loss": 9,
    "Adam": 14,
    "L-BFGS": 29,
    "Fingerprints": 7,
    "Whole trainings": 20,
}

CONSTANTS = {**package_functions.CONSTANTS, **package_optimizers.CONSTANTS}
PACKAGE = {**package_functions.PACKAGE, **package_optimizers.OPTIMIZERS}
MODULES = (scalar_port, scalar_functions, scalar_training, scalar_search, scalar_optimizers)
PORT = {name: value for module in MODULES for name, value in vars(module).items()}


def read_page():
    """{title: the (left, right) lines of the section's block}."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        blocks = re.findall(r"^```text\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines() if line]
        found[title] = [tuple(line.split(" = ")) for line in lines]
    return found


def names():
    return {"nan": float("nan"), "infinity": float("inf"), "__builtins__": {}}


def evaluate(expression, known):
    """The value of an expression of the page: Python's, but for hexadecimal floats."""
    return eval(HEX_FLOAT.sub(lambda x: repr(float.fromhex(x[0])), expression), known)


def bits(value):
    """The value with each float as its hexadecimal digits, -0 and NaN included."""
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return float(value).hex() if isinstance(value, float) else value


LINES = read_page()
PAGES_CONSTANTS = {
    left: evaluate(right, names())
    for lines in LINES.values()
    for left, right in lines
    if left.isupper()
}
VECTORS = {title: [left for left, _ in lines if "(" in left] for title, lines in LINES.items()}


def test_sections_are_these_and_each_has_its_vectors():
    assert {title: len(vectors) for title, vectors in VECTORS.items()} == SECTIONS
    assert all(len(set(vectors)) == len(vectors) > 0 for vectors in VECTORS.values())


def test_every_function_has_a_vector():
    called = {left.partition("(")[0] for vectors in VECTORS.values() for left in vectors}
    assert called == set(PACKAGE)


def test_constants_are_those_of_the_code():
    assert bits(PAGES_CONSTANTS) == bits(CONSTANTS)
    assert PAGES_CONSTANTS["LEAF"] == GROUP


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_those_of_the_port(name):
    assert bits(PORT[name]) == bits(PAGES_CONSTANTS[name])


@pytest.mark.parametrize("functions", [PACKAGE, PORT], ids=["package", "port"])
@pytest.mark.parametrize("title", SECTIONS)
def test_vectors_are_the_bits(title, functions):
    known = {**functions, **names(), **PAGES_CONSTANTS}
    for left, right in LINES[title]:
        value = evaluate(right, known)
        if "(" in left:
            with np.errstate(all="ignore"):
                assert bits(evaluate(left, known)) == bits(value), left
        elif not left.isupper():
            known[left] = value
