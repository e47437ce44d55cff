"""PerfIso-like idle buffer: batch work gets what the online services leave, but for a buffer kept idle.

Source: C. Iorgulescu et al., ATC 2018, as in papers.md 1.1 and 3 (B10): quota of the batch work
= CPUs - the services' peak use - buffer. It looks every 100 ms (the original more often, and moves CPU
affinity): too little idle shrinks the batch work at once, growth comes once a second, because every write of
a quota refills the group's runtime. The peak is the largest of the last second's tenths. The size of the
buffer, a sixth of the machine, and the dead band are our choice: the paper's text was not at hand.
"""

from __future__ import annotations

from collections import deque

from benchmarks.lab.baselines.batch import LEAST_CORES, BatchGroup
from benchmarks.lab.baselines.usage import UsageMeter
from benchmarks.lab.plant import Plant

PEAK_SAMPLES = 10
GROW_SAMPLES = 10
BUFFER_RATIO = 1 / 6
DEAD_BAND_RATIO = 0.02


class PerfIso:
    """Knows nothing of the service but its use of CPU."""

    name = "perfiso"
    interval_seconds = 0.1

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`. The first quota is written with the first sample."""
        self._group = BatchGroup(plant, now_seconds)
        self._meter = UsageMeter(plant, plant.online, now_seconds)
        self._samples: deque[float] = deque(maxlen=PEAK_SAMPLES)
        self._until_growth = GROW_SAMPLES

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        self._samples.append(sum(self._meter.read(plant, now_seconds).values()))
        self._until_growth -= 1
        wanted = max(plant.cpus * (1 - BUFFER_RATIO) - max(self._samples), LEAST_CORES)
        now, dead_band = self._group.total_cores, DEAD_BAND_RATIO * plant.cpus
        if wanted < now - dead_band or (self._until_growth <= 0 and wanted > now + dead_band):
            self._group.set_total(plant, wanted, now_seconds)
        if self._until_growth <= 0:
            self._group.set_total(plant, self._group.total_cores, now_seconds)
            self._until_growth = GROW_SAMPLES
