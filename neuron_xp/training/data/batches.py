"""Batches: the examples that an iteration learns from."""

import math
from functools import lru_cache

import numpy as np

from neuron_xp.backends.backend import Backend
from neuron_xp.backends.examples import take_rows
from neuron_xp.model.settings import Settings
from neuron_xp.neuron.reproducible.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.random_start import make_generator


def take_batch(
    examples: Examples, iteration: int, settings: Settings, backend: Backend
) -> Examples:
    """Return the examples of an iteration, counted from 0: the next `batch_size` of its epoch.

    The last batch of an epoch may be smaller. Leaves are counted from the batch's start.
    """
    rows = examples.inputs.shape[0]
    epoch, start, stop = _cut_epoch(iteration, settings, rows)
    if settings.shuffle is None:
        return examples.select(lambda x: x[start:stop, :])
    order = draw_epoch(settings.shuffle, settings.seed, epoch, rows)
    return take_rows(examples, order[start:stop], backend)


def cut_batch_ranges(iteration: int, settings: Settings, rows: int) -> np.ndarray:
    """Return the examples of `take_batch` as ranges of rows, for data in parts: (ranges, 2).

    Each is (first, end); they ascend. `shuffle` is not "rows". Sums over whole leaves are
    exact, so that the order in which an epoch draws them changes no bit.
    """
    epoch, start, stop = _cut_epoch(iteration, settings, rows)
    if settings.shuffle is None:
        return np.asarray([[start, stop]])
    drawn = draw_leaves(settings.seed, epoch, rows // LEAF)
    firsts = np.sort(drawn[start // LEAF : math.ceil(stop / LEAF)]) * LEAF
    if stop == rows and rows % LEAF:
        firsts = np.append(firsts, rows - rows % LEAF)
    return np.stack([firsts, np.minimum(firsts + LEAF, rows)], axis=1)


def count_batch_rows(iteration: int, settings: Settings, rows: int) -> int:
    """Return how many examples an iteration learns from."""
    _, start, stop = _cut_epoch(iteration, settings, rows)
    return stop - start


def _cut_epoch(iteration: int, settings: Settings, rows: int) -> tuple[int, int, int]:
    """Return (epoch, first, end): where in the order of its epoch an iteration's batch is."""
    size = min(settings.batch_size or rows, rows)
    epoch, number = divmod(iteration, math.ceil(rows / size))
    return epoch, number * size, min(number * size + size, rows)


@lru_cache(maxsize=2)
def draw_epoch(shuffle: str, seed: int, epoch: int, rows: int) -> np.ndarray:
    """Draw the order of an epoch: RandomState([seed, epoch]).permutation, on the host.

    "rows" draws every example; "leaves" whole aligned groups of 64, which stay in one piece,
    and an incomplete group comes last.
    """
    if shuffle == "rows":
        return make_generator([seed, epoch]).permutation(rows).astype("int64")
    leaves = rows // LEAF
    groups = draw_leaves(seed, epoch, leaves)[:, None] * LEAF + np.arange(LEAF)
    return np.concatenate([groups.ravel(), np.arange(leaves * LEAF, rows)])


@lru_cache(maxsize=2)
def draw_leaves(seed: int, epoch: int, leaves: int) -> np.ndarray:
    """Draw the order in which an epoch takes whole leaves."""
    return make_generator([seed, epoch]).permutation(leaves).astype("int64")
