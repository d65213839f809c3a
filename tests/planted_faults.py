"""Faults that are planted in array libraries, and what `explain` says of them."""

import numpy as np

from neuron_xp.random_start import draw_start
from neuron_xp.testing.explaining.explain import explain
from neuron_xp.testing.explaining.watching import watch

RATE = 2.0**-6


def plant(backend, **faults):
    """Return the backend with other functions in place of some, by the names of operations.

    A fault gets the operation and its arguments as NumPy arrays, and returns a NumPy array.
    """

    def to_host(x):
        return np.array(backend.to_host(x)) if hasattr(x, "shape") else x

    def intercept(operation):
        if operation.name not in faults:
            return operation.run()
        found = faults[operation.name](operation, *map(to_host, operation.arguments))
        return operation.run() if found is None else backend.from_host(np.asarray(found))

    return watch(backend, intercept)


def learn(a, b, *, arithmetic="native", scale=1.0, rows=70, **settings):
    inputs, targets = draw_start([(rows, 5), (rows, 2)], seed=3)
    settings = {"learning_rate": RATE, "bias": True, "iterations": 2} | settings
    return explain(a, b, scale * inputs, abs(targets), arithmetic=arithmetic, **settings)


def facts_of(found):
    parting = found.parting
    return parting.function, parting.operation, parting.cause.name


def exp_one_ulp_off(operation, x):
    found = np.exp(x)
    found[::3] = np.nextafter(found[::3], np.inf)
    return found
