"""Tables of text that are written in other ways: what the commands make of them."""

import numpy as np
import pytest
from command_lines import run_lines

import neuron_xp

ROWS = [[f"{i}.5", f"{i * i % 7}", "yes" if i % 3 else "no"] for i in range(12)]
NAMED = [["a", "b", "y"], *ROWS]
NUMBERS = [[float(a), float(b), float(y == "yes")] for a, b, y in ROWS]
FILES = {
    "named": "\n".join(",".join(row) for row in NAMED),
    "bare": "\n".join(",".join(row) for row in ROWS),
    "german": "\n".join(";".join(row).replace(".", ",") for row in NAMED),
    "tabs": "\n".join("\t".join(row) for row in NAMED),
    "array": "\n".join(",".join(map(repr, row)) for row in NUMBERS),
}
WAYS = {
    "named": "",
    "bare": "--no-header",
    "german": "--delimiter ';' --decimal ,",
    "tabs": "--delimiter tab",
}
BACK = "--delimiter , --decimal . --header"
LITTLE = "--max-memory 16MiB"
LINES = [
    *(
        f"train {name}.csv --target {2 if name == 'bare' else 'y'} --holdout 0.25 "
        f"-o {name}.model {options}"
        for name, options in WAYS.items()
    ),
    "train array.npy --target 2 -o array.model",
    *(f"{do} {name}.model {name}.csv" for name in WAYS for do in ("predict", "verify")),
    *(f"predict {name}.model {name}.csv -o {name}.answers {LITTLE}" for name in WAYS),
    *(
        f"{do} named.model {name}.csv {options}"
        for name, options in WAYS.items()
        for do in ("predict", "evaluate", "verify", f"verify {LITTLE}")
        if name != "bare"
    ),
    *(f"verify {name}.model named.csv {BACK}" for name in ("german", "tabs")),
    "verify array.model array.csv --no-header",
    "predict named.model named.csv --no-header",
    "predict bare.model bare.csv --header",
    "predict named.model german.csv --delimiter ';' --decimal '!'",
    "train bare.csv --target no -o noted.model --iterations 3",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text + "\n")
    np.save(folder / "array.npy", NUMBERS)
    return folder


@pytest.fixture(scope="module")
def said(folder):
    return run_lines(folder, LINES)


@pytest.mark.parametrize("name", WAYS)
def test_a_model_knows_how_its_table_is_written(folder, said, name):
    assert said[f"verify {name}.model {name}.csv"].stdout.endswith("the same bits\n")
    answers = said[f"predict {name}.model {name}.csv"].stdout
    assert answers.splitlines()[1:] == said["predict named.model named.csv"].stdout.splitlines()[1:]
    assert len(answers.splitlines()) == 13
    assert (folder / f"{name}.answers").read_text() == answers


@pytest.mark.parametrize("name", ["german", "tabs"])
def test_a_model_reads_a_table_that_is_written_otherwise(said, name):
    options = WAYS[name]
    for do in ("predict", "evaluate"):
        found = said[f"{do} named.model {name}.csv {options}"]
        assert found.status == 0
        assert found == said[f"{do} named.model named.csv "]
    for line in (
        f"verify named.model {name}.csv {options}",
        f"verify {LITTLE} named.model {name}.csv {options}",
        f"verify {name}.model named.csv {BACK}",
    ):
        assert said[line].stdout.endswith("the same bits\n")


def test_the_model_of_an_array_reads_text_without_a_header(said):
    found = said["verify array.model array.csv --no-header"]
    assert found.stdout.endswith("the same bits\n")


def test_what_does_not_fit_is_said(said):
    wrong = said["predict named.model named.csv --no-header"]
    assert wrong == (2, "", "neuron-xp: named.csv: no column 'a'; choose from 0, 1, 2\n")
    wrong = said["predict bare.model bare.csv --header"].stderr
    words = "no column '1'; if the first line is a row type --no-header; choose from 0, 0.5, no"
    assert wrong == f"neuron-xp: bare.csv: {words}\n"
    wrong = said["predict named.model german.csv --delimiter ';' --decimal '!'"].stderr
    assert wrong == "neuron-xp: --decimal must be '.' or ','; got '!'\n"


def test_a_first_line_that_was_a_row_is_noted(said):
    noted = said["train bare.csv --target no -o noted.model --iterations 3"]
    words = "a column is named '0.5'; if the first line is a row type --no-header"
    assert noted.status == 0
    assert f"neuron-xp: bare.csv: {words}\n" in noted.stderr


def test_the_file_tells_only_of_a_header_that_is_not_there(folder, said):
    for name in WAYS:
        content = (folder / f"{name}.model").read_bytes()
        assert (rb"\"header\":false" in content) == (name == "bare")
        assert rb"\"header\":true" not in content
        network = neuron_xp.NeuralNetwork.load(folder / f"{name}.model")
        assert network.table.reading.header == (name != "bare")
        assert network.to_bytes() == content
