"""Clusters that the command starts: closed to strangers, silent, and hard to end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from contextlib import ExitStack

import numpy as np
import psutil
import pytest
from dask_clusters import deadline, find_workers, local_cluster
from distributed import default_client

from neuron_xp.cluster import private
from neuron_xp.cluster.opening import open_cluster
from neuron_xp.cluster.private import PrivateNanny, start_workers
from neuron_xp.errors import ClusterLostError

pytestmark = [
    pytest.mark.xdist_group("cluster"),  # deadlines: one at a time
    pytest.mark.skipif(os.name == "nt", reason="signals"),
]

STRANGER = """
import asyncio, socket, ssl, sys
import dask
from distributed import Security, rpc

async def ask(port, protocol, security):
    arguments = security.get_connection_args("client")
    try:
        async with rpc(f"{protocol}://127.0.0.1:{port}", connection_args=arguments) as server:
            await asyncio.wait_for(server.identity(), 10)
    except (OSError, ValueError):  # of them are SSLError, TimeoutError, and TLS with who has none
        return "refused"
    return "let in"

def ask_without_certificate(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10)) as channel:
            channel.sendall(bytes(64))
            return "let in" if channel.recv(1) else "refused"
    except OSError:
        return "refused"

async def main(ports):
    tcp, tls = Security(require_encryption=False), Security.temporary()
    answers = [ask(port, "tcp", tcp) for port in ports] + [ask(port, "tls", tls) for port in ports]
    print(*await asyncio.gather(*answers), *map(ask_without_certificate, ports), sep=",", end="")

with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
    asyncio.run(main(list(map(int, sys.argv[1:]))))
"""


def ask_as_stranger(addresses):
    """What is answered to another process: by TCP, with other certificates, and with none."""
    ports = [address.rpartition(":")[2] for address in addresses]
    run = subprocess.run(
        [sys.executable, "-c", STRANGER, *ports], capture_output=True, text=True, check=True
    )
    return run.stdout.split(",")


def list_listeners():
    """The (address, port) pairs at which this process and those that it started listen."""
    me = psutil.Process()
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }


def list_addresses(client):
    """The addresses of the scheduler, its workers and their nannies."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [client.scheduler.address, *workers, *(w["nanny"] for w in workers.values())]


def test_strangers_are_refused_and_find_no_other_port():
    with deadline(100):
        before = list_listeners()
        with open_cluster(workers=2):
            addresses = list_addresses(default_client())
            assert len(addresses) == 5
            assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
            known = {("127.0.0.1", int(address.rpartition(":")[2])) for address in addresses}
            assert list_listeners() - before == known
            assert ask_as_stranger(addresses) == ["refused"] * 15
            assert default_client().submit(sum, [1, 2]).result() == 3
        with local_cluster(1) as client:  # where nobody is asked who he is
            assert ask_as_stranger([client.scheduler.address])[0] == "let in"


def test_a_dashboard_is_shown_to_this_machine_and_takes_no_orders(monkeypatch):
    words = r"port \d+ is in use; the dashboard is at http://127.0.0.1:\d+"
    with deadline(60), socket.create_server(("127.0.0.1", 0)) as other, ExitStack() as stack:
        monkeypatch.setattr(private, "DASHBOARD_PORT", other.getsockname()[1])
        before = list_listeners()
        with pytest.warns(RuntimeWarning, match=words):
            stack.enter_context(open_cluster(workers=1, dashboard=True))
        used = {int(address.rpartition(":")[2]) for address in list_addresses(default_client())}
        ((host, port),) = (at for at in list_listeners() - before if at[1] not in used)
        assert host == "127.0.0.1"
        page = f"http://127.0.0.1:{port}"
        assert b"tls://" in urllib.request.urlopen(f"{page}/json/identity.json").read()
        for path, body in (
            ("/api/v1/retire_workers", b'{"n": 1}'),
            ("/proxy/22/127.0.0.1/", None),
            ("/json/identity.json", b"{}"),
        ):
            with pytest.raises(urllib.error.HTTPError, match=r"40[45]"):
                urllib.request.urlopen(page + path, body)


def test_without_cryptography_nothing_is_started(monkeypatch):
    monkeypatch.setattr(private, "find_spec", lambda name: None)
    before = list_listeners()
    with pytest.raises(ImportError, match=r"type: pip install 'neuron-xp\[dask\]'"):
        open_cluster(workers=1).__enter__()
    assert list_listeners() == before


def test_a_folder_that_another_could_open_is_not_used(tmp_path, monkeypatch):
    """Dask imports and unpickles what lies in it."""
    monkeypatch.setattr(private.tempfile, "tempdir", str(tmp_path))
    mine = private._make_private_folder()
    assert private._make_private_folder() == mine
    assert os.stat(mine).st_mode & 0o777 == 0o700
    os.chmod(mine, 0o777)
    other = private._make_private_folder()
    assert other != mine
    assert os.stat(other).st_mode & 0o777 == 0o700


