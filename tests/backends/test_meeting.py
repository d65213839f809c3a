"""Threads that meet in compiled code: more of them than processors, and one that fails."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import neuron_xp
from neuron_xp.backends.libraries import open_backend
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples
from neuron_xp.threads import run_at_once

pytest.importorskip("numba")
from neuron_xp.backends.numba_kernels import kernels as cpu
from neuron_xp.backends.numba_kernels import network
from neuron_xp.backends.numba_kernels.llvm.meeting import IS_OVER, open_meeting

NUMPY = open_backend("numpy")
RNG = np.random.RandomState(0)
INPUTS = RNG.uniform(-1, 1, (1000, 5))
TARGETS = (INPUTS[:, :1] > 0).astype("float64")


def train(backend, threads, **settings):
    return neuron_xp.train(
        INPUTS, TARGETS, backend=backend, threads=threads, iterations=300, learning_rate=0.001,
        optimizer="gradient_descent", **settings,
    )  # fmt: skip


@pytest.mark.parametrize("threads", [2, 3, 5, 16])
@pytest.mark.parametrize("task", [1, 100, 2**12])
def test_more_threads_than_processors_change_nothing(threads, task):
    """Some have several tasks, and some may find none left; all of them meet each time."""
    backend = replace(NUMPY, make_kernels=partial(cpu.NumbaKernels, task_size=task))
    settings = {"hidden": (3,), "l2": 0.01}
    found = train(backend, threads, **settings).fingerprint()
    assert found == train(NUMPY.without_kernels(), 1, **settings).fingerprint()


def test_threads_share_what_is_worth_starting_them():
    kernels = cpu.NumbaKernels("cross_entropy", no_tiny_inputs=True, threads=2)
    parameters = Parameters((np.zeros((20, 1)),))
    counts = {}
    for rows, iterations in ((100, 10**6), (10_000, 1), (10_000, 100), (10**6, 1), (10**6, 100)):
        examples = Examples(np.zeros((rows, 20)), np.zeros((rows, 1)))
        work = kernels._lay_out(examples, parameters, gradients=True, iterations=iterations)
        counts[rows, iterations] = len(work.shared.sums), len(work.shared.ranges)
    assert counts == {
        (100, 10**6): (1, 1),
        (10_000, 1): (1, 1),  # a batch, or a look at the loss
        (10_000, 100): (2, 10),
        (10**6, 1): (2, 823),
        (10**6, 100): (2, 823),
    }
    many = replace(kernels, threads=64)
    examples = Examples(np.zeros((40_000, 20)), np.zeros((40_000, 1)))
    assert len(many._lay_out(examples, parameters, gradients=True).shared.sums) == 2


def test_signals_are_looked_for_in_between(monkeypatch):
    """An iteration of these is more than a call may take: each has one of its own."""
    monkeypatch.setattr(cpu, "LONGEST_CALL", 1000)
    counts = []
    run = cpu._Work.run
    monkeypatch.setattr(
        cpu._Work, "run", lambda work, *how: counts.append(how[2]) or run(work, *how)
    )
    kernels = cpu.NumbaKernels("cross_entropy", no_tiny_inputs=True, threads=1)
    start = Parameters((np.zeros((5, 1)),))
    found = kernels.run(3, start, Examples(INPUTS, TARGETS), 0.001, None)
    assert counts == [1, 1, 1]
    monkeypatch.undo()
    whole = kernels.run(3, start, Examples(INPUTS, TARGETS), 0.001, None)
    assert whole.weights[0].tobytes() == found.weights[0].tobytes()


def test_a_thread_that_fails_is_not_waited_for(monkeypatch):
    """The other stands in compiled code, where no exception reaches it."""
    iterate, met = network.iterate, threading.Event()

    def fail_in_one(plan, parameters, data, shared, thread, *rest):
        if thread == 1:
            met.wait(60)
            raise MemoryError("no leaf for thread 1")
        met.set()
        return iterate(plan, parameters, data, shared, thread, *rest)

    monkeypatch.setattr(network, "iterate", fail_in_one)
    kernels = cpu.NumbaKernels("cross_entropy", no_tiny_inputs=True, threads=2, task_size=1)
    with pytest.raises(MemoryError, match="thread 1"):
        kernels.run(10, Parameters((np.zeros((5, 1)),)), Examples(INPUTS, TARGETS), 0.001, None)


def test_an_interrupt_in_this_thread_ends_the_others():
    """As Ctrl-C: it is raised when the others have seen that nobody comes."""
    meeting = open_meeting()

    def work(number):
        if number == 0:
            raise KeyboardInterrupt
        while not meeting[IS_OVER]:
            pass

    with pytest.raises(KeyboardInterrupt):
        run_at_once(work, range(3), give_up=partial(meeting.__setitem__, IS_OVER, 1))


def test_each_state_has_a_thread_and_an_answer():
    barrier = threading.Barrier(3)

    def work(number):
        barrier.wait(60)  # passed by three at once only
        return 10 * number

    assert run_at_once(work, range(3), give_up=barrier.abort) == [0, 10, 20]
    assert run_at_once(lambda number: number, [7], give_up=barrier.abort) == [7]
