"""Digests of data in memory: the same by blocks, by any number of threads, and all at once."""

import numpy as np
import pytest

from neuron_xp.model import fingerprint
from neuron_xp.model.settings import check_settings
from neuron_xp.training.data.training_set import Given, Where, open_training_set

SHAPES = [(3, 2), (64, 5), (40_000, 3), (16_300, 300)]  # the last two are cut into blocks


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_digests_do_not_depend_on_blocks_and_threads(shape, threads):
    generator = np.random.RandomState(4)
    x, y, w = (generator.random_sample((shape[0], n)) for n in (shape[1], 1, 1))
    x[::7] = -0.0
    data = open_training_set(Given(x, y, w[:, 0]), check_settings(), Where(threads=threads))
    groups = fingerprint.digest_groups(0, x, y, w)
    digest = fingerprint.digest_rows(groups)
    assert data.fingerprint() == fingerprint.fingerprint_data(digest, x.shape, y.shape, w.shape)
    assert data.fingerprint_unordered() == f"{fingerprint.mix_rows(x, y, w):016x}"
    expected = fingerprint.spell_groups(fingerprint.keep_groups(groups))
    assert data.fingerprint_groups() == expected
    assert len(expected) == (0 if shape[0] > 16_384 else -(-shape[0] // 64))


def test_a_digest_is_of_the_numbers_and_not_of_how_they_lie():
    x = np.random.RandomState(5).random_sample((130, 4))
    expected = fingerprint.digest_groups(128, x)
    assert list(expected) == [2, 3, 4]
    for same in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, axis=1)[:, ::2]):
        assert fingerprint.digest_groups(128, same) == expected
