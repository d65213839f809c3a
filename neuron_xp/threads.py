"""Threads that share work out among themselves."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any


def available_threads() -> int:
    """How many threads can run at once here: the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(
    work: Callable[..., object],
    tasks: Iterable[Any],
    states: Iterable[Any],
    pool: ThreadPoolExecutor,
) -> None:
    """Call work(task, state) for every task: each state in a thread, this one included.

    A thread that is done with a task takes the next, so that a slow one holds up nobody. If
    some fail the rest is left, and the error of the first of them, in their order, is raised.
    """
    left = deque(enumerate(tasks))
    failed: list[tuple[int, Exception]] = []

    def work_off(state: Any) -> None:
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
