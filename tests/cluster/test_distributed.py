"""Dask arrays and dataframes: the bits of the same training in memory."""

import asyncio
import pickle
from itertools import permutations

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client
from parts_data import CHUNKS, RATE, SETTINGS, examples

import neuron_xp
from neuron_xp.backends.backend import name_device
from neuron_xp.backends.libraries import find_backend
from neuron_xp.cluster.parts import load_part
from neuron_xp.model.settings import check_settings
from neuron_xp.training.data.training_set import Given, Where, open_training_set


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_chunks_change_no_bit(chunks, settings):
    settings = {**RATE, **settings}
    inputs, targets, weight = examples()
    expected = neuron_xp.train(inputs, targets, sample_weight=weight, **settings)
    network = neuron_xp.train(
        da.from_array(inputs, chunks=(CHUNKS[chunks], 3)),
        da.from_array(targets, chunks=400),
        sample_weight=weight,
        **settings,
    )
    assert network.fingerprint() == expected.fingerprint()
    assert network.history == expected.history


def test_dataframes():
    pandas = pytest.importorskip("pandas")
    dataframes = pytest.importorskip("dask.dataframe")
    inputs, targets, _ = examples()
    expected = neuron_xp.train(inputs, targets, **RATE)
    frame = dataframes.from_pandas(pandas.DataFrame(inputs), npartitions=3)
    column = dataframes.from_pandas(pandas.Series(targets), npartitions=5)
    network = neuron_xp.train(frame, column, **RATE)
    assert network.fingerprint() == expected.fingerprint()
    assert (network.think(frame).compute() == expected.think(inputs)).all()


def test_chunks_of_unknown_size():
    inputs, targets, _ = examples()
    some = inputs[:, 1] > 0
    expected = neuron_xp.train(inputs[some], targets[some], **RATE)
    x, y = da.from_array(inputs, chunks=(400, -1)), da.from_array(targets, chunks=400)
    chosen = x[:, 1] > 0
    given = x[chosen], y[chosen]
    assert neuron_xp.train(*given, **RATE).fingerprint() == expected.fingerprint()
    assert np.isnan(given[0].chunks[0]).all()  # the user's own are not changed
    none = x[:, 1] > np.asarray([np.inf] * 400 + [0.0] * (len(inputs) - 400))
    outputs = expected.think(x[none]).compute()  # of a chunk without rows, too
    assert outputs.shape == (int((inputs[400:, 1] > 0).sum()), 1)


def test_the_parts_may_be_of_any_library(library):
    """That of the chunks, or the one that is asked for."""

    def there(chunk):
        with library.context():
            return library.from_host(chunk)

    inputs, targets, _ = examples()
    expected = neuron_xp.train(inputs, targets, **RATE)
    x = da.from_array(inputs, chunks=(384, -1))  # of whole leaves, so that they stay as they are
    chunks = x.map_blocks(there, meta=np.empty((0, 0)))
    place = {"backend": library.name, "device": name_device(library.device)}
    for data, where in ((chunks, {}), (x, place)):
        parts = open_training_set(Given(data, targets), check_settings(), Where(**where))
        held, *_ = dask.compute(*parts.source.kept)
        assert str(find_backend(held.examples.inputs)) == str(library)
        network = neuron_xp.train(data, targets, **where, **RATE)
        assert network.fingerprint() == expected.fingerprint()


def test_a_part_is_the_same_at_another_worker(library):
    """As Dask sends it: some libraries' own pickles round float64."""
    inputs, targets, weight = examples()
    where = library.name, name_device(library.device)
    part = load_part(inputs, targets, weight, first=64, library=where, dtype="float64")
    there = pickle.loads(pickle.dumps(part))
    assert there.first == 64
    for before, after in zip(part.examples[:3], there.examples[:3], strict=True):
        assert str(find_backend(after)) == str(library)
        with library.context():
            assert library.to_host(after).tobytes() == library.to_host(before).tobytes()


def test_tables_of_one_source_are_computed_together():
    """A source that gives other rows each time gives inputs and targets of the same ones."""
    draws = []

    def draw():
        rows = np.random.default_rng().standard_normal((128, 4))
        draws.append(rows)
        return rows

    chunks = [da.from_delayed(dask.delayed(draw, pure=False)(), (128, 4), "float64")
              for _ in range(3)]  # fmt: skip
    table = da.concatenate(chunks)
    network = neuron_xp.train(table[:, :3], table[:, 3] > 0, **RATE)
    assert len(draws) == 3
    found = {network.fingerprint()}
    orders = [np.concatenate(order) for order in permutations(draws)]
    known = {neuron_xp.train(rows[:, :3], rows[:, 3] > 0, **RATE).fingerprint() for rows in orders}
    assert found <= known


