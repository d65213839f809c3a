"""Several processes, or several machines: the same bits as in memory. Needs the extra dask.

Here, on this machine:

    python examples/dask_cluster.py

On several machines, which all have neuron_xp (and see the files, if there are files):

    dask scheduler --port 8786                                        # on one of them, say a
    dask worker tcp://a:8786 --nworkers 4 --nthreads 1                # on each of the others
    python examples/dask_cluster.py tcp://a:8786                      # anywhere

On several GPUs, one worker for each (pip install dask-cuda), on each machine that has some:

    dask cuda worker tcp://a:8786
    python examples/dask_cluster.py tcp://a:8786 cupy

Between machines that others can reach use TLS (--tls-cert, --tls-key, --tls-ca-file, and the
same names in Dask's configuration for the client): a scheduler runs whatever it is sent.
"""

import sys
from contextlib import ExitStack

import dask.array as da
from distributed import Client, LocalCluster

import neuron_xp


def main(address=None, backend=None):
    with ExitStack() as stack:
        if address is None:
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1",
                                   dashboard_address="127.0.0.1:0")  # fmt: skip
            address = stack.enter_context(cluster)
        client = stack.enter_context(Client(address))
        print("workers:", len(client.nthreads()))

        # chunks of any size, made by the workers; never all of them in one place
        random = da.random.RandomState(1)
        inputs = random.normal(size=(200_000, 20), chunks=(30_000, 20))
        targets = (inputs[:, 0] + inputs[:, 1] > 0).astype("float64")
        settings = {"iterations": 50, "loss_every": 10, "bias": True,
                    "learning_rate": "auto", "rule": "cross_entropy"}  # fmt: skip
        network = neuron_xp.train(inputs, targets, backend=backend, **settings)
        for iteration, loss in network.history:
            print(f"iteration {iteration:3}: loss {loss:.6f}")

        outputs = network.think(inputs)  # a Dask array, computed where the chunks are
        right = ((outputs[:, 0] > 0.5) == (targets > 0.5)).mean()
        print(f"right: {right.compute():.2%}")

        in_memory = neuron_xp.train(inputs.compute(), targets.compute(), **settings)
        assert network.fingerprint() == in_memory.fingerprint()
        print("fingerprint", network.fingerprint(), "here and in memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
