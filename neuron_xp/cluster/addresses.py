"""Files at addresses that fsspec knows, such as s3://bucket/model.safetensors."""

from collections.abc import Iterator
from contextlib import contextmanager

from neuron_xp.errors import one_line

EXTRAS = {"https": "http", "gcs": "gs", "az": "abfs", "s3a": "s3"}
"""Extras of fsspec that are not named as the protocol is."""


def read_address(address: str) -> bytes:
    """Return the content of a file; raise OSError with its address, or ImportError."""
    try:
        import fsspec
    except ImportError as error:
        raise ImportError("fsspec is not installed; type: pip install fsspec") from error
    with explain_address(address):
        with fsspec.open(address, "rb") as file:
            content: bytes = file.read()
        return content


@contextmanager
def explain_address(address: str) -> Iterator[None]:
    """Turn what fsspec raises into a line: what to install, or OSError with the address."""
    protocol = address.partition("://")[0]
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{address}: {one_line(error)}; type: pip install "
            f"'fsspec[{EXTRAS.get(protocol, protocol)}]'"
        ) from error
    except (OSError, ValueError) as error:  # an unknown protocol is a ValueError
        raise OSError(f"{address}: {error}") from error
