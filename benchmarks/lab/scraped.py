"""A simulated service's own metrics, and what one sees of them who scrapes four times a second."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence

from backends.latency.endpoint import Endpoint
from backends.latency.histogram import bucket_quantile
from backends.latency.prometheus import Reading
from controller.demo.service import BUCKETS
from models.container import Container, Scrape, Slo

SCRAPE_SECONDS = 0.25
_BOUNDS = (*BUCKETS, math.inf)
_KEPT_SECONDS = 60.0

Counts = tuple[int, ...]


class ServiceMetrics:
    """The histogram of one service: its buckets as at the last scrapes, each with its time."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, float]] = []
        self._counts = [0] * len(_BOUNDS)
        self._scrapes: deque[tuple[float, Counts]] = deque()

    def scrape(self, finished: list[tuple[float, float]], now_seconds: float) -> Reading:
        """Count the requests that finished since the last scrape, and read the page."""
        self.finished += finished
        for _, latency in finished:
            self._counts[bisect_left(_BOUNDS, latency)] += 1
        self._scrapes.append((now_seconds, tuple(self._counts)))
        while self._scrapes[0][0] < now_seconds - _KEPT_SECONDS:
            self._scrapes.popleft()
        return Reading({(): _cumulative(self._counts)})

    def latency_seconds(self, window_seconds: float, percentile: float) -> float:
        """The percentile (0..100) of the requests that finished in the window up to the newest scrape; NaN
        without any."""
        return bucket_quantile(percentile, self._recent(window_seconds))

    def rate_per_second(self, window_seconds: float) -> float:
        """Requests finished per second, over the same window; 0 before there is a whole one."""
        return self._recent(window_seconds).get(math.inf, 0.0) / window_seconds

    def _recent(self, window_seconds: float) -> dict[float, float]:
        if not self._scrapes:
            return {}
        newest_at, newest = self._scrapes[-1]
        # Nothing is known of less than the time between two scrapes.
        start = newest_at - max(window_seconds, SCRAPE_SECONDS) + SCRAPE_SECONDS / 2
        for at, counts in reversed(self._scrapes):
            if at < start:
                return _cumulative([new - old for new, old in zip(newest, counts, strict=True)])
        return {}


class ScrapedLatencies:
    """What the agent's scraper would have (`controller.engine.Latencies`). Every scrape succeeds at once."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}

    def watch(self, containers: Sequence[Container]) -> None:
        """See `Latencies.watch`."""
        scrape = Scrape("simulated", "http_request_duration_seconds", interval_seconds=SCRAPE_SECONDS)
        for container in containers:
            if container.slo is not None and container.id not in self._endpoints:
                self._endpoints[container.id] = Endpoint(
                    scrape, 1.0, 3.0, 5
                )  # backends.latency.Scraper's own

    def accept(self, name: str, reading: Reading, now_seconds: float) -> None:
        """A page of this container's service has been read."""
        if name in self._endpoints:
            self._endpoints[name].accept(reading, now_seconds)

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `Latencies.quantile_seconds`."""
        endpoint = self._endpoints.get(container_id)
        return endpoint.quantile_seconds(slo, now_seconds) if endpoint else math.nan

    def source_states(self) -> Mapping[str, tuple[str, str]]:
        """See `Latencies.source_states`."""
        return {}


def _cumulative(counts: Sequence[int]) -> dict[float, float]:
    total, found = 0, {}
    for bound, count in zip(_BOUNDS, counts, strict=True):
        total += count
        found[bound] = float(total)
    return found
