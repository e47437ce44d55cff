"""The real engine on the simulated node: the closed loop in fast time.

For the demo where no cgroups can be written, and for every test of what the engine does over time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.base import Gone
from backends.latency.push import PushedLatency
from backends.simulator import SimulatedDiscovery, SimulatedNode
from controller.config import Config
from controller.engine import Engine, Latencies
from controller.feed import Feed, Record
from models.container import Container, Slo

WALL_START_SECONDS = 1_700_000_000.0


class SimulatedLatencies:
    """Latencies as an application would push them: of the requests that have just finished."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._pushed = PushedLatency()
        self.finished: dict[str, list[tuple[float, float]]] = {}
        self.muted: set[str] = set()

    def watch(self, containers: Sequence[Container]) -> None:
        """See `engine.Latencies`."""
        for container in containers:
            self.finished.setdefault(container.id, [])

    def pump(self, now_seconds: float) -> None:
        """Take over what finished since the last call."""
        for name, done in self.finished.items():
            try:
                new = self._node.finished(name)
            except Gone:
                continue
            done += new
            if new and name not in self.muted:
                self._pushed.push(name, [latency for _, latency in new], now_seconds)

    def push_spike(self, name: str, samples_seconds: list[float], now_seconds: float) -> None:
        """Latencies that no request had."""
        self._pushed.push(name, samples_seconds, now_seconds)

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `engine.Latencies`."""
        return self._pushed.quantile_seconds(container_id, slo, now_seconds)

    def source_states(self) -> Mapping[str, tuple[str, str]]:
        """See `engine.Latencies`: a push can't fail."""
        return {}


@dataclass
class ScriptedHealth:
    """A node that is as well as it is told to be."""

    reasons: tuple[str, ...] = ()
    failures: int = 0

    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]:
        """See `engine.Health`."""
        self.failures += collection_failed
        return self.reasons


@dataclass
class Loop:
    """An engine over a simulated node, and what came of it.

    The engine sees the latencies as pushed by the services, or those of `scraped`; then drive it by
    `engine.tick`. It manages all containers, or those of `only`.
    """

    node: SimulatedNode
    policies: dict[str, dict[str, Any]]
    config: Config = field(default_factory=Config)
    wall_start_seconds: float = WALL_START_SECONDS
    scraped: Latencies | None = None
    only: frozenset[str] | None = None

    def __post_init__(self) -> None:
        self.latencies = SimulatedLatencies(self.node)
        self.health = ScriptedHealth()
        self.feed = Feed(size=100_000)
        discovery = SimulatedDiscovery(
            self.node,
            lambda name, group, inode: Container(name, group, inode, **self.policies.get(name, {})),
            self.only,
        )
        latencies = self.scraped or self.latencies
        self.engine = Engine(self.config, self.node, discovery, latencies, self.health, self.feed)

    def run(self, until_seconds: float, each_tick: Callable[[float], None] | None = None) -> Loop:
        """Tick on to a moment of the simulated clock."""
        while self.node.clock_seconds < until_seconds - 1e-9:
            now = round(self.node.clock_seconds + self.config.tick, 6)
            self.node.advance(now)
            self.latencies.pump(now)
            self.engine.tick(now, self.wall_start_seconds + now)
            if each_tick is not None:
                each_tick(now)
        return self

    def p95(self, name: str, start: float, end: float) -> float:
        """The 95th percentile of latencies of requests that arrived within a span."""
        done = self.latencies.finished[name]
        values = [latency for finish, latency in done if start <= finish - latency < end]
        return float(np.percentile(values, 95)) if values else float("nan")

    def states(self, name: str) -> list[str]:
        """The states the container went through, in order."""
        return [record.data["to"] for record in reversed(self.records("transition", name))]

    def records(self, kind: Any, name: str | None = None) -> list[Record]:
        """The feed's records of a kind, newest first."""
        return self.feed.newest(kind, container=name, limit=100_000)

    def alerts(self) -> set[tuple[str, str]]:
        """(kind, container) of the alerts that are on."""
        return {(alert["kind"], alert["container"]) for alert in self.engine.alerts.active()}
