"""The command `neuron-xp`: its commands, its signals, its exit status."""

import logging
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module

import click

import neuron_xp
from neuron_xp.cli.output import LogLines, Outcome, Tell, show_progress
from neuron_xp.errors import one_line, show_text

COMMANDS = {
    "demo": "on_backends",
    "backends": "on_backends",
    "matrix": "on_backends",
    "explain": "on_backends",
    "bench": "bench",
    "train": "on_tables",
    "example": "on_tables",
    "predict": "on_models",
    "evaluate": "on_models",
    "verify": "on_models",
    "show": "on_models",
}
"""The commands, by the modules that have them."""


_STOPPING = [signal.SIGINT, signal.SIGTERM, *([] if os.name == "nt" else [signal.SIGHUP])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; every error is one line on stderr."""
    _signals.clear()
    _fill_closed_streams()
    try:
        for number in _STOPPING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup does with SIGHUP
                signal.signal(number, _stop)
        with _warnings_in_a_line(), _log_in_lines():
            outcome = commands.main(arguments, prog_name="neuron-xp", standalone_mode=False)
        status = _print_outcome(outcome) if isinstance(outcome, Outcome) else int(outcome or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except _StoppedError as stopped:
        return _fail(str(stopped), stopped.status)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except neuron_xp.TrainingDivergedError as error:
        return _fail(_in_flags(str(error)), 1)
    except BrokenPipeError:  # the reader left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        wanted = f" ({one_line(error)})" if str(error) else ""
        advice = "give --max-memory, fewer --features, or no --categories of many words"
        return _fail(f"the memory does not suffice{wanted}; {advice}", 2)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        return _fail(_in_flags(_spell_error(error)), 2)


def _spell_error(error: Exception) -> str:
    """Spell an error; one of the system without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename!r}: {error.strerror}"
    return str(error)


def _fill_closed_streams() -> None:
    """Give closed streams a file that swallows all, so that no other file gets their number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _print_outcome(outcome: Outcome) -> int:
    for note in outcome.notes:
        _say(_in_flags(note))
    if sys.stdout is None:
        return _fail("stdout is closed, and what it was to show is lost", outcome.status or 1)
    print(outcome.text, file=sys.stderr if outcome.data else sys.stdout)
    sys.stdout.buffer.write(outcome.data)
    return outcome.status


def _fail(message: str, status: int) -> int:
    _say(message)
    return status


def _in_flags(message: str) -> str:
    from neuron_xp.cli.hints import in_flags  # which imports every command

    return in_flags(message)


def _say(message: str) -> None:
    line = re.sub(r"\s*\n\s*", " ", message)  # click lists choices in lines
    print(f"neuron-xp: {show_text(line, 2000)}", file=sys.stderr)


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Say each warning when it comes, as notes and errors are said."""

    def show(message: Warning | str, *place: object) -> None:
        _say(f"warning: {_in_flags(' '.join(str(message).split()))}")

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def _log_in_lines() -> Iterator[None]:
    """Say what the library logs, down to what it does that takes a while."""
    log, handler = logging.getLogger("neuron_xp"), LogLines(_say)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


class _StoppedError(SystemExit):
    """A signal came: Ctrl-C, or a polite kill."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "stopped; a run with --checkpoint goes on by the same command with --resume"
        )
        self.status = 128 + number


_signals = list[tuple[int, float]]()


PATIENCE = 1.0
"""Seconds after a signal in which others are the same one: many are sent where one was meant."""


def _stop(number: int, frame: object) -> None:
    if _signals and time.monotonic() - _signals[0][1] < PATIENCE:
        return
    _signals.insert(0, (number, time.monotonic()))
    raise _StoppedError(number)


def _stop_if_asked() -> None:
    """Stop once more, as Python drops what is raised while an object is finalized."""
    if _signals:
        raise _StoppedError(_signals[-1][0])


def _make_bar() -> AbstractContextManager[Tell]:
    return show_progress(_stop_if_asked)


class _Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """List their names."""
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of a name; None if there is none."""
        if name not in COMMANDS:
            return None
        commands = import_module(f"neuron_xp.cli.{COMMANDS[name]}").COMMANDS
        found: click.Command = next(command for command in commands if command.name == name)
        return found


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(neuron_xp.__version__)
@click.pass_context
def commands(context: click.Context) -> Outcome | None:
    """A neuron that learns, with the same bits on every array library."""
    context.obj = _make_bar
    return Outcome(context.get_help()) if context.invoked_subcommand is None else None


def console() -> None:
    """Run `neuron-xp` and leave Python with its status, which no late signal changes."""
    status = main()
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)
