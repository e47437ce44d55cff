"""What a controller of the lab sees and may move: the same for all, on real cgroups and on the simulator."""

from __future__ import annotations

from typing import Protocol


class Plant(Protocol):
    """One run's machine as a controller sees it. Names are those of the scenario.

    All counters are cumulative. Nothing here blocks for more than a file read; a latency is as fresh as the
    service's own metrics, scraped four times a second, the same that quotapilot reads.
    """

    cpus: int
    slo_seconds: float
    victim: str
    online: tuple[str, ...]
    peers: tuple[str, ...]
    may_reweight: bool

    def usage_seconds(self, name: str) -> float:
        """CPU time used."""

    def busy_seconds(self) -> float:
        """CPU time used by the whole machine."""

    def throttling(self, name: str) -> tuple[int, int]:
        """(periods, throttled periods)."""

    def latency_seconds(self, window_seconds: float, percentile: float) -> float:
        """The victim's latency over the last seconds; NaN with no requests."""

    def load_ratio(self) -> float:
        """The victim's request rate over the last second, relative to what fills the whole machine."""

    def limit_cores(self, name: str) -> float:
        """The quota in cores; inf without one."""

    def set_limit(self, name: str, cores: float) -> None:
        """Write a quota; inf: none. Writes nothing when it would change nothing."""

    def set_shares(self, name: str, shares: int) -> None:
        """Write cpu.shares (v1 scale). Nothing where `may_reweight` is False."""

    def set_idle(self, name: str, idle: bool) -> None:
        """Write cpu.idle. Nothing where `may_reweight` is False."""


class Baseline(Protocol):
    """A controller other than quotapilot. It is given the time (seconds from the load's start, negative
    before it) and keeps its own state. What it moved is put back by the runner after the run."""

    name: str
    interval_seconds: float

    def start(self, plant: Plant, now_seconds: float) -> None:
        """Called once, when service and peers are at work, before the load begins."""

    def step(self, plant: Plant, now_seconds: float) -> None:
        """Called every `interval_seconds`."""
