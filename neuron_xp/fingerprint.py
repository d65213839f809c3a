"""A digest of arrays that is the same on every machine."""

from collections.abc import Iterable
from hashlib import sha256

from neuron_xp.backend import HostArray


def fingerprint(arrays: Iterable[tuple[str, HostArray]]) -> str:
    """SHA-256, in hexadecimal, over name, dtype, shape and values of each array.

    Each array adds the line "name dtype (shape)" and then its values in C order, as
    little-endian bytes, with 0.0 in place of -0.0.
    """
    digest = sha256()
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.name} {tuple(array.shape)}\n".encode())
        digest.update((array + 0.0).astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
