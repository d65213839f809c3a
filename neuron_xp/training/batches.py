"""Which examples an iteration learns from."""

from functools import lru_cache

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.random_start import generator


def batch(examples: Examples, iteration: int, settings: Settings, backend: Backend) -> Examples:
    """The examples of an iteration, counted from 0: `batch_size` places of its epoch's order.

    The last batch of an epoch may be smaller. Leaves are counted from the batch's start.
    """
    epoch, start, stop = _places(iteration, settings, rows := examples.inputs.shape[0])
    if settings.shuffle is None:
        return examples.select(lambda x: x[start:stop, :])
    order = epoch_order(settings.shuffle, settings.seed, epoch, rows)
    return taken(examples, order[start:stop], backend)


def taken(examples: Examples, rows: np.ndarray, backend: Backend) -> Examples:
    """The examples of those numbers, in that order."""
    chosen = backend.from_host(rows)
    return examples.select(lambda x: backend.xp.take(x, chosen, axis=0))


def batch_ranges(iteration: int, settings: Settings, rows: int) -> np.ndarray:
    """The same examples as `batch` for data in parts, without "rows": (first, end) of ranges.

    (ranges, 2), in the order of the data. Sums over whole leaves are exact, so that the
    order in which an epoch draws them changes no bit.
    """
    epoch, start, stop = _places(iteration, settings, rows)
    if settings.shuffle is None:
        return np.asarray([[start, stop]])
    drawn = epoch_leaves(settings.seed, epoch, rows // LEAF)[start // LEAF : -(-stop // LEAF)]
    firsts = np.sort(drawn) * LEAF
    if stop == rows and rows % LEAF:
        firsts = np.append(firsts, rows - rows % LEAF)
    return np.stack([firsts, np.minimum(firsts + LEAF, rows)], axis=1)


def _places(iteration: int, settings: Settings, rows: int) -> tuple[int, int, int]:
    """(epoch, first, end) of an iteration's places in the order of its epoch."""
    size = min(settings.batch_size or rows, rows)
    epoch, place = divmod(iteration, -(-rows // size))
    return epoch, place * size, min(place * size + size, rows)


@lru_cache(maxsize=2)
def epoch_order(shuffle: str, seed: int, epoch: int, rows: int) -> np.ndarray:
    """The order of an epoch: RandomState([seed, epoch]).permutation, drawn on the host.

    "rows" draws every example; "leaves" whole aligned groups of 64, which stay in one piece,
    and an incomplete group comes last.
    """
    if shuffle == "rows":
        return generator([seed, epoch]).permutation(rows).astype("int64")
    whole = rows // LEAF
    groups = epoch_leaves(seed, epoch, whole)[:, None] * LEAF + np.arange(LEAF)
    return np.concatenate([groups.ravel(), np.arange(whole * LEAF, rows)])


@lru_cache(maxsize=2)
def epoch_leaves(seed: int, epoch: int, leaves: int) -> np.ndarray:
    """The order in which an epoch draws whole leaves."""
    return generator([seed, epoch]).permutation(leaves).astype("int64")
