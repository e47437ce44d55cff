"""Offline work: threads that are always busy while they are active."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.simulator.workload import Crowd


class Hogs:
    """`threads` busy loops, active in the given half-open intervals of the node's clock (default: always).

    `work_units` counts the work done: `units_per_cpu_second` for each CPU second. It knows no cache that gets
    cold, so throttling costs work only by the time it takes away.
    """

    sleeps = False

    def __init__(
        self,
        threads: int,
        active: Sequence[tuple[float, float]] = ((-math.inf, math.inf),),
        units_per_cpu_second: float = 1.0,
    ) -> None:
        self.threads = threads
        self.work_units = 0.0
        self._active = sorted(active)
        self._units_per_cpu_second = units_per_cpu_second
        self._current = 0
        self._cpus = 1
        self._active_seconds = 0.0
        self._demand = 0.0

    def may_wake(self, end_seconds: float) -> bool:
        """Never: a busy loop doesn't sleep, and the start of an interval is no request that waits."""
        return False

    def plan(self, start_seconds: float, end_seconds: float, cpus: int, crowd: Crowd) -> float:
        """See `Workload.plan`."""
        intervals = self._active
        while self._current < len(intervals) and intervals[self._current][1] <= start_seconds:
            self._current += 1
        seconds = 0.0
        for begin, end in intervals[self._current :]:
            if begin >= end_seconds:
                break
            seconds += min(end, end_seconds) - max(begin, start_seconds)
        self._cpus = cpus
        self._active_seconds = seconds
        self._demand = seconds * min(self.threads, cpus)
        return self._demand

    def run(self, granted_seconds: float) -> tuple[float, float]:
        """See `Workload.run`."""
        if not self._demand:
            return 0.0, 0.0
        used = min(granted_seconds, self._demand)
        self.work_units += used * self._units_per_cpu_second
        if self.threads > self._cpus:
            return used, self._active_seconds
        # Threads that get their turns independently of each other all run at once this share of the time.
        return used, self._active_seconds * (1.0 - (used / self._demand) ** self.threads)

    def runnable_threads(self) -> int:
        """See `Workload.runnable_threads`."""
        return self.threads if self._active_seconds else 0

    def take_finished(self) -> list[tuple[float, float]]:
        """Always empty: it serves no requests."""
        return []
