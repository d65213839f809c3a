"""Threads among which this process shares out its work."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import TypeVar

Task = TypeVar("Task")
State = TypeVar("State")


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
