"""Quantiles of a cumulative histogram over the last window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backends.latency.prometheus import Labels, Reading


def bucket_quantile(percentile: float, counts: Mapping[float, float]) -> float:
    """The percentile (0..100) in seconds of requests counted by upper bound, cumulative, up to infinity.

    As PromQL's histogram_quantile: linear within a bucket, the lowest one begins at 0, and what lies in the
    last bucket is given its lower bound. NaN without requests, without a bucket up to infinity, or with no
    other one.
    """
    bounds = sorted(counts)
    if len(bounds) < 2 or not math.isinf(bounds[-1]):
        return math.nan
    # Series with other bounds each, or counts that were read while they rose, can make a sum go down.
    cumulative = np.maximum.accumulate([counts[bound] for bound in bounds])
    total = float(cumulative[-1])
    if total <= 0:
        return math.nan
    rank = percentile / 100 * total
    index = int(np.searchsorted(cumulative, rank))
    if index >= len(bounds) - 1:
        return bounds[-2]
    upper = bounds[index]
    if index == 0 and upper <= 0:
        return upper
    lower, below = (bounds[index - 1], float(cumulative[index - 1])) if index else (0.0, 0.0)
    inside = float(cumulative[index]) - below
    return lower + (upper - lower) * (rank - below) / inside if inside else upper


@dataclass(frozen=True, slots=True)
class _Step:
    """What was counted between two readings, all series together."""

    from_seconds: float
    to_seconds: float
    counts: dict[float, float]


class RecentRequests:
    """The requests of about the last window, from readings of counters that only rise.

    Between two readings each series counts for itself: one that fell began anew at 0 (its process was started
    again), and one that is new began at 0 too. Two readings further apart than `max_gap_seconds` are not
    compared: what happened between them is not the last window's.
    """

    def __init__(self, window_seconds: float, max_gap_seconds: float) -> None:
        self._window_seconds, self._max_gap_seconds = window_seconds, max_gap_seconds
        self._last: Mapping[Labels, Mapping[float, float]] = {}
        self._last_at = -math.inf
        self._steps: deque[_Step] = deque()

    def add(self, reading: Reading, now_seconds: float) -> None:
        """Take in the next reading."""
        if now_seconds - self._last_at <= self._max_gap_seconds:
            counts = _rise(self._last, reading.counts)
            self._steps.append(_Step(self._last_at, now_seconds, counts))
            # By its middle, so that a scrape that came a little early does not make the window a step longer.
            start = now_seconds - self._window_seconds
            while len(self._steps) > 1 and _middle(self._steps[0]) <= start:
                self._steps.popleft()
        else:
            self._steps.clear()
        self._last, self._last_at = reading.counts, now_seconds

    def counts(self, part: float = 1.0) -> dict[float, float]:
        """Requests of the newest part of the window by upper bound, cumulative over bounds.

        Empty before the second reading.
        """
        total: dict[float, float] = {}
        start = self._last_at - part * self._window_seconds
        for step in self._steps:
            if part < 1 and _middle(step) <= start:
                continue
            for bound, count in step.counts.items():
                total[bound] = total.get(bound, 0.0) + count
        return total


def _middle(step: _Step) -> float:
    return (step.from_seconds + step.to_seconds) / 2


def _rise(
    before: Mapping[Labels, Mapping[float, float]], after: Mapping[Labels, Mapping[float, float]]
) -> dict[float, float]:
    rise: dict[float, float] = {}
    for series, counts in after.items():
        old = before.get(series, {})
        if any(count < old.get(bound, 0.0) for bound, count in counts.items()):
            old = {}
        for bound, count in counts.items():
            rise[bound] = rise.get(bound, 0.0) + count - old.get(bound, 0.0)
    return rise
