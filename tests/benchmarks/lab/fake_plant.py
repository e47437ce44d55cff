"""A plant without a machine: use, latency and load are set by the test, writes are recorded."""

from __future__ import annotations

import math

from benchmarks.lab.plant import Baseline


class FakePlant:
    """Groups use `use_cores` of CPU from the last `advance` on, peers no more than their limits."""

    def __init__(self, *, peers: tuple[str, ...] = ("batch",), online: tuple[str, ...] = ("web",)) -> None:
        self.cpus = 2
        self.slo_seconds = 0.1
        self.victim, self.online, self.peers = online[0], online, peers
        self.may_reweight = True
        self.use_cores = dict.fromkeys((*online, *peers), 0.0)
        self.system_cores = 0.0
        self.latency = 0.02
        self.load = 0.5
        self.throttled_periods = dict.fromkeys(online, 0)
        self.limits = dict.fromkeys((*online, *peers), math.inf)
        self.shares: dict[str, int] = {}
        self.idle: dict[str, bool] = {}
        self.limit_writes = 0
        self.windows_asked: set[float] = set()
        self._used = dict.fromkeys(self.use_cores, 0.0)
        self._busy = 0.0
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self._busy += self.system_cores * seconds
        for name, cores in self.use_cores.items():
            used = min(cores, self.limits[name]) * seconds
            self._used[name] += used
            self._busy += used

    def run(self, baseline: Baseline, seconds: float) -> None:
        """Step it in fast time."""
        for _ in range(round(seconds / baseline.interval_seconds)):
            self.advance(baseline.interval_seconds)
            baseline.step(self, self.now)

    def batch_cores(self) -> float:
        return sum(self.limits[name] for name in self.peers)

    def usage_seconds(self, name: str) -> float:
        return self._used[name]

    def busy_seconds(self) -> float:
        return self._busy

    def throttling(self, name: str) -> tuple[int, int]:
        return round(self.now * 10), self.throttled_periods[name]

    def latency_seconds(self, window_seconds: float, percentile: float) -> float:
        assert percentile == 95
        self.windows_asked.add(window_seconds)
        return self.latency

    def load_ratio(self) -> float:
        return self.load

    def limit_cores(self, name: str) -> float:
        return self.limits[name]

    def set_limit(self, name: str, cores: float) -> None:
        if not math.isclose(self.limits[name], cores):
            self.limits[name] = cores
            self.limit_writes += 1

    def set_shares(self, name: str, shares: int) -> None:
        if self.may_reweight:
            self.shares[name] = shares

    def set_idle(self, name: str, idle: bool) -> None:
        if self.may_reweight:
            self.idle[name] = idle