def test_workers_that_do_not_start_are_told(monkeypatch):
    async def fail(nanny):
        if nanny.name in failing:
            raise RuntimeError("no such luck")
        return await start(nanny)

    start = PrivateNanny.instantiate
    monkeypatch.setattr(PrivateNanny, "instantiate", fail)
    failing = {1}
    words = r"1 of 2 workers did not start \(no such luck\); the others do the work"
    with deadline(60):
        with pytest.warns(RuntimeWarning, match=words), open_cluster(workers=2):
            assert len(default_client().nthreads()) == 1
        failing = {0, 1}
        with (
            pytest.raises(ClusterLostError, match="no worker started: no such luck"),
            start_workers(2, dashboard=False),
        ):
            pass


def test_what_a_cluster_without_tls_is_for_is_said_once():
    words = "runs whatever it is sent, by anybody who reaches it; with TLS, at tls://"
    with deadline(60), local_cluster(1) as client, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with open_cluster(client.scheduler.address):
            pass
    assert [words in str(warning.message) for warning in said] == [True]


# --- the command ------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(8)
    numbers = generator.standard_normal((700, 3)).round(6)
    lines = [",".join(map(str, row)) + (",yes" if sum(row) > 0 else ",no") for row in numbers]
    (tmp_path / "t.csv").write_text("a,b,c,said\n" + "\n".join(lines) + "\n")
    return tmp_path / "t.csv"


def start_training(table, model, *options, patience="30"):
    """The command, as the first of its own group of processes, as at a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "neuron_xp", "train", str(table), "--target", "said", "-o",
         str(table.parent / model), "--optimizer", "gradient_descent", "--iterations", "300",
         *map(str, options)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "DASK_NEURON_XP__PATIENCE": patience},
    )  # fmt: skip


def wait_for_workers(run, count):
    """Wait until so many processes of workers are there, however young."""
    while len(found := find_workers(run.pid)) < count:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.01)
    return found


def wait_for(path, run):
    while not path.exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize("moment", ["starting", "training"])
def test_ctrl_c_gets_one_line(table, moment):
    saved = table.parent / "run.safetensors"
    saving = ("--checkpoint", saved, "--checkpoint-every", "5", "--iterations", "100000")
    with deadline(100):
        run = start_training(table, "m", "--workers", "2", *saving)
        wait_for_workers(run, 2)
        if moment == "training":
            wait_for(saved, run)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate()
    assert run.returncode == 130
    assert said.splitlines() == [
        "neuron-xp: stopped; a run with --checkpoint goes on by the same command with --resume"
    ]


def test_a_worker_that_dies_while_it_starts_is_started_again(table):
    with deadline(100):
        here = start_training(table, "here")
        run = start_training(table, "there", "--workers", "2")
        wait_for_workers(run, 1)[0].kill()
        (_, said), (_, alone) = run.communicate(), here.communicate()
    assert (run.returncode, said) == (0, alone)
    folder = table.parent
    assert (folder / "there").read_bytes() == (folder / "here").read_bytes()


def test_workers_that_never_start_are_said_in_a_line(table):
    with deadline(100):
        run = start_training(table, "m", "--workers", "1", "--checkpoint", table.parent / "run")
        while run.poll() is None:
            for worker in find_workers(run.pid):
                worker.kill()
            time.sleep(0.01)
        (line,) = run.communicate()[1].splitlines()
    assert run.returncode == 2
    assert line.startswith("neuron-xp: no worker started: ")


def test_a_worker_that_falls_silent_is_given_up(table):
    saved = table.parent / "run.safetensors"
    saving = ("--checkpoint", saved, "--checkpoint-every", "5")
    longer = ("--iterations", "1000")  # than the patience
    parts = table.parent / "parts"  # one for each worker, so that none is idle
    parts.mkdir()
    for name in ("1.csv", "2.csv"):
        shutil.copy(table, parts / name)
    with deadline(100):
        run = start_training(parts, "there", "--workers", "2", *saving, *longer, patience="6")
        workers = wait_for_workers(run, 2)
        wait_for(saved, run)
        workers[0].send_signal(signal.SIGSTOP)
        _, said = run.communicate()
        assert run.returncode == 0, said
        here = start_training(parts, "here", *longer)
        _, alone = here.communicate()
    given_up = [line for line in said.splitlines() if line not in alone.splitlines()]
    assert len(given_up) == 1
    assert "given up after 6 seconds of silence: worker tls://127.0.0.1:" in given_up[0]
    assert (table.parent / "there").read_bytes() == (table.parent / "here").read_bytes()
