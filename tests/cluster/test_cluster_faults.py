"""Workers and schedulers that are killed: the same bits, or a clear error and a way to go on."""

import logging
import random
import signal
import threading
import time

import dask
import numpy as np
import pytest
from dask_clusters import client_of, deadline, processes
from distributed import Client, LocalCluster

import neuron_xp

pytestmark = pytest.mark.xdist_group("cluster")  # deadlines: one at a time

KILLS = 20
SETTINGS = {
    "learning_rate": 1e-4,
    "bias": True,
    "hidden": (3,),
    "iterations": 40,
    "loss_every": 10,
}


def patience(seconds):
    """How long a cluster without a worker is waited for."""
    return dask.config.set({"neuron-xp.patience": seconds})


def examples(rows=3000, features=7):
    generator = np.random.default_rng(5)
    inputs = generator.standard_normal((rows, features))
    return inputs, (inputs[:, 0] > generator.random(rows)).astype("float64")


class Killer(threading.Thread):
    """Kills a process after a while, and looks whether it is dead."""

    def __init__(self, process, seconds):
        super().__init__()
        self.process, self.seconds = process, seconds

    def run(self):
        time.sleep(self.seconds)
        self.process.kill()
        assert self.process.wait(timeout=10) == -signal.SIGKILL
        self.killed = time.monotonic()


@pytest.mark.slow
def test_workers_that_are_killed_change_no_bit(tmp_path):
    """Only those that were dead before the training had ended are counted."""
    inputs, targets = examples()
    expected = neuron_xp.train(inputs, targets, **SETTINGS)
    moments, kills, runs = random.Random(7), 0, 0
    with deadline(200), processes(tmp_path, 2) as cluster, client_of(cluster) as client:
        neuron_xp.train(inputs, targets, backend="dask", **SETTINGS)
        while kills < KILLS:
            runs += 1
            assert runs < 3 * KILLS, f"only {kills} kills in {runs} runs"
            victim = cluster.workers.pop(moments.randrange(2))
            cluster.add_worker()  # takes a while to arrive
            killer = Killer(victim, moments.uniform(0, 0.8))
            killer.start()
            network = neuron_xp.train(inputs, targets, backend="dask", **SETTINGS)
            ended = time.monotonic()
            killer.join()
            kills += killer.killed < ended
            assert network.fingerprint() == expected.fingerprint()
            assert network.history == expected.history
            client.wait_for_workers(2, timeout=30)
    assert kills == KILLS


@pytest.mark.slow
def test_a_run_goes_on_after_its_scheduler_was_killed(tmp_path):
    inputs, targets = examples()
    settings = {**SETTINGS, "iterations": 150}
    expected = neuron_xp.train(inputs, targets, **settings)
    path = tmp_path / "run.safetensors"
    saving = {"checkpoint": path, "checkpoint_every": 5}
    with deadline(120):
        with processes(tmp_path, 2) as cluster, client_of(cluster):
            killer = None

            def kill_when_it_runs(progress):
                nonlocal killer
                if progress.iteration >= 20 and killer is None:
                    killer = Killer(cluster.scheduler, 0.1)
                    killer.start()

            began = time.monotonic()
            with pytest.raises(neuron_xp.ClusterLostError, match=r"give resume=True to go on from"):
                neuron_xp.train(inputs, targets, backend="dask", on_progress=kill_when_it_runs,
                                progress_every=1, **saving, **settings)  # fmt: skip
            assert time.monotonic() - began < 60
        held = neuron_xp.NeuralNetwork.load(path)
        assert held.fingerprint() != expected.fingerprint()
        copy = tmp_path / "copy.safetensors"
        copy.write_bytes(path.read_bytes())
        with processes(tmp_path, 2) as cluster, client_of(cluster):
            there = neuron_xp.train(inputs, targets, backend="dask", resume=True,
                                    **saving, **settings)  # fmt: skip
        here = neuron_xp.train(inputs, targets, checkpoint=copy, resume=True, **settings)
    assert there.fingerprint() == here.fingerprint() == expected.fingerprint()
    assert there.history == here.history == expected.history


@pytest.mark.slow
def test_all_workers_gone_is_said(tmp_path):
    inputs, targets = examples()
    with patience(6.0), deadline(60), processes(tmp_path, 2) as cluster, client_of(cluster):

        def kill_all(progress):
            for worker in cluster.workers:
                worker.kill()

        with pytest.raises(neuron_xp.ClusterLostError, match=r"no worker is at .*checkpoint="):
            neuron_xp.train(
                inputs, targets, backend="dask", on_progress=kill_all, progress_every=1, **SETTINGS
            )


@pytest.mark.slow
def test_a_scheduler_that_says_nothing_is_said(tmp_path):
    """Stopped, so that the system still takes what is sent to it."""
    inputs, targets = examples()
    with patience(6.0), deadline(90), processes(tmp_path, 1) as cluster, client_of(cluster):

        def freeze(progress):
            cluster.scheduler.send_signal(signal.SIGSTOP)

        with pytest.raises(neuron_xp.ClusterLostError, match=r"no worker is at .*checkpoint="):
            neuron_xp.train(
                inputs, targets, backend="dask", on_progress=freeze, progress_every=1, **SETTINGS
            )
        cluster.scheduler.kill()


def test_a_scheduler_that_says_nothing_before_a_training_is_said(tmp_path):
    """Stopped after the client has joined it, and before it was asked for workers."""
    inputs, targets = examples()
    with patience(2.0), deadline(60), processes(tmp_path, 0) as cluster, client_of(cluster):
        cluster.scheduler.send_signal(signal.SIGSTOP)
        with pytest.raises(neuron_xp.ClusterLostError, match=r"no worker is at .*checkpoint="):
            neuron_xp.train(inputs, targets, backend="dask", **SETTINGS)
        cluster.scheduler.kill()


@pytest.mark.slow
def test_a_cluster_that_starts_workers_when_there_is_work():
    inputs, targets = examples()
    with (
        deadline(90),
        LocalCluster(n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
                     scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                     silence_logs=logging.CRITICAL) as cluster,
        Client(cluster),
    ):  # fmt: skip
        cluster.adapt(minimum=0, maximum=1)
        network = neuron_xp.train(inputs, targets, backend="dask", **SETTINGS)
    assert network.fingerprint() == neuron_xp.train(inputs, targets, **SETTINGS).fingerprint()


def test_a_cluster_without_workers_is_said(tmp_path):
    inputs, targets = examples()
    with (
        patience(2.0),
        deadline(60),
        processes(tmp_path, 0) as cluster,
        client_of(cluster),
        pytest.raises(neuron_xp.ClusterLostError, match="type: dask worker tcp"),
    ):
        neuron_xp.train(inputs, targets, backend="dask", **SETTINGS)
