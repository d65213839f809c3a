"""The library's hints, `give NAME=VALUE` in Python, as flags of the command line."""

import ast
import re
import shlex

import click

from neuron_xp.cli.on_tables import COMMANDS

OPTIONS = {
    option.name: option
    for command in COMMANDS
    for option in command.params
    if isinstance(option, click.Option)
}

TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
PLACEHOLDER = r"[A-Z][A-Z_]*"
VALUE = rf"True|False|None|{PLACEHOLDER}|{NUMBER}|{TEXT}|\[(?:{TEXT}|[^\]'\"])*\]"

# Names of files and columns stay as they are: at the start of a message, in quotes, in a list.
NAMES = rf"^\S+|(?<!\w)(?:{TEXT})(?!\w)|\bchoose from .*"
# A message about a setting begins with its name.
SUBJECT = r"^(?P<subject>[a-z0-9_]+)(?= must be )"
HINT = re.compile(rf"{SUBJECT}|{NAMES}|\bgive (?P<name>\w+)=(?P<value>{VALUE})(?![.]?\w)")


def in_flags(message: str) -> str:
    """Say a message's hints, and the setting that it is about, in flags.

    >>> in_flags("data.csv: missing cell ''; give drop_missing=True to leave such rows out")
    "data.csv: missing cell ''; type --drop-missing to leave such rows out"
    >>> in_flags("if the column holds categories give categories=['the colour']")
    "if the column holds categories type --categories 'the colour'"
    >>> in_flags("batch_size must be a whole number from 1; got 0")
    '--batch-size must be a whole number from 1; got 0'
    """
    return HINT.sub(_say, message)


def _say(found: re.Match[str]) -> str:
    option = OPTIONS.get(found["name"] or found["subject"])
    if option is None:
        return found[0]
    flag = option.opts[-1]
    if found["subject"]:
        return flag
    if re.fullmatch(PLACEHOLDER, found["value"]):
        return f"type {flag} {found['value']}"
    value = ast.literal_eval(found["value"])
    if value is True:
        return f"type {flag}"
    if value is False and option.secondary_opts:
        return f"type {option.secondary_opts[0]}"
    if value is None or value is False:
        return f"leave {flag} out"
    if not isinstance(value, list):
        return f"type {flag} {_quote(value)}"
    if option.multiple:
        return "type " + " ".join(f"{flag} {_quote(item)}" for item in value)
    return f"type {flag} {_quote(','.join(map(_spell, value)))}"


def _spell(value: object) -> str:
    return "..." if value is ... else str(value)


def _quote(value: object) -> str:
    """Quote a value for a shell; a tab is spelled as Bash reads it."""
    text = _spell(value)
    return shlex.quote(text) if text.isprintable() else f"${text!r}"
