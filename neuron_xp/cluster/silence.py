"""The silence of workers, and when it has lasted long enough to give one up."""

import math

HEARTBEATS = 10
"""So many must be missing, however little the patience; Dask's own limit asks for them, too."""


class Silence:
    """Counts the seconds for which workers have been silent.

    The seconds are those that the client waited, and not a clock's: a command that was stopped,
    and goes on, has heard of nobody in between.
    """

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def find(self, heard: dict[str, float], turn: float, limit: float) -> list[str]:
        """Return the workers of whom there was nothing new for `limit` seconds, once.

        heard : when each was heard of last
        turn : the seconds since this was asked before
        """
        self.seconds = {
            worker: self.seconds.get(worker, 0.0) + turn
            if self.heard.get(worker) == moment
            else 0.0
            for worker, moment in heard.items()
        }
        self.heard = heard
        silent = [worker for worker, seconds in self.seconds.items() if seconds >= limit]
        for worker in silent:
            self.seconds[worker] = -math.inf
        return silent


def longest_silence(patience: float, workers: int) -> float:
    """Return the seconds of silence after which one of so many workers is given up."""
    from distributed.scheduler import heartbeat_interval

    return max(patience, HEARTBEATS * float(heartbeat_interval(workers)))
