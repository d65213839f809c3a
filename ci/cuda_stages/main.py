"""What ci/cuda does: the stages that were asked for, and a page on what was found."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ci.cuda_stages import lines, page
from ci.cuda_stages.plan import LOOK, STAGES
from ci.cuda_stages.runner import Runner

ROOT = Path(__file__).resolve().parent.parent.parent
KNOWN = {stage.name: stage for stage in (*STAGES, LOOK)}


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or these words."""
    parser = argparse.ArgumentParser(
        prog="ci/cuda", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Look at neuron_xp on this machine's CUDA GPU, in stages.",
        epilog="\n".join(f"{s.name:<10} {s.seconds:>3.0f} s  {s.about}" for s in KNOWN.values()),
    )  # fmt: skip
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="default: all but look")
    parser.add_argument("--into", type=Path, metavar="FOLDER", default=ROOT / "ci" / "results",
                        help="where everything is written; default: ci/results")  # fmt: skip
    arguments = parser.parse_args(words)
    if unknown := sorted(set(arguments.stages) - set(KNOWN)):
        parser.error(f"unknown stage {unknown[0]!r}; choose from {', '.join(KNOWN)}")
    return arguments


def main() -> int:
    arguments = parse()
    folder = arguments.into.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended, too
    runner = Runner(folder, ROOT)

    def write() -> None:
        text = page.write(lines.read(runner.file), commit)
        (folder / "cuda.md").write_text(text, encoding="utf-8")

    commit = find_commit()
    stages = [KNOWN[name] for name in arguments.stages] or STAGES
    try:
        status = runner.run(stages, after_each=write)
    except KeyboardInterrupt:
        status = 130
    finally:
        write()
    print(f"{folder / 'cuda.md'} says what was found, {runner.file.name} beside it everything")
    return status


def prepare_environment() -> None:
    """Set what all parts inherit."""
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX takes all memory else
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # each test runs on each device


def find_commit() -> str:
    """Return the commit that is looked at, if git knows."""
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
