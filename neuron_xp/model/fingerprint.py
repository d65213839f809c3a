"""Digests of arrays that are the same on every machine."""

from collections.abc import Iterable
from hashlib import sha256

import numpy as np


def fingerprint_arrays(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256, in hexadecimal, over name, dtype, shape and values of each array.

    Each array adds the line "name dtype (shape)" and then its values in C order, as
    little-endian bytes, with 0.0 in place of -0.0.
    """
    digest = sha256()
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.name} {tuple(array.shape)}\n".encode())
        digest.update(_bytes(array))
    return digest.hexdigest()


GROUP = 64


def digest_rows(first_row: int, *tables: np.ndarray) -> int:
    """Return what rows, the first at a multiple of 64, add to the data's fingerprint.

    Digests of groups of 64 rows with their number are added: in any order, and by parts.
    """
    rows = len(tables[0])
    total = 0
    for start in range(0, rows, GROUP):
        group = sha256(f"{(first_row + start) // GROUP}\n".encode())
        for table in tables:
            group.update(_bytes(table[start : start + GROUP]))
        total += int.from_bytes(group.digest(), "little")
    return total % 2**256


def fingerprint_data(digest: int, *shapes: tuple[int, ...]) -> str:
    """Return the SHA-256 over the shapes of inputs, targets and weights, and their digest."""
    return sha256(f"{shapes} {digest % 2**256:064x}".encode()).hexdigest()


def _bytes(array: np.ndarray) -> bytes:
    data: bytes = (array + 0.0).astype(array.dtype.newbyteorder("<")).tobytes()
    return data
