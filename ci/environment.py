"""A virtual environment in .venv with this project, and the extras and groups asked for.

Extras are for users and come from the project; groups are for developers (PEP 735).
"""

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PROGRAMS = FOLDER / ("Scripts" if os.name == "nt" else "bin")
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "ci" / "constraints.txt"
RECORD = FOLDER / "installed.json"


def set_up(extras: Iterable[str], groups: Iterable[str]) -> None:
    """Make .venv, or bring it up to date, when something is missing."""
    import tomllib  # new in 3.11, which is checked first

    pyproject = tomllib.loads(PYPROJECT.read_text("utf-8"))
    known = pyproject["project"]["optional-dependencies"]
    if unknown := sorted(set(extras) - set(known)):
        sys.exit(f"unknown extra {unknown[0]!r}; choose from {', '.join(known)} (options of "
                 "pytest come after --: python3 ci/test -- -q)")  # fmt: skip
    files = PYPROJECT.read_bytes() + CONSTRAINTS.read_bytes()
    state = hashlib.sha256(str(ROOT).encode() + files).hexdigest()
    installed = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    before = {kind: set(installed.get(kind, [])) for kind in ("extras", "groups")}
    if (
        installed.get("state") == state
        and before["extras"].issuperset(extras)
        and before["groups"].issuperset(groups)
    ):
        return
    extras, groups = sorted(before["extras"].union(extras)), sorted(before["groups"].union(groups))
    print("setting up .venv ...", flush=True)
    if not PROGRAMS.exists():
        venv.create(FOLDER, with_pip=True)
    # not pip's own --group, which is newer than the pip that comes with Python 3.11
    tables = pyproject["dependency-groups"]
    tools = [requirement for group in groups for requirement in tables[group]]
    install([*tools, "-e", f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)])
    RECORD.write_text(json.dumps({"state": state, "extras": extras, "groups": groups}))


def install(requirements: Sequence[str]) -> None:
    options = ["--disable-pip-version-check", "-q", "-c", str(CONSTRAINTS)]
    pip = [str(PROGRAMS / "python"), "-m", "pip", "install"]
    subprocess.run([*pip, *options, *requirements], check=True)


def run(
    program: str, *arguments: str, extras: Iterable[str] = (), groups: Iterable[str] = ()
) -> int:
    """Run one of the environment's programs in the project's folder."""
    if sys.version_info < (3, 11):  # noqa: UP036  whoever runs this may have an older one
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    try:
        set_up(extras, groups)
        command = [str(PROGRAMS / program), *arguments]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        return 130
