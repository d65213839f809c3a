"""A virtual environment in .venv with this project and the extras that were asked for."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PROGRAMS = FOLDER / ("Scripts" if os.name == "nt" else "bin")
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "ci" / "constraints.txt"
RECORD = FOLDER / "installed.json"


def environment(extras: Iterable[str]) -> None:
    """Make it, or bring it up to date, when something is missing."""
    import tomllib  # new in 3.11, which is checked first

    known = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    if unknown := sorted(set(extras) - set(known)):
        sys.exit(f"unknown extra {unknown[0]!r}; choose from {', '.join(known)} (options of "
                 "pytest come after --: python3 ci/test -- -q)")  # fmt: skip
    files = PYPROJECT.read_bytes() + CONSTRAINTS.read_bytes()
    state = hashlib.sha256(str(ROOT).encode() + files).hexdigest()
    installed = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    before = set(installed.get("extras", []))
    if installed.get("state") == state and before.issuperset(extras):
        return
    wanted = sorted(before.union(extras))
    print("setting up .venv ...", flush=True)
    if not PROGRAMS.exists():
        venv.create(FOLDER, with_pip=True)
    project = f"{ROOT}[{','.join(wanted)}]" if wanted else str(ROOT)
    options = ["--disable-pip-version-check", "-q", "-c", str(CONSTRAINTS), "-e", project]
    subprocess.run([str(PROGRAMS / "python"), "-m", "pip", "install", *options], check=True)
    RECORD.write_text(json.dumps({"state": state, "extras": wanted}))


def run(program: str, *arguments: str, extras: Iterable[str] = ()) -> int:
    """Run one of the environment's programs in the project's folder."""
    if sys.version_info < (3, 11):  # noqa: UP036  whoever runs this may have an older one
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    try:
        environment(extras)
        command = [str(PROGRAMS / program), *arguments]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        return 130
