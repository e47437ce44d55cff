"""PARTIES-like: one unit of CPU at a time between the service and the batch work, watched and reverted.

Source: sc2682cornell/PARTIES, manager/PARTIES.py (ASPLOS 2019), as in papers.md 1.1 and python-agents.md 1.8.
Checks every 0.1 s, on the latency now and its mean over 1 s. Both slacks below 0.05: one unit from the batch
work to the service; both above 0.2 and no rest: one unit the other way. Then five checks are watched, each a
vote: after a unit taken, whether latency is below the one before; after a unit given, whether slack is at
least 0.05. Votes not above 0 after a unit given: it is taken back, and none is given for 10 s (REST). After
a unit taken the authors' code only moves on to the next resource; here there is one, so nothing is undone.

A unit is a twentieth of the machine (of the paper's cores), given as quota. At the start everybody has the
same part. No LLC ways, no frequencies. The latency is as fresh as the service's metrics.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean
from typing import Literal

from benchmarks.lab.baselines.batch import CORES_OF_A_MACHINE, BatchGroup
from benchmarks.lab.plant import Plant

PERCENTILE = 95.0
LEAST_SLACK, AMPLE_SLACK = 0.05, 0.2
CHECKS = 5
MEAN_CHECKS = 10
REST_SECONDS = 10.0


class Parties:
    """The service is the victim; all peers together are the other side."""

    name = "parties"
    interval_seconds = 0.1

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=MEAN_CHECKS)
        self._last: Literal["taken", "given"] | None = None
        self._votes: list[int] = []
        self._before_seconds = math.nan
        self._rest_until = -math.inf

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`. Half of the machine for each side."""
        self._unit_cores = plant.cpus / CORES_OF_A_MACHINE
        self._group = BatchGroup(plant, now_seconds)
        self._units = CORES_OF_A_MACHINE // 2
        self._apply(plant, now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        latency = plant.latency_seconds(self.interval_seconds, PERCENTILE)
        if math.isnan(latency):
            return
        self._recent.append(latency)
        slack = 1 - latency / plant.slo_seconds
        if self._last is not None:
            self._watch(latency, slack, now_seconds)
        else:
            self._decide(latency, slack, 1 - fmean(self._recent) / plant.slo_seconds, now_seconds)
        self._apply(plant, now_seconds)

    def _watch(self, latency: float, slack: float, now_seconds: float) -> None:
        better = latency < self._before_seconds if self._last == "taken" else slack >= LEAST_SLACK
        self._votes.append(1 if better else -1)
        if len(self._votes) < CHECKS:
            return
        if self._last == "given" and sum(self._votes) <= 0:
            self._units -= 1
            self._rest_until = now_seconds + REST_SECONDS
        self._last = None
        self._votes.clear()

    def _decide(self, latency: float, slack: float, mean_slack: float, now_seconds: float) -> None:
        larger, smaller = max(slack, mean_slack), min(slack, mean_slack)
        may_give = now_seconds >= self._rest_until and self._units < CORES_OF_A_MACHINE - 1
        if larger < LEAST_SLACK and self._units > 1:
            self._units -= 1
            self._last = "taken"
        elif smaller > AMPLE_SLACK and may_give:
            self._units += 1
            self._last = "given"
        self._before_seconds = latency

    def _apply(self, plant: Plant, now_seconds: float) -> None:
        self._group.set_total(plant, self._units * self._unit_cores, now_seconds)