def test_arrays_and_lists_are_spread(library):
    inputs, targets, _ = examples()
    expected = neuron_xp.train(inputs, targets, **RATE)
    with library.context():
        there = library.from_host(inputs), library.from_host(targets)
    for data in (there, (inputs.tolist(), targets.tolist())):
        network = neuron_xp.train(*data, backend="dask", **RATE)
        assert network.fingerprint() == expected.fingerprint()
        assert str(network.backend) == "numpy on cpu"


def test_a_few_rows():
    """Fewer than there are threads, and than a leaf has."""
    expected = neuron_xp.train(iterations=50)
    assert neuron_xp.train(iterations=50, backend="dask").fingerprint() == expected.fingerprint()
    one = neuron_xp.train([[1, 2]], [1], iterations=5)
    chunk = da.from_array(np.asarray([[1, 2]]))
    assert neuron_xp.train(chunk, [True], iterations=5).fingerprint() == one.fingerprint()


def test_native_arithmetic_is_near():
    inputs, targets, _ = examples()
    settings = {**RATE, "arithmetic": "native", "bias": True}
    expected = neuron_xp.train(inputs, targets, **settings)
    network = neuron_xp.train(da.from_array(inputs, chunks=(100, -1)), targets, **settings)
    assert np.abs(network.weights[0] - expected.weights[0]).max() < 1e-12


def test_an_asynchronous_client_is_refused():
    async def run():
        async with Client(processes=False, asynchronous=True, dashboard_address="127.0.0.1:0"):
            neuron_xp.train(backend="dask")

    with pytest.raises(TypeError, match="the Dask client is asynchronous; train with a Client"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": lambda x: da.where(x == x.max(), np.nan, x)}, r"inputs\[\d+, \d\] is nan"),
        ({"inputs": lambda x: x[:, 0]}, r"\(examples, features\); got \(1500,\)"),
        ({"targets": lambda y: y[:-1]}, "inputs hold 1500 examples but targets hold 1499"),
        ({"targets": lambda y: y * 2}, r"targets\[\d+, 0\] is 2.0; targets must lie in \[0, 1\]"),
        ({"sample_weight": lambda y: y * 0}, "sample_weight is 0 for every example"),
        ({"targets": lambda y: y[:, None, None]}, r"targets must have the shape .*; got \(1500, 1"),
        ({"sample_weight": lambda y: y[0]}, r"sample_weight must have the shape .*; got \(\)"),
        ({"device": lambda _: "cuda:7"}, "device='cuda:7' is of which library"),
        ({"batch_size": lambda _: 100}, "batch_size must be a multiple of 64"),
        ({"shuffle": lambda _: "rows", "batch_size": lambda _: 64}, "give shuffle='leaves'"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(change, message):
    inputs, targets, _ = examples()
    given = {"inputs": da.from_array(inputs, chunks=(400, -1)),
             "targets": da.from_array(targets, chunks=400)}  # fmt: skip
    for name, function in change.items():
        given[name] = function(given.get(name, given["targets"]))
    with pytest.raises(ValueError, match=message):
        neuron_xp.train(**given)


def test_the_place_of_a_bad_number_is_told():
    inputs, targets, _ = examples()
    inputs[1234, 5] = np.inf
    with pytest.raises(ValueError, match=r"inputs\[1234, 5\] is inf"):
        neuron_xp.train(da.from_array(inputs, chunks=(400, 3)), targets)


def test_a_checkpoint_of_a_cluster_goes_on_in_memory(tmp_path):
    inputs, targets, _ = examples()
    path = tmp_path / "run.safetensors"
    settings = {**RATE, "bias": True}
    expected = neuron_xp.train(inputs, targets, **settings)
    half = {**settings, "iterations": 6}
    neuron_xp.train(inputs, targets, backend="dask", checkpoint=path, **half)
    network = neuron_xp.train(inputs, targets, checkpoint=path, resume=True, **settings)
    assert network.fingerprint() == expected.fingerprint()
