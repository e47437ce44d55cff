"""A static quota on the batch work, set once."""

from __future__ import annotations

from benchmarks.lab.plant import Plant


class StaticQuota:
    """`cores` for all peers together, evenly: who sets it beforehand does not know who will use it."""

    interval_seconds = 1.0

    def __init__(self, cores: float) -> None:
        self.name = f"static-{cores:g}"
        self._cores = cores

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        for name in plant.peers:
            plant.set_limit(name, self._cores / len(plant.peers))

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
