"""What one container's Prometheus endpoint has told so far."""

from __future__ import annotations

import math

from backends.latency import ENOUGH_SAMPLES
from backends.latency.histogram import RecentRequests, bucket_quantile
from backends.latency.prometheus import Page, Reading
from models.container import Scrape, Slo

# A quantile label such as 0.95 is as near to 95 / 100 as floating point allows.
_ROUNDING = 1e-9


class Endpoint:
    """Turns the pages of an endpoint into the SLO's quantile over the last window.

    A histogram gives the quantile of the requests between the newest page and the one about a window before.
    A summary gives its own quantile, the nearest one not below the one wanted (NaN when it has none so high),
    over its own window; it is believed only while requests are coming in.
    """

    def __init__(
        self, scrape: Scrape, window_seconds: float, stale_after_seconds: float, min_samples: int
    ) -> None:
        # Of a page that comes rarely the last is still news when the next is due.
        self._stale_after_seconds = max(stale_after_seconds, 2 * scrape.interval_seconds)
        self._min_samples = min_samples
        self.page = Page(scrape.metric, scrape.labels)
        self._requests = RecentRequests(window_seconds, self._stale_after_seconds)
        self._quantiles: dict[float, float] = {}
        self._read_at_seconds = -math.inf

    def accept(self, reading: Reading, now_seconds: float) -> None:
        """Take in what `page` has read."""
        self._requests.add(reading, now_seconds)
        self._quantiles = reading.quantiles
        self._read_at_seconds = now_seconds

    def quantile_seconds(self, slo: Slo, now_seconds: float) -> float:
        """See `LatencySource.quantile_seconds`."""
        if now_seconds - self._read_at_seconds > self._stale_after_seconds:
            return math.nan
        counts = self._requests.counts(0.5)
        if counts.get(math.inf, 0.0) < ENOUGH_SAMPLES:
            counts = self._requests.counts()
        if counts.get(math.inf, 0.0) < self._min_samples:
            return math.nan
        if self._quantiles:
            wanted = slo.percentile / 100 - _ROUNDING
            nearest = min((quantile for quantile in self._quantiles if quantile >= wanted), default=math.nan)
            return self._quantiles.get(nearest, math.nan)
        return bucket_quantile(slo.percentile, counts)
