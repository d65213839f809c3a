"""Random faults of clusters: each run ends in time on the same bits, or says how it goes on.

NEURON_XP_LARGE=1 runs 200 of them; another number, so many.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import dask
import numpy as np
import pytest
from dask_clusters import client_of, deadline, find_workers, processes
from distributed import Client
from mutations import count_cases

pytestmark = [
    pytest.mark.xdist_group("cluster"),  # deadlines: one at a time
    pytest.mark.skipif(os.name == "nt", reason="signals"),
]

FAULTS = count_cases(default=5, large=200)
LONGEST = 90
PATIENCE = "6"
VICTIMS = (
    "own worker", "worker", "worker of a nanny", "nanny", "scheduler", "connection", "all workers",
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    generator = np.random.default_rng(8)
    numbers = generator.standard_normal((700, 3)).round(6)
    lines = [",".join(map(str, row)) + (",yes" if sum(row) > 0 else ",no") for row in numbers]
    (folder / "t.csv").write_text("a,b,c,said\n" + "\n".join(lines) + "\n")
    run = start_training(folder / "t.csv", folder / "expected", folder / "saved")
    _, said = run.communicate()
    assert run.returncode == 0, said
    return folder / "t.csv"


def start_training(table, model, saved, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "neuron_xp", "train", str(table), "--target", "said", "-o",
         str(model), "--optimizer", "gradient_descent", "--iterations", "150", "--checkpoint",
         str(saved), "--checkpoint-every", "5", *map(str, options)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DASK_NEURON_XP__PATIENCE": PATIENCE,
             "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"},
    )  # fmt: skip


def cut_a_connection(address, number):
    """Break one of those that the scheduler holds to its workers and clients."""

    def cut(dask_scheduler):
        streams = [*dask_scheduler.stream_comms.values(), *dask_scheduler.client_comms.values()]
        streams[number % len(streams)].comm.abort()

    with dask.config.set({"distributed.comm.timeouts.connect": "5s"}), suppress(OSError):
        client = Client(address, set_as_default=False)
        with suppress(Exception):  # its own may be the one
            client.run_on_scheduler(cut)
        with suppress(Exception):
            client.close(timeout=2)


def do_harm(draw, victim, run, cluster):
    """Send SIGKILL or SIGSTOP to what the fault is of, or cut; return what was done, in words."""
    number = draw.choice((signal.SIGKILL, signal.SIGSTOP))
    if victim == "connection":
        cut_a_connection(cluster.address, draw.randrange(6))
        return "cut"
    if victim == "own worker":
        found = find_workers(run.pid)
    elif victim == "worker of a nanny":
        found = find_workers(cluster.workers[draw.randrange(2)].pid)
    elif victim == "scheduler":
        found = [cluster.scheduler]
    else:
        found = cluster.workers
    chosen = found if victim == "all workers" else draw.sample(found, k=min(len(found), 1))
    for process in chosen:
        with suppress(Exception):  # it may have gone by itself
            process.send_signal(number)
    return f"{number.name} to {len(chosen)}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FAULTS))
def test_a_fault_changes_no_bit_and_hangs_nowhere(seed, table, tmp_path):
    draw = random.Random(seed)
    victim = VICTIMS[seed % len(VICTIMS)]
    when = draw.choice(("at any time", "in training"))
    model, saved = tmp_path / "model", tmp_path / "saved"
    nannies = victim in ("worker of a nanny", "nanny")
    with deadline(2 * LONGEST), ExitStack() as stack:
        cluster, where = None, ("--workers", "2")
        if victim != "own worker":
            cluster = stack.enter_context(processes(tmp_path, 0))
            for _ in range(2):
                cluster.add_worker(nanny=nannies)
            client = stack.enter_context(client_of(cluster))
            client.wait_for_workers(2, timeout=60)
            client.close()
            where = ("--scheduler", cluster.address)
        run = start_training(table, model, saved, *where)
        stack.callback(run.kill)
        while when == "in training" and not saved.exists() and run.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1 if saved.exists() else 5))
        harm = do_harm(draw, victim, run, cluster)
        began = time.monotonic()
        _, said = run.communicate(timeout=LONGEST)
        seconds = time.monotonic() - began
        lines = [line for line in said.splitlines() if "runs whatever it is sent" not in line]
        told = f"{victim}, {harm}, {when}: status {run.returncode} after {seconds:.1f} s"
        sys.stdout.write("\n".join([told, *lines, ""]))
    assert all(line.startswith("neuron-xp: ") for line in lines), said
    errors = [line for line in lines if not line.startswith("neuron-xp: warning: ")]
    if run.returncode:
        assert run.returncode == 2
        assert len(errors) == 1
        assert "type --resume to go on from" in errors[0]
        assert not model.exists()
        again = start_training(table, model, saved, "--resume")
        _, said = again.communicate()
        assert again.returncode == 0, said
    else:
        assert errors == []
    assert model.read_bytes() == (table.parent / "expected").read_bytes()
