"""Hints of the library become flags, and nothing else in a message changes."""

import ast
import re
from inspect import signature
from pathlib import Path

import pytest

import neuron_xp
from neuron_xp.cli.hints import OPTIONS, in_flags

HINTS = {
    "give drop_missing=True to leave such rows out": "type --drop-missing to leave such rows out",
    "give categories=['colour']": "type --categories colour",
    "give categories=['A']": "type --categories A",
    "give target='KIND'": "type --target KIND",
    "give categories=['a', 'b c']": "type --categories a --categories 'b c'",
    "give categories=['a ]\\'b']": "type --categories 'a ]'\"'\"'b'",
    'give categories=["it\'s"]': "type --categories 'it'\"'\"'s'",
    "give features=['a', 'b']": "type --features a,b",
    "give features=[...]": "type --features ...",
    "give decimal=','": "type --decimal ,",
    "give delimiter=';'": "type --delimiter ';'",
    "give delimiter='\\t'": "type --delimiter tab",
    "give delimiter=';', or delimiter='tab'": "type --delimiter ';', or --delimiter tab",
    "give header=False": "type --no-header",
    "give target=NAME; the last column is 'y'": "type --target NAME; the last column is 'y'",
    "give target='targets'": "type --target targets",
    "give max_memory=None": "leave --max-memory out",
    "give bias=False": "type --no-bias",
    "give resume=False.": "leave --resume out.",
    "give learning_rate=0.5.": "type --learning-rate 0.5.",
    "give learning_rate=1e-05, or": "type --learning-rate 1e-05, or",
    "give seed=-1": "type --seed -1",
    "give hidden=(16,), or": "type --hidden 16, or",
    "give hidden=(16, 8)": "type --hidden 16 --hidden 8",
    "give standardize=True and optimizer='lbfgs'": "type --standardize and --optimizer lbfgs",
    "give iterations=500 or l2=1.0": "type --iterations 500 or --l2 1.0",
    "did all of its iterations=50": "did all of its --iterations 50",
    "not converged to gradient_tolerance=1e-07;": "not converged to --gradient-tolerance 1e-07;",
    "does not go with optimizer='lbfgs': no": "does not go with --optimizer lbfgs: no",
    "give standardize=False": "type --no-standardize",
    "give gradient_tolerance, the largest": "type --gradient-tolerance, the largest",
    "give batch_size, or leave shuffle out": "type --batch-size, or leave --shuffle out",
    "give optimizer='lbfgs', or tolerance, which": "type --optimizer lbfgs, or --tolerance, which",
    "give workers=N, or give scheduler=ADDRESS": "type --workers N, or type --scheduler ADDRESS",
}


@pytest.mark.parametrize(("hint", "flags"), HINTS.items())
def test_hints_become_flags(hint, flags):
    assert in_flags(f"data.csv: no; {hint}") == f"data.csv: no; {flags}"
    assert in_flags(f"the model's rows' sum; {hint}") == f"the model's rows' sum; {flags}"


@pytest.mark.parametrize(
    "message",
    [
        "data.csv: which target? give NAME=VALUE",
        "give_target=NAME.csv: is empty",
        "give target=NAME.csv: is empty",
        "my give target=NAME.csv: is empty",
        "data.csv: column 'give drop_missing=True' has no name",
        "data.csv, line 3, column \"give seed=1 it's\": 'x' is not a number",
        "'give force=True.csv' is there already",
        "data.csv: no target 'a'; choose from b, give seed=1, z",
        "data.csv: no target 'a'; did you mean 'give seed=1'?",
        "give a pattern such as '*.csv'",
        "x; give seeds=1",
        "x; two seed=1",
        "x; give the seed, or other targets, and leave seeds out",
        "seed=1 data.csv: is empty",
        "data.csv: column 'with seed=1' has no name",
        "x; give seed=one",
        "x; forgive seed=1",
        "x; give several classes=2",
    ],
)
def test_nothing_else_changes(message):
    assert in_flags(message) == message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("l2 must be a number; got 'x'", "--l2 must be a number; got 'x'"),
        ("learning_rate=0.5 does not go with optimizer='lbfgs', which finds the length of it",
         "--learning-rate 0.5 does not go with --optimizer lbfgs, which finds the length"),
        ("learning_rate='auto' is a safe step for one layer", "--learning-rate auto is a safe st"),
        ("shuffle='rows' draws single examples", "--shuffle rows draws single examples"),
        ("gradient_tolerance says when", "--gradient-tolerance says when"),
    ],
)  # fmt: skip
def test_a_setting_that_a_message_is_about_becomes_a_flag(message, said):
    assert in_flags(message).startswith(said)


# --- every message of the library ----------------------------------------------------------

PACKAGE = Path(neuron_xp.__file__).parent
OTHER_FACES = [  # which speak their own languages
    PACKAGE / "cli", PACKAGE / "estimator",
    *(PACKAGE / "testing" / name for name in ("assertions.py", "plugin.py")),
]  # fmt: skip
NO_MESSAGE = ("<tr>", " -> ", "numpy.unique(targets")  # targets of tables may be words
PYTHON_ONLY = {"on_cluster", "on_progress", "progress_every", "loss_every"}  # no option is these
KEYWORDS = {
    name
    for function in (neuron_xp.train, neuron_xp.train_on_table)
    for name in signature(function).parameters
    if "_" in name
}


def find_messages():
    """Yield (place, text) of every sentence in the sources but docstrings; values are 5 or 'x'."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if any(file.is_relative_to(face) for face in OTHER_FACES):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        spoken = [n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr)]
        parts = {
            id(x) for n in spoken if isinstance(n, ast.JoinedStr) for x in ast.walk(n) if x is not n
        }
        parts |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # docstrings
        for node in spoken:
            text = spell(node)
            if id(node) not in parts and text.count(" ") > 2:
                yield f"{file.name}:{node.lineno}", text


def spell(node):
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        else:
            text += "'x'" if part.conversion == ord("r") else " 5" if text[-1:].isalpha() else "5"
    return text


def test_no_message_names_a_keyword_of_python():
    names = {name for name in OPTIONS if "_" in name} | KEYWORDS - PYTHON_ONLY
    keyword = re.compile(rf"\b(?:{'|'.join(names)})\b|\b[a-z]\w*=(?!=)")
    found, count = [], 0
    for place, text in find_messages():
        if not any(word in text for word in NO_MESSAGE):
            said = in_flags(text if not text.startswith("give ") else f"it failed; {text}")
            found += [f"{place}: {said}"] * bool(keyword.search(said))
            count += 1
    assert found == []
    assert count > 150
    assert not PYTHON_ONLY & OPTIONS.keys()
