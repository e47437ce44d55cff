"""Latency samples that an application, or the proxy before it, sends to us."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence

import numpy as np

from backends.latency import ENOUGH_SAMPLES
from models.container import FloatArray, Slo


class PushedLatency:
    """The samples of the last window of each container, at most `max_samples` of at most `max_containers`.

    Where the newer half of the window has enough of them, the quantile is that half's.

    The window ends at the newest push, so that one who sends every two seconds still has a whole window;
    after `stale_after_seconds` without a push there is no value any more. When a container too many comes,
    the one that has been silent longest goes; of too many samples the oldest go.

    Not for several threads: push and read from one event loop.
    """

    def __init__(
        self,
        window_seconds: float = 1.0,
        stale_after_seconds: float = 3.0,
        min_samples: int = 5,
        max_samples: int = 10_000,
        max_containers: int = 2_000,
    ) -> None:
        self._window_seconds = window_seconds
        self._stale_after_seconds = stale_after_seconds
        self._min_samples = min_samples
        self._max_samples = max_samples
        self._max_containers = max_containers
        # In order of the last push. Each push is one batch: (time, samples).
        self._batches: dict[str, deque[tuple[float, FloatArray]]] = {}

    def push(self, container_id: str, samples_seconds: Sequence[float], now_seconds: float) -> None:
        """Add samples. Raises ValueError when one is not a finite number >= 0: then none is taken."""
        try:
            samples = np.array(samples_seconds, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("samples must be numbers of seconds") from None
        if samples.ndim != 1 or not np.isfinite(samples).all() or (samples < 0).any():
            raise ValueError("samples must be finite numbers of seconds, at least 0")
        if not samples.size:
            return
        batches = self._batches.pop(container_id, None) or deque()
        if len(self._batches) >= self._max_containers:
            self.forget(next(iter(self._batches)))
        self._batches[container_id] = batches
        batches.append((now_seconds, samples[-self._max_samples :]))
        count = sum(len(batch) for _, batch in batches)
        while batches[0][0] <= now_seconds - self._window_seconds or count > self._max_samples:
            count -= len(batches.popleft()[1])

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `LatencySource.quantile_seconds`. Exact, interpolated between the two nearest samples."""
        batches = self._batches.get(container_id)
        if not batches or now_seconds - batches[-1][0] > self._stale_after_seconds:
            return math.nan
        half = batches[-1][0] - self._window_seconds / 2
        samples = np.concatenate([batch for at, batch in batches if at > half])
        if samples.size < ENOUGH_SAMPLES:
            samples = np.concatenate([batch for _, batch in batches])
        if samples.size < self._min_samples:
            return math.nan
        return float(np.percentile(samples, slo.percentile))

    def forget(self, container_id: str) -> None:
        """Drop what a container has sent."""
        self._batches.pop(container_id, None)

    def keep(self, container_ids: Collection[str]) -> None:
        """Drop what all other containers have sent."""
        for container_id in self._batches.keys() - set(container_ids):
            self.forget(container_id)
