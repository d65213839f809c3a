"""Summaries of a network: what it is, in a few lines for a person."""

from collections.abc import Iterable
from html import escape
from typing import Any

from neuron_xp.errors import show_text

STYLE = "text-align: left; padding: 0.1em 0.8em 0.1em 0"


def list_facts(network: Any) -> list[tuple[str, str]]:
    """List what a person wants to know of a `NeuralNetwork`: (name, value) pairs."""
    settings, ending = network.settings, network.ending
    facts = [
        ("layers", "-".join(map(str, network.layer_sizes))),
        ("trained by", f"{settings.optimizer}, {settings.rule}"),
    ]
    if ending is not None:
        facts.append(("iterations", f"{ending.iterations}, {ending.reason}"))
    if network.history:
        facts.append(("loss", f"{network.history[-1][1]:.6g}"))
    names = network.input_names
    if names is not None:
        facts.append(("inputs", ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")))
    if network.table is not None and network.table.columns.classes is not None:
        facts.append(("classes", ", ".join(network.table.columns.classes)))
    facts += [
        ("arithmetic", f"{settings.arithmetic}, {network.backend}"),
        ("fingerprint", network.fingerprint()),
    ]
    return [(name, show_text(value)) for name, value in facts]


def format_html(network: Any) -> str:
    """Return a small table for a notebook; the fingerprint is cut, and whole when pointed at."""
    rows = "".join(
        f'<tr><th style="{STYLE}">{escape(name)}</th>'
        f'<td style="{STYLE}" title="{escape(value)}">'
        f"{escape(value[:12] if name == 'fingerprint' else value)}</td></tr>"
        for name, value in list_facts(network)
    )
    return f"<table><caption>NeuralNetwork</caption>{rows}</table>"


def label_names(names: Iterable[str]) -> list[str]:
    r"""Spell names of columns or classes for a picture, in which matplotlib sees no formula.

    >>> label_names(["$ per month"])
    ['\\$ per month']
    """
    return [show_text(name, 60).replace("$", r"\$") for name in names]
