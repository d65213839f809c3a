"""Digests of arrays that are the same on every machine."""

import math
from collections.abc import Iterable, Mapping
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


MOST_GROUPS = 256
"""Groups of rows whose own digests a model may keep, to tell later where data differ."""


def digest_groups(first_row: int, *tables: np.ndarray) -> dict[int, int]:
    """Return a digest of each group of 64 rows, by its number; the first row is at a multiple."""
    digests = {}
    contents = [(_bytes(table), GROUP * table.shape[1] * table.itemsize) for table in tables]
    for i in range(math.ceil(len(tables[0]) / GROUP)):
        number = first_row // GROUP + i
        group = sha256(f"{number}\n".encode())
        for content, size in contents:
            group.update(content[i * size : (i + 1) * size])
        digests[number] = int.from_bytes(group.digest(), "little")
    return digests


def digest_rows(groups: Mapping[int, int]) -> int:
    """Return what groups of rows add to the data's fingerprint: in any order, and by parts."""
    return sum(groups.values()) % 2**256


def keep_groups(groups: Mapping[int, int]) -> dict[int, int]:
    """Return the lowest 32 bits of each digest; nothing for more groups than are kept."""
    if len(groups) > MOST_GROUPS:
        return {}
    return {number: digest % 2**32 for number, digest in groups.items()}


def spell_groups(groups: Mapping[int, int]) -> tuple[str, ...]:
    """Return the digests of groups in their order, in hexadecimal."""
    return tuple(f"{groups[number]:08x}" for number in sorted(groups))


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


def _bytes(array: np.ndarray) -> memoryview:
    """Return the numbers in C order: little-endian, with 0.0 in place of -0.0."""
    numbers = np.asarray(array + 0.0, dtype=array.dtype.newbyteorder("<"), order="C")
    return numbers.reshape(-1).view("uint8").data
