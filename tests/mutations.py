"""Mutations of files for tests: bytes that nobody wrote, from a seed.

NEURON_XP_LARGE=1 makes as many as before a release, NEURON_XP_LARGE=20000 that many.
"""

import os


def count_cases(*, default, large):
    """How many cases to try: `default`, but for a release."""
    asked = int(os.environ.get("NEURON_XP_LARGE", "0"))
    return {0: default, 1: large}.get(asked, asked)


def mutate_bytes(content, chance, other=b""):
    """Flip, cut, drop, repeat, overwrite, or splice with another file: one to three times."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3))):
        start = chance.randrange(len(data) + 1)
        stop = min(len(data), start + chance.choice((1, 2, 4, 8, 64, len(data))))
        kind = chance.randrange(7)
        if kind == 0 and start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[start:]
        elif kind == 2:
            del data[start:stop]
        elif kind == 3:
            data[start:start] = data[start : min(stop, start + 1000)]
        elif kind == 4:
            data[start:stop] = chance.choice(
                (b"\0", b"\xff", b"9", b"\x1b[31m", chance.randbytes(8))
            ) * (min(stop - start, 8))
        elif kind == 5:
            data[start:stop] = chance.randbytes(min(stop - start, 64))
        else:
            at = chance.randrange(len(other) + 1)
            data[start:stop] = other[at : at + stop - start]
    return bytes(data)
