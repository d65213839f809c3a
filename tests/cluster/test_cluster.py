"""Clusters of 1, 2 and 4 worker processes: the bits of the same training in memory."""

import logging
import os
import subprocess
import sys
import time

import dask
import dask.array as da
import numpy as np
import pytest
from dask_clusters import deadline, local_cluster
from distributed import Client, LocalCluster
from distributed.security import Security
from parts_data import CHUNKS, RATE, SETTINGS, examples

import neuron_xp
from neuron_xp.cluster import scheduler as clusters
from neuron_xp.cluster.silence import Silence

pytestmark = pytest.mark.xdist_group("cluster")  # deadlines: one at a time


@pytest.fixture(
    scope="module",
    params=[pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)],
)
def client(request):
    with deadline(120), local_cluster(request.param) as client:
        yield client


@pytest.fixture
def small_fan_in():
    """Let a few parts make a tree."""
    with dask.config.set({"neuron-xp.fan-in": 2}):
        yield


def test_workers_change_no_bit(client, small_fan_in):
    inputs, targets, _ = examples()
    assert isinstance(clusters.find_scheduler(), clusters.Cluster)
    runs = [(settings, CHUNKS["7"]) for settings in SETTINGS]
    runs += [(SETTINGS[1], chunks) for chunks in CHUNKS.values()]
    for some, chunks in runs:
        settings = {**RATE, **some}
        expected = neuron_xp.train(inputs, targets, **settings)
        x = da.from_array(inputs, chunks=(chunks, -1))
        network = neuron_xp.train(x, targets, **settings)
        assert network.fingerprint() == expected.fingerprint()
        assert network.history == expected.history


def test_the_work_is_done_by_the_workers(client):
    """And what the parts hold is let go when the training is over."""
    inputs, targets, _ = examples()
    before = set(client.run(os.getpid).values())
    network = neuron_xp.train(inputs, targets, backend="dask", **RATE)
    outputs = network.think(da.from_array(inputs, chunks=(300, 3)))
    assert outputs.chunks == ((300,) * 5, (1,))
    assert (outputs.compute() == network.think(inputs)).all()
    assert os.getpid() not in before
    del outputs
    with deadline(10):
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            time.sleep(0.05)  # futures are let go by messages


def test_what_is_waited_for_again_and_again_is_let_go(client, monkeypatch):
    """With less patience than an iteration takes."""
    inputs, targets, _ = examples(rows=300_000)
    settings = {**RATE, "iterations": 3, "learning_rate": 1e-6, "hidden": (4,)}
    expected = neuron_xp.train(inputs, targets, **settings)
    monkeypatch.setattr(
        clusters.Cluster, "_hear_workers", lambda self, seconds: {"a worker": time.monotonic()}
    )
    with dask.config.set({"neuron-xp.patience": 0.12}):
        network = neuron_xp.train(inputs, targets, backend="dask", **settings)
    assert network.fingerprint() == expected.fingerprint()
    with deadline(10):
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            time.sleep(0.05)


def test_a_large_network_on_the_cluster(client):
    """Parameters of more than a megabyte."""
    inputs, targets, _ = examples(rows=130)
    wide = np.tile(inputs, (1, 100))
    settings = {**RATE, "iterations": 2, "hidden": (200,), "learning_rate": 1e-4}
    expected = neuron_xp.train(wide, targets, **settings)
    assert neuron_xp.train(wide, targets, backend="dask", **settings).fingerprint() == (
        expected.fingerprint()
    )


def test_a_worker_is_silent_when_nothing_new_is_heard_of_it():
    silence = Silence()
    heard = [{"a": 1.0, "b": float(min(moment, 9))} for moment in range(30)]
    found = [silence.find(workers, 1.0, limit=8.0) for workers in heard]
    assert {n: workers for n, workers in enumerate(found) if workers} == {8: ["a"], 17: ["b"]}
    assert silence.find({"a": 2.0}, 1.0, limit=8.0) == []
    assert silence.find({}, 1.0, limit=8.0) == []


def test_patience_that_was_set_for_a_while_leaves_the_default():
    """Also where our modules came while it was set, as they do when a cluster is needed."""
    code = (
        "import dask\n"
        "with dask.config.set({'neuron-xp.patience': 2}):\n"
        "    from neuron_xp.cluster.scheduler import read_patience\n"
        "    print(read_patience())\n"
        "print(read_patience())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DASK_NEURON_XP__PATIENCE"}
    said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert said.split() == ["2.0", "30.0"]


@pytest.mark.slow
def test_an_encrypted_cluster(tmp_path):
    """Dask's own settings of TLS, given as for any of its programs."""
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = {"distributed.comm.require-encryption": True, "distributed.comm.tls.ca-file": certificate}
    for role in ("client", "scheduler", "worker"):
        tls[f"distributed.comm.tls.{role}.cert"] = certificate
        tls[f"distributed.comm.tls.{role}.key"] = key
    inputs, targets, _ = examples()
    with (
        deadline(120),
        dask.config.set(tls),
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tls://",
            dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL, security=Security(),
        ) as cluster,
        Client(cluster.scheduler_address) as client,
    ):  # fmt: skip
        assert client.scheduler.address.startswith("tls://")
        network = neuron_xp.train(inputs, targets, backend="dask", **RATE)
    assert network.fingerprint() == neuron_xp.train(inputs, targets, **RATE).fingerprint()
