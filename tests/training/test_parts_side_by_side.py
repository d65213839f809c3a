"""Parts that are worked off side by side share the memory: each takes smaller blocks."""

from dataclasses import replace

import dask.array as da
import pytest
from parts_data import RATE, examples, saved

import neuron_xp
from neuron_xp.backends.engine import choose_block_rows
from neuron_xp.backends.libraries import open_backend
from neuron_xp.cluster import scheduler as schedulers
from neuron_xp.model.settings import check_settings
from neuron_xp.training.data import in_parts
from neuron_xp.training.data.training_set import Given, Where, open_training_set

NUMPY = open_backend("numpy")
LARGE = replace(NUMPY, block_elements=2**26)  # as a GPU's, or JAX's


@pytest.mark.parametrize(
    ("backend", "at_once", "elements"),
    [
        (LARGE, 1, 2**26),
        (LARGE, 2, 2**25),
        (LARGE, 16, 2**22),
        (LARGE, 1000, 2**18),  # a few megabytes for each of them, and not less
        (NUMPY, 1, 2**18),
        (NUMPY, 16, 2**18),  # each processor has its own cache
    ],
)
def test_large_blocks_are_divided_and_small_ones_are_not(backend, at_once, elements):
    rows = choose_block_rows([(16, 4), (4, 1)], backend, at_once=at_once)
    assert rows == elements // 64
    assert rows % 64 == 0


def open_data(inputs, targets, **where):
    return open_training_set(Given(inputs, targets), check_settings(), Where(**where))


def test_as_many_parts_as_dasks_threads_or_the_streams(monkeypatch, tmp_path):
    inputs, targets, _ = examples()
    monkeypatch.setattr(schedulers.LocalScheduler, "threads_a_machine", 16)
    on_dask = open_data(da.from_array(inputs, chunks=(300, -1)), targets)
    assert on_dask.recipe.at_once == 16
    paths = saved(tmp_path, inputs=inputs, targets=targets)
    assert open_data(*paths.values(), threads=3).recipe.at_once == 3
    alone = replace(NUMPY, threaded=False)  # a library that has its own threads
    assert open_data(*paths.values(), threads=3, backend=alone).recipe.at_once == 1


def test_workers_of_one_machine_are_counted_together():
    threads = {"tcp://10.0.0.7:4001": 4, "tcp://10.0.0.7:4002": 4, "tls://[::1]:40": 5,
               "inproc://10.0.0.8/12/1": 1}  # fmt: skip
    assert sorted(schedulers._count_by_machine(threads).values()) == [1, 5, 8]


def test_every_part_is_cut_by_what_is_left_for_it(monkeypatch):
    """And the bits are those of one thread."""
    inputs, targets, _ = examples()
    expected = neuron_xp.train(inputs, targets, **RATE)
    blocks = set()

    def choose(*arguments, block, **more):
        blocks.add(block)
        return choose_summand(*arguments, block=block, **more)

    choose_summand = in_parts.choose_summand
    monkeypatch.setattr(in_parts, "choose_summand", choose)
    monkeypatch.setattr(in_parts, "find_backend", lambda array: LARGE)
    monkeypatch.setattr(schedulers.LocalScheduler, "threads_a_machine", 32)
    found = neuron_xp.train(da.from_array(inputs, chunks=(300, -1)), targets, **RATE)
    assert found.fingerprint() == expected.fingerprint()
    assert blocks == {2**26 // 32 // (7 * 64) * 64}
