"""What helps with a file of another kind, or a cell that is no number: the end of a message."""

import re
import shlex
from pathlib import PurePath

# --- cells -----------------------------------------------------------------------------

_DAY = r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]m|z|[+-]\d{2}:?\d{2})?"
_NUMBER = r"(?P<number>[+-]?\d[\d.,]*)"
_GROUPED = r"[+-]?\d{1,3}(?P<mark>[,.' \u00a0\u202f\u2019])\d{3}(?:(?P=mark)\d{3})*"

_ADVICE = (
    (
        rf"(?:{_DAY})(?:[t\s]+{_TIME})?|{_TIME}",
        "dates are not read: turn them into numbers in the table (days, say)",
        "dates",
    ),
    (r"true|false|yes|no|[tfyn]", "write 1 or 0 for it", "words"),
    (r"[-?.]+|#?n/a|none|missing|unknown", "write NA where a cell is missing", "words"),
    (r"[+-]?0x[0-9a-f]{1,16}", "hexadecimals are not read: write {hexadecimal}", ""),
    (r"[+-]?[\d.,]+(?:_[\d.,]+)+", "underscores are not read: write {joined}", ""),
    (rf"\u2212\s*{_NUMBER}", "write the minus as on the keyboard: -{number}", ""),
    (rf"(?:[^\w\s.,+-]|[a-z]{{3}}\s)\s*{_NUMBER}", "write the number alone: {number}", ""),
    (rf"{_NUMBER}\s*[^\w\s.,]", "write the number alone: {number}", ""),
    (rf"{_NUMBER}\s*[^\W\d_]{{1,3}}", "write the number alone: {number}", "words"),
)
"""(what a cell is, what helps, what else a feature may be): the first that fits is said."""


def advise_number(cell: str, decimal: str, name: str = "") -> str:
    """End the message about a cell that is no number; `name` is that of a feature."""
    cell = cell.strip()
    advice = _advise_marks(cell, decimal)
    if advice:
        return f"; {advice}"
    for pattern, words, kind in _ADVICE:
        found = re.fullmatch(pattern, cell, re.IGNORECASE)
        if found:
            number = found.groupdict().get("number", "")
            values = {
                "number": _ungroup(number) or number,
                "joined": cell.replace("_", ""),
                "hexadecimal": int(cell, 16) if "hexadecimal" in words else "",
            }
            return f"; {words.format_map(values)}{_advise_feature(kind, name)}"
    return f"; if the column holds categories give categories={[name]}" if name else ""


def _advise_feature(kind: str, name: str) -> str:
    """Say what else helps with a feature that may hold dates, or words."""
    if not name or not kind:
        return ""
    if kind == "dates":
        return ", or leave the column out: give features=[...]"
    return f", or, if the column holds categories, give categories={[name]}"


_OF_TRAINING = re.compile(
    r"(?:, or(?:, [\w ]+,| [\w ]+:)?|; [\w ]+) give (?:drop_missing|categories|features)="
    r"(?:True[\w ]*|\[.*\])$"
)


def drop_training_advice(message: str) -> str:
    """Cut what helps in a training only off a message, where a model reads the table."""
    return _OF_TRAINING.sub("", message)


def _advise_marks(cell: str, decimal: str) -> str:
    """Advise on points and commas, in a cell of digits; '1,200' may be meant in two ways."""
    other, kind = (",", "commas") if decimal == "." else (".", "points")
    plain = _ungroup(cell)
    if plain is None:
        is_other = re.fullmatch(_NUMBER, cell) and cell.count(other) == 1 and decimal not in cell
        return f"for decimal {kind} give decimal={other!r}" if is_other else ""
    advice = f"thousands separators are not read: write {plain}"
    if other in plain:
        return f"{advice}, and give decimal={other!r}"
    if cell.count(other) == 1 and re.fullmatch(rf"[+-]?\d+\{other}\d+", cell):
        return f"for decimal {kind} give decimal={other!r}; {advice}"
    return advice


def _ungroup(cell: str) -> str | None:
    """Return the number without what separates thousands; None where nothing does."""
    found = re.fullmatch(rf"({_GROUPED})((?!(?P=mark))[.,]\d*)?", cell)
    return None if found is None else found[1].replace(found["mark"], "") + (found[3] or "")


# --- files -----------------------------------------------------------------------------

_BY_PANDAS = {
    ".json": "read_json({!r})",
    ".jsonl": "read_json({!r}, lines=True)",
    ".ndjson": "read_json({!r}, lines=True)",
    ".feather": "read_feather({!r})",
    ".arrow": "read_feather({!r})",
    ".h5": "read_hdf({!r})",
    ".hdf5": "read_hdf({!r})",
    ".pkl": "read_pickle({!r})",
    ".pickle": "read_pickle({!r})",
}
_WORDS = {
    **dict.fromkeys(
        (".xlsx", ".xls", ".xlsm", ".ods"), "save the sheet as CSV in the spreadsheet program"
    ),
    **dict.fromkeys(
        (".txt", ".dat", ".data", ""),
        "rename it to {stem}.csv, and give delimiter='tab', say, if no commas are in its lines",
    ),
    **dict.fromkeys((".zip", ".gz", ".bz2", ".xz", ".zst", ".tar"), "unpack it first"),
    **dict.fromkeys(
        (".sqlite", ".sqlite3", ".db"),
        "save one of its tables: sqlite3 -csv -header {quoted} 'select * from NAME' > {quoted_csv}",
    ),
    ".safetensors": "that is the name of a model; give a table",
}


def advise_kind(name: str) -> str | None:
    """Say how a file whose name is no table's becomes one; None where nobody knows."""
    path = PurePath(name)
    kind, stem = path.suffix.lower(), path.stem
    if kind in _BY_PANDAS:
        risk = ", which runs what is in it" if "pickle" in _BY_PANDAS[kind] else ""
        line = f"{_BY_PANDAS[kind].format(name)}.to_csv({f'{stem}.csv'!r}, index=False)"
        return f"convert it by pandas{risk}: {line}"
    quoted, quoted_csv = shlex.quote(name), shlex.quote(f"{stem}.csv")
    words = _WORDS.get(kind)
    return words and words.format(stem=stem, quoted=quoted, quoted_csv=quoted_csv)
