"""Hints of the library become flags, and nothing else in a message changes."""

import pytest

from neuron_xp.cli.hints import in_flags

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
    "give delimiter='\\t'": "type --delimiter $'\\t'",
    "give target=NAME; the last column is 'y'": "type --target NAME; the last column is 'y'",
    "give target='targets'": "type --target targets",
    "give max_memory=None": "leave --max-memory out",
    "give bias=False": "type --no-bias",
    "give resume=False.": "leave --resume out.",
    "give learning_rate=0.5.": "type --learning-rate 0.5.",
    "give learning_rate=1e-05, or": "type --learning-rate 1e-05, or",
    "give seed=-1": "type --seed -1",
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
        "x; give seed=one",
        "x; forgive seed=1",
        "x; give several classes=2",
    ],
)
def test_nothing_else_changes(message):
    assert in_flags(message) == message
