"""Threads among which this process shares out its work."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from typing import TypeVar

Task = TypeVar("Task")
State = TypeVar("State")
Value = TypeVar("Value")


def count_threads() -> int:
    """Count the threads that can run at once: the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_tasks(
    work: Callable[[Task, State], object],
    tasks: Iterable[Task],
    states: Iterable[State],
    pool: ThreadPoolExecutor,
) -> None:
    """Call work(task, state) for every task: each state in a thread, this one included.

    A thread that is done with a task takes the next, so that a slow one holds up nobody. If
    some fail the rest is left, and the error of the first of them, in their order, is raised.
    """
    left = deque(enumerate(tasks))
    failed: list[tuple[int, Exception]] = []

    def work_off(state: State) -> None:
        while left:
            try:
                number, task = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                work(task, state)
            except Exception as error:
                left.clear()
                failed.append((number, error))

    mine, *others = states
    running = [pool.submit(work_off, state) for state in others]
    try:
        work_off(mine)
    finally:
        left.clear()
        for future in running:
            future.result()
    if failed:
        raise min(failed, key=itemgetter(0))[1]


def share_in_new_threads(
    work: Callable[[Task, State], object], tasks: Iterable[Task], states: Iterable[State]
) -> None:
    """Call work(task, state) for every task, as `share_tasks`, in threads that end with it.

    A single state has only this thread, and starts none.
    """
    mine, *others = states
    if not others:
        for task in tasks:
            work(task, mine)
        return
    with ThreadPoolExecutor(len(others)) as pool:
        share_tasks(work, tasks, (mine, *others), pool)


def run_at_once(
    function: Callable[[State], Value], states: Iterable[State], give_up: Callable[[], object]
) -> list[Value]:
    """Return function(state) of each state, each in a thread of its own, this one included.

    give_up : called if one fails, or none can be started for it, so that the others need not wait
        for it; the error is raised when they are done
    """

    def run(state: State) -> Value:
        try:
            return function(state)
        except BaseException:
            give_up()
            raise

    mine, *others = states
    if not others:
        return [function(mine)]
    with ThreadPoolExecutor(len(others)) as pool:
        try:
            running = [pool.submit(run, state) for state in others]
            first = run(mine)
        except BaseException:
            give_up()
            raise
    return [first, *(future.result() for future in running)]


def run_ahead(
    function: Callable[[Task], Value], tasks: Iterable[Task], threads: int
) -> Iterator[Value]:
    """Yield function(task) of each task, in their order, while threads are at the next ones.

    No more tasks are taken than that: what waits is bounded.
    """
    with ThreadPoolExecutor(threads) as pool:
        running = deque[Future[Value]]()
        try:
            for task in tasks:
                running.append(pool.submit(function, task))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
