"""Pushed and scraped latency as one source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from backends.latency.breaker import SourceState
from backends.latency.push import PushedLatency
from backends.latency.scraper import Scraper
from models.container import Container, Slo


class Latency:
    """A `LatencySource`: what was pushed, while it is fresh, else what was scraped."""

    def __init__(self, pushed: PushedLatency, scraper: Scraper) -> None:
        self.pushed = pushed
        self.scraper = scraper
        self._identities: dict[str, tuple[int, str]] = {}

    def watch(self, containers: Sequence[Container]) -> None:
        """These are the containers now: forget what others, or earlier ones of the same id, have told."""
        identities = {container.id: container.identity for container in containers}
        same = {name for name, known in self._identities.items() if identities.get(name) == known}
        new = identities.keys() - self._identities.keys()
        self.pushed.keep(same | new)
        self._identities = identities
        self.scraper.watch(containers)

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `LatencySource.quantile_seconds`."""
        value = self.pushed.quantile_seconds(container_id, slo, now_seconds)
        return self.scraper.quantile_seconds(container_id, slo, now_seconds) if math.isnan(value) else value

    def source_states(self) -> Mapping[str, SourceState]:
        """See `Scraper.source_states`."""
        return self.scraper.source_states()

    async def close(self) -> None:
        """See `Scraper.close`."""
        await self.scraper.close()
