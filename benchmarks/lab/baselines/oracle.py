"""The oracle O3: caps that were found beforehand for every load level, set a moment before the load changes.

See `benchmarks.lab.oracle` for where the caps come from.
"""

from __future__ import annotations

from benchmarks.lab.plant import Plant
from benchmarks.lab.run import Caps


class Oracle:
    """Follows `caps`, ascending by time. Before the first one nothing is set."""

    name = "oracle"
    interval_seconds = 0.1

    def __init__(self, caps: Caps) -> None:
        self._caps = sorted(caps, key=lambda cap: cap[0])
        self._next = 0

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        self.step(plant, now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`. Raises KeyError for a cap on what is no peer."""
        due = self._next
        while due < len(self._caps) and self._caps[due][0] <= now_seconds:
            due += 1
        if due > self._next:
            for name, cores in self._caps[due - 1][1].items():
                if name not in plant.peers:
                    raise KeyError(f"the oracle's caps name {name}; the peers are {', '.join(plant.peers)}")
                plant.set_limit(name, cores)
            self._next = due
