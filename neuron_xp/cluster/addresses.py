"""Files at addresses that fsspec knows, such as s3://bucket/model.safetensors."""


def read_address(address: str) -> bytes:
    """Return the content of a file; raise OSError with its address, or ImportError."""
    try:
        import fsspec
    except ImportError as error:
        raise ImportError("fsspec is not installed; type: pip install fsspec") from error
    try:
        with fsspec.open(address, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError) as error:  # an unknown protocol is a ValueError
        raise OSError(f"{address}: {error}") from error
    return content
