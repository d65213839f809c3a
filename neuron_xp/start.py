"""Start of the command: Ctrl-C while Python still imports ends it, without a traceback."""

import signal
import sys
from pathlib import Path


def is_command(arguments: list[str]) -> bool:
    """Tell whether these words started `neuron-xp`, or `python -m neuron_xp`."""
    names = {Path(word).stem for word in arguments[:2]}
    return "neuron-xp" in names or "-m neuron_xp" in " ".join(arguments[:8])


if is_command(sys.orig_argv) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `cli.app.main` sets its own
