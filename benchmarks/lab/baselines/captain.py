"""Captain-like: the online services' own quotas follow their throttling; what they leave is the batch work's.

Source: Autothrottle (NSDI 2024) d237d7f3, worker-daemon.py, `CaptainScaler`, target 0.1, as in
python-agents.md 1.1. The original sizes services so that fewer cores are used, and gives its savings to
nobody; here the batch work together gets the quota CPUs - sum of the services' limits, whenever these change.
Each service starts at the limit that it has, at most at its equal part of the machine.
"""

from __future__ import annotations

from collections import deque
from statistics import stdev

from benchmarks.lab.baselines.batch import BatchGroup
from benchmarks.lab.baselines.usage import UsageMeter
from benchmarks.lab.plant import Plant

TARGET = 0.1
SAMPLES_A_DECISION = 10
USAGE_SAMPLES = 50
START_MARGIN = 3.0
UP_FACTOR = 3.0
DOWN_BELOW, DOWN_AT_MOST = 0.9, 0.5
FLOOR_CORES = 0.01
WRITE_CORES = 1e-5


class Scaler:
    """One service's limit, sampled every 100 ms, decided every tenth sample, a cut that throttles undone in
    between. Pure: it is told use and throttling and tells the limit."""

    def __init__(self, limit_cores: float, most_cores: float) -> None:
        self.limit_cores = limit_cores
        self.margin = START_MARGIN
        self._most_cores = most_cores
        self._usage: deque[float] = deque(maxlen=USAGE_SAMPLES)
        self._throttled: deque[int] = deque([0] * SAMPLES_A_DECISION, maxlen=SAMPLES_A_DECISION)
        self._samples = 0
        self._before_cut: float | None = None

    def sample(self, use_cores: float, throttled_periods: int) -> float:
        """The limit after this sample: use and throttled periods since the one before."""
        self._usage.append(use_cores)
        self._throttled.append(throttled_periods)
        self._samples += 1
        ratio = sum(self._throttled) / SAMPLES_A_DECISION
        if self._samples % SAMPLES_A_DECISION == 0:
            self._decide(ratio)
        elif self._before_cut is not None and ratio > UP_FACTOR * TARGET:
            self.margin += ratio - TARGET
            self._set(2 * self._before_cut - self.limit_cores)
            self._before_cut = None
        return self.limit_cores

    def _decide(self, ratio: float) -> None:
        self._before_cut = None
        self.margin = max(0.0, self.margin + ratio - TARGET)
        if ratio > UP_FACTOR * TARGET:
            self._set(self.limit_cores * (1 + ratio - UP_FACTOR * TARGET))
        else:
            wanted = max(self._usage) + stdev(self._usage) * self.margin
            if wanted <= DOWN_BELOW * self.limit_cores:
                self._before_cut = self.limit_cores
                self._set(max(DOWN_AT_MOST * self.limit_cores, wanted))
        self._throttled.extend([0] * SAMPLES_A_DECISION)

    def _set(self, cores: float) -> None:
        self.limit_cores = min(max(cores, FLOOR_CORES), self._most_cores)


class Captain:
    """One scaler for each online service; more than the whole machine is no limit worth asking for."""

    name = "captain"
    interval_seconds = 0.1

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        part = plant.cpus / len(plant.online)
        self._scalers = {n: Scaler(min(plant.limit_cores(n), part), plant.cpus) for n in plant.online}
        self._meter = UsageMeter(plant, plant.online, now_seconds)
        self._throttled = {name: plant.throttling(name)[1] for name in plant.online}
        self._group = BatchGroup(plant, now_seconds)
        for name, scaler in self._scalers.items():
            plant.set_limit(name, scaler.limit_cores)
        self._give_rest(plant, now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        use = self._meter.read(plant, now_seconds)
        changed = False
        for name, scaler in self._scalers.items():
            before, throttled = scaler.limit_cores, plant.throttling(name)[1]
            limit = scaler.sample(use[name], throttled - self._throttled[name])
            self._throttled[name] = throttled
            if abs(limit - before) >= WRITE_CORES:
                plant.set_limit(name, limit)
                changed = True
        if changed:
            self._give_rest(plant, now_seconds)

    def _give_rest(self, plant: Plant, now_seconds: float) -> None:
        left = plant.cpus - sum(scaler.limit_cores for scaler in self._scalers.values())
        self._group.set_total(plant, left, now_seconds)
