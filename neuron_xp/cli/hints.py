"""The library's hints, `give NAME=VALUE` in Python, as flags of the command line."""

import ast
import re
import shlex

import click

from neuron_xp.cli import on_models, on_tables

OPTIONS = {
    option.name: option
    for command in (on_tables.train, *on_models.COMMANDS)
    for option in command.params
    if isinstance(option, click.Option)
}
OPTIONS["sample_weight"] = OPTIONS["weights"]  # what `train` is given of that column

TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
PLACEHOLDER = r"[A-Z][A-Z_]*"
SIZES = r"\((?:\d+, ?)+\d*\)"
VALUE = rf"True|False|None|{PLACEHOLDER}|{NUMBER}|{TEXT}|{SIZES}|\[(?:{TEXT}|[^\]'\"])*\]"

# Names of files and columns stay as they are: at the start of a message, in quotes, in a list.
NAMES = rf"^\S+|(?<!\w)(?:{TEXT})(?!\w)|\bchoose from .*"
# A message about a setting begins with its name, and perhaps its value.
SUBJECT = (
    rf"^(?P<subject>[a-z0-9_]+)(?:=(?P<its>{VALUE}))?"
    r"(?= (?:must be|must have|are|does not go with|says|changes|draws|needs|found|leaves"
    r"|is (?:a|for|of|\d+)) )"
)
SETTING = rf"\b(?P<verb>give|or|and|with|its|to) (?P<name>\w+)=(?P<value>{VALUE})(?![.]?\w)"
NAMED = r"\b(?P<before>give|or|leave) (?P<named>\w+)(?=[,;]| out\b|$)"
# What has an underscore is a keyword wherever it stands.
LOOSE = rf"(?<![\w.])(?P<loose>{'|'.join(sorted(name for name in OPTIONS if '_' in name))})\b(?!=)"
HINT = re.compile(rf"{SUBJECT}|{NAMES}|{SETTING}|{NAMED}|{LOOSE}")


def in_flags(message: str) -> str:
    """Say a message's hints, and the setting that it is about, in flags.

    >>> in_flags("data.csv: missing cell ''; give drop_missing=True to leave such rows out")
    "data.csv: missing cell ''; type --drop-missing to leave such rows out"
    >>> in_flags("if the column holds categories give categories=['the colour']")
    "if the column holds categories type --categories 'the colour'"
    >>> in_flags("batch_size must be a whole number from 1; got 0")
    '--batch-size must be a whole number from 1; got 0'
    >>> in_flags("batch_size=5 does not go with optimizer='lbfgs': give optimizer='adam'")
    '--batch-size 5 does not go with --optimizer lbfgs: type --optimizer adam'
    """
    return HINT.sub(_say, message)


def _say(found: re.Match[str]) -> str:
    option = OPTIONS.get(found["name"] or found["subject"] or found["named"] or found["loose"])
    if option is None:
        return found[0]
    if found["loose"]:
        return option.opts[-1]
    if found["named"]:
        return f"{found['before'].replace('give', 'type')} {option.opts[-1]}"
    if found["subject"]:
        return _flag(option, found["its"]) if found["its"] else option.opts[-1]
    value = found["value"]
    if found["verb"] != "give":
        return f"{found['verb']} {_flag(option, value)}"
    off = value == "None" or (value == "False" and not option.secondary_opts)
    return f"leave {option.opts[-1]} out" if off else f"type {_flag(option, value)}"


def _flag(option: click.Option, text: str) -> str:
    """Write an option and the value that `text` is in Python."""
    flag = option.opts[-1]
    if re.fullmatch(PLACEHOLDER, text):
        return f"{flag} {text}"
    value = ast.literal_eval(text)
    if value is None or isinstance(value, bool):
        return flag if value else (option.secondary_opts or [f"no {flag}"])[0]
    if not isinstance(value, list | tuple):
        is_tab = option.name == "delimiter" and value == "\t"  # which no two shells spell alike
        return f"{flag} {'tab' if is_tab else _quote(value)}"
    if option.multiple:
        return " ".join(f"{flag} {_quote(item)}" for item in value)
    return f"{flag} {_quote(','.join(map(_spell, value)))}"


def _spell(value: object) -> str:
    return "..." if value is ... else str(value)


def _quote(value: object) -> str:
    """Quote a value for a shell; what is not printable is spelled as Bash reads it."""
    text = _spell(value)
    return shlex.quote(text) if text.isprintable() else f"${text!r}"
