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


MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio, as of splitmix64


def mix_rows(*tables: np.ndarray) -> int:
    """Return what rows add to a digest, mod 2^64, that does not know their order.

    It tells an accident, other rows or the same ones in another order; against whoever wants to
    deceive only the fingerprint of the data stands.
    """
    mixed = np.full(len(tables[0]), MIX)  # not 0, so that rows of zeros count
    for table in tables:
        for column in np.ascontiguousarray(table.T) + 0.0:
            mixed = (mixed ^ column.view("uint64")) * MIX
            mixed ^= mixed >> np.uint64(29)
    return int(mixed.sum(dtype="uint64"))


def fingerprint_data(digest: int, *shapes: tuple[int, ...]) -> str:
    """Return the SHA-256 over the shapes of inputs, targets and weights, and their digest."""
    return sha256(f"{shapes} {digest % 2**256:064x}".encode()).hexdigest()


def _bytes(array: np.ndarray) -> bytes:
    data: bytes = (array + 0.0).astype(array.dtype.newbyteorder("<")).tobytes()
    return data
