"""The clock of both benchmarks, and the watches of ci/benchmark."""

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuron_xp.workflows import clock

sys.path.append(str(Path(__file__).parent.parent.parent))  # ci/ is no part of the package

from ci.benchmarks import cluster, disk


class Machine:
    """A clock's time that training takes: so long for its set-up, and for each iteration."""

    def __init__(self, monkeypatch, set_up, iteration):
        self.now, self.set_up, self.iteration, self.runs = 0.0, set_up, iteration, []
        monkeypatch.setattr(clock.time, "perf_counter", lambda: self.now)

    def train(self, iterations):
        self.runs.append(iterations)
        self.now += self.set_up + iterations * self.iteration


@pytest.mark.parametrize(
    ("set_up", "seconds", "iterations"), [(0, 0.001, 3), (0, 10, 10), (0, 1000, 1000), (40, 10, 20)]
)
def test_runs_are_long_enough_also_beside_their_set_up(monkeypatch, set_up, seconds, iterations):
    machine = Machine(monkeypatch, set_up, iteration=1.0)
    found = clock.Clock(machine.train, sets_up=set_up > 0)
    found.lengthen_runs(seconds)
    enough = max(clock.LONG_ENOUGH * seconds, clock.OF_SET_UP * set_up)
    assert enough <= found.iterations <= 1.3 * max(iterations, clock.LEAST_ITERATIONS)
    assert found.time_iteration() == pytest.approx(1.0)
    assert found.iterations + (set_up > 0) in machine.runs


def test_what_is_lost_in_what_is_taken_off_is_measured_longer():
    times = iter([1.0, 1.0, 1.5, 1.0])  # of 4, 1, 7 and 1 iterations
    found = clock.Clock(lambda iterations: None, sets_up=True)
    found._time_training = lambda iterations: next(times)
    assert found.time_iteration() == 0.5 / 6


def test_all_take_turns():
    order, said = [], []
    turns = {name: partial(order.append, name) for name in "ab"}
    assert clock.take_turns(turns, 2, said.append) == {"a": [None] * 2, "b": [None] * 2}
    assert (order, said) == (["a", "b", "a", "b"], [1, 2])


# --- watches: by on_progress ----------------------------------------------------------------


def calls(watch, iterations, at=None):
    """What a training would call."""
    for iteration in at or range(1, iterations + 1):
        watch(SimpleNamespace(iteration=iteration, iterations=iterations))


def test_the_first_iteration_and_the_last_stretch_are_not_measured():
    marks = [(1, 10.0), (3, 14.0), (9, 30.0), (16, 31.0)]
    assert cluster.reckon_iteration(marks) == (30.0 - 10.0) / 8


def test_an_iteration_follows_its_own_preparation(monkeypatch):
    done = []

    def start_pass():
        number = len(done)
        done.append("begin")
        return lambda: number

    def train(iterations, on_progress, progress_every, at=None):
        assert progress_every == 1
        calls(on_progress, iterations, at)

    monkeypatch.setattr(disk, "start_pass", start_pass)
    for name in ("warm", "cold"):
        done.append(disk.watch_second(train, partial(done.append, name), pause=0))
    assert done == ["warm", "begin", 1, "cold", "begin", 4]
    with pytest.raises(RuntimeError, match="not call back after each"):
        disk.watch_second(partial(train, at=[1, 3]), list, pause=0)
