"""Placeholder."""


def in_flags(message: str) -> str:
    """Return the message."""
    return message
