"""When work arrived, told from when it was served and how late.

Requests are served in the order they come (a queue), and new ones come whether or not the last are done. Then
what had been served by the time t is what had arrived by t - L(t), where L is the latency beyond that of an
idle service: the curve of arrivals is the curve of service, moved back by the latency at each moment. It does
not hold for latency that has another cause than a queue, such as a slow service downstream.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

Moment = TypeVar("Moment")

MAX_LAG_SECONDS = 120.0
# A latency out of a histogram rises by whole buckets, a quarter of itself or so at a time, so that arrivals
# would come in lumps: they are spread over this part of the latency.
SMOOTHING = 0.25


class Arrivals(Generic[Moment]):
    """The curve of arrivals of one service, moment by moment, as late as its latency is.

    A `Moment` is whatever the caller wants to find again for the time in which work arrived.
    """

    def __init__(self, max_lag_seconds: float = MAX_LAG_SECONDS) -> None:
        self._max_lag_seconds = max_lag_seconds
        self._pending: deque[tuple[Moment, float]] = deque()
        self._lag_seconds = self._pool_core_seconds = 0.0
        self._carried_core_seconds = 0.0

    def push(
        self, moment: Moment, seconds: float, served_core_seconds: float, late_seconds: float
    ) -> list[tuple[Moment, float, float]]:
        """`seconds` went by, so much was served, and was `late_seconds` late at the end.

        Returns the moments that are known now, oldest first: how many seconds of each, and the CPU seconds of
        work that arrived in them. A moment may come in parts. Latency that grows as fast as time goes by
        tells of no moment; what was served then is reckoned to the next.
        """
        self._pending.append((moment, seconds))
        self._lag_seconds += seconds
        self._carried_core_seconds += served_core_seconds
        late = min(max(0.0, late_seconds), self._max_lag_seconds)
        passed = self._lag_seconds - late
        if passed <= 1e-9:
            return []
        arrived = self._carried_core_seconds
        self._carried_core_seconds = 0.0
        known = []
        left = passed
        while left > 1e-9 and self._pending:
            first, length = self._pending.popleft()
            part = min(left, length)
            if length - part > 1e-9:
                self._pending.appendleft((first, length - part))
            self._pool_core_seconds += arrived * part / passed
            out = self._pool_core_seconds * min(1.0, part / max(SMOOTHING * late, part))
            self._pool_core_seconds -= out
            known.append((first, part, out))
            left -= part
        self._lag_seconds -= passed
        return known


class IdleLatency:
    """The latency of a service without a queue: a slow mean of what is seen while it is well."""

    def __init__(self, memory_seconds: float = 30.0) -> None:
        self.seconds = math.nan
        self._memory_seconds = memory_seconds

    def see(self, latency_seconds: float, well: bool, elapsed_seconds: float) -> float:
        """The idle latency, after one more look. Before it was ever well, the least that was seen."""
        if math.isnan(self.seconds):
            self.seconds = latency_seconds
        elif well:
            part = min(1.0, elapsed_seconds / self._memory_seconds)
            self.seconds += part * (latency_seconds - self.seconds)
        self.seconds = min(self.seconds, latency_seconds) if not well else self.seconds
        return self.seconds
