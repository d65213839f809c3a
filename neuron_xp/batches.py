"""Which examples an iteration learns from."""

from functools import lru_cache

from neuron_xp.backend import Backend, HostArray
from neuron_xp.backends import host
from neuron_xp.neuron.exact_sum import LEAF
from neuron_xp.neuron.step import Examples
from neuron_xp.random_start import generator
from neuron_xp.settings import Settings


def batch(examples: Examples, iteration: int, settings: Settings, backend: Backend) -> Examples:
    """The examples of an iteration, counted from 0: `batch_size` places of its epoch's order.

    The last batch of an epoch may be smaller. Leaves are counted from the batch's start.
    """
    rows = examples.inputs.shape[0]
    size = min(settings.batch_size or rows, rows)
    epoch, place = divmod(iteration, -(-rows // size))
    start, stop = place * size, min(place * size + size, rows)
    if settings.shuffle is None:
        return examples.select(lambda x: x[start:stop, :])
    order = epoch_order(settings.shuffle, settings.seed, epoch, rows)
    chosen = backend.from_host(order[start:stop])
    return examples.select(lambda x: backend.xp.take(x, chosen, axis=0))


@lru_cache(maxsize=2)
def epoch_order(shuffle: str, seed: int, epoch: int, rows: int) -> HostArray:
    """The order of an epoch: RandomState([seed, epoch]).permutation, drawn on the host.

    "rows" draws every example; "leaves" whole aligned groups of 64, which stay in one piece,
    and an incomplete group comes last.
    """
    draw = generator([seed, epoch]).permutation
    if shuffle == "rows":
        return draw(rows).astype("int64")
    whole = rows // LEAF
    groups = draw(whole).astype("int64")[:, None] * LEAF + host.arange(LEAF)
    return host.concatenate([groups.ravel(), host.arange(whole * LEAF, rows)])
