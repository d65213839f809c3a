"""What `ci/benchmark` may be told. The standard library alone: it is read before .venv is there."""

import argparse
from pathlib import Path

ROUNDS = 5
QUICK_ROUNDS = 2


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or these words."""
    parser = argparse.ArgumentParser(
        prog="ci/benchmark",
        description="Seconds per iteration of neuron_xp and of the same program in plain "
        "NumPy, PyTorch and JAX, on several shapes of data; and of neuron_xp on data from disk "
        "and on clusters of processes.",
    )
    parser.add_argument("--quick", action="store_true", help="small shapes, to see that it works")
    parser.add_argument("--json", type=_path, metavar="FILE", help="write everything here")
    parser.add_argument("--plot", type=_path, metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.add_argument("--rounds", type=_rounds, metavar="N",
                        help=f"default: {ROUNDS}; {QUICK_ROUNDS} with --quick")  # fmt: skip
    arguments = parser.parse_args(words)
    if arguments.rounds is None:
        arguments.rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    return arguments


def format_words(arguments: argparse.Namespace) -> list[str]:
    """Write the same options again, for another process in another folder."""
    words = ["--quick"] if arguments.quick else []
    values = {name: value for name, value in vars(arguments).items() if name != "quick" and value}
    return words + [f"--{name}={value}" for name, value in values.items()]


def _path(word: str) -> Path:
    path = Path(word).absolute()
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def _rounds(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1; got {word!r}")
    return int(word)
