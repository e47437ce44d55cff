"""Heracles-like: batch work grows while the service has slack, is switched off when it has none.

Source: D. Lo et al., ISCA 2015, as in papers.md 1.1. The top-level controller judges the SLO's percentile
over its own interval and the load: slack < 0: batch work off, and nothing is looked at for the cool-down;
load > 0.85: off; load < 0.80: on, and free to grow; between the two, slack < 0.10: no growth, and
slack < 0.05: back to two cores. Batch work starts with one core; every 2 s it gets one more while slack is
above 0.10. As printed, the slack rules are reached only between the two loads; that is kept.

A core is a twentieth of the machine (the paper's machines had tens), given as quota; off is the least quota.
No LLC, DRAM bandwidth, power or network controller. The paper's interval is 15 s, its cool-down 5 min; the
variant of 1 s scales the cool-down with the interval, to 20 s.
"""

from __future__ import annotations

from benchmarks.lab.baselines.batch import CORES_OF_A_MACHINE, LEAST_CORES, BatchGroup
from benchmarks.lab.plant import Plant

PERCENTILE = 95.0
LOAD_OFF, LOAD_ON = 0.85, 0.80
SLACK_HOLD, SLACK_SHRINK = 0.10, 0.05
SHRUNK_UNITS = 2
GROW_SECONDS = 2.0
COOL_DOWN_INTERVALS = 20


class Heracles:
    """`judge_seconds`: the interval of the top-level controller."""

    interval_seconds = 1.0

    def __init__(self, judge_seconds: float) -> None:
        self.name = f"heracles-{judge_seconds:g}s"
        self._judge_seconds = judge_seconds
        self._units = 0
        self._may_grow = False
        self._slack = 0.0
        self._asleep_until = float("-inf")

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`. Batch work begins with one core's worth."""
        self._unit_cores = plant.cpus / CORES_OF_A_MACHINE
        self._group = BatchGroup(plant, now_seconds)
        self._judge_at = now_seconds + self._judge_seconds
        self._grow_at = now_seconds + GROW_SECONDS
        self._units = 1
        self._apply(plant, now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        if now_seconds >= self._judge_at:
            self._judge_at += self._judge_seconds
            self._judge(plant, now_seconds)
        if now_seconds >= self._grow_at:
            self._grow_at += GROW_SECONDS
            if self._units and self._may_grow and self._slack > SLACK_HOLD:
                self._units = min(self._units + 1, CORES_OF_A_MACHINE - 1)
        self._apply(plant, now_seconds)

    def _judge(self, plant: Plant, now_seconds: float) -> None:
        if now_seconds < self._asleep_until:
            return
        latency = plant.latency_seconds(self._judge_seconds, PERCENTILE)
        # NaN: no requests. The load's rules are left, the latency's say neither good nor bad.
        self._slack = (plant.slo_seconds - latency) / plant.slo_seconds
        load = plant.load_ratio()
        if self._slack < 0:
            self._units = 0
            self._asleep_until = now_seconds + COOL_DOWN_INTERVALS * self._judge_seconds
        elif load > LOAD_OFF:
            self._units = 0
        elif load < LOAD_ON:
            self._units, self._may_grow = max(self._units, 1), True
        elif self._slack < SLACK_HOLD:
            self._may_grow = False
            if self._slack < SLACK_SHRINK:
                self._units = min(self._units, SHRUNK_UNITS)

    def _apply(self, plant: Plant, now_seconds: float) -> None:
        cores = self._units * self._unit_cores or LEAST_CORES
        self._group.set_total(plant, cores, now_seconds)
