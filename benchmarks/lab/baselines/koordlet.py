"""Koordlet-like CPU suppression with its cfsQuota policy.

Source: koordinator a7a1b76b, pkg/koordlet/qosmanager/plugins/cpusuppress/cpu_suppress.go. Every second, from
the last second's use: quota of the batch group = capacity x 65 % - online use - system use; a change below
1 % of the node is left out unless it goes to the floor of 2000 us; a cut is done at once, a rise by at most
10 % of the node a step, unless there was no quota. It sees no latency and no wait.
"""

from __future__ import annotations

import math

from benchmarks.lab.baselines.batch import BatchGroup
from benchmarks.lab.baselines.usage import UsageMeter
from benchmarks.lab.plant import Plant

THRESHOLD_RATIO = 0.65
BYPASS_RATIO = 0.01
RISE_RATIO = 0.1
FLOOR_CORES = 0.02  # 2000 us of 100 ms


class Koordlet:
    """System use is what the machine used beside online services and peers; here that is the generator, the
    observer and whatever else runs."""

    name = "koordlet"
    interval_seconds = 1.0

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`. The first quota is written a second later."""
        self._group = BatchGroup(plant, now_seconds)
        self._meter = UsageMeter(plant, (*plant.online, *plant.peers), now_seconds)
        self._busy_seconds, self._at = plant.busy_seconds(), now_seconds

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        if now_seconds <= self._at:
            return
        use, busy_seconds = self._meter.read(plant, now_seconds), plant.busy_seconds()
        node = (busy_seconds - self._busy_seconds) / (now_seconds - self._at)
        self._busy_seconds, self._at = busy_seconds, now_seconds
        online = sum(use[name] for name in plant.online)
        system = max(0.0, node - sum(use.values()))
        wanted = max(FLOOR_CORES, THRESHOLD_RATIO * plant.cpus - online - system)
        self._group.set_total(plant, self._next(wanted, plant.cpus), now_seconds)

    def _next(self, wanted: float, cpus: int) -> float:
        now = self._group.total_cores
        if math.isinf(now):
            return wanted
        if abs(wanted - now) < BYPASS_RATIO * cpus and wanted > FLOOR_CORES:
            return now
        return min(wanted, now + RISE_RATIO * cpus)
