"""Words for a damaged file, of which libraries raise anything."""

from collections.abc import Iterator
from contextlib import contextmanager

from neuron_xp.errors import one_line
from neuron_xp.tables.cells import TableError


@contextmanager
def explain_damage(source: str, what: str) -> Iterator[None]:
    """Turn whatever a library says of a damaged file into one line."""
    try:
        yield
    except TableError:
        raise
    except MemoryError as error:
        raise TableError(
            f"{source}: is damaged, or takes more memory than there is ({one_line(error)})"
        ) from error
    except Exception as error:  # libraries raise anything of what they did not expect
        if isinstance(error, OSError) and error.filename is not None:
            raise  # there is no such file, or it may not be read
        # NumPy takes what it does not know for a pickle, and tells how to load that
        reason = "pickles are not read" if "pickle" in str(error) else one_line(error)
        raise TableError(f"{source}: is not {what} ({reason})") from error
