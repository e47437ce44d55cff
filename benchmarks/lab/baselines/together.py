"""Several static settings at once, as "idle+static-0.8"."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.lab.plant import Baseline, Plant


class Together:
    """Each is started and stepped in turn."""

    def __init__(self, parts: Sequence[Baseline]) -> None:
        self.name = "+".join(part.name for part in parts)
        self.interval_seconds = min(part.interval_seconds for part in parts)
        self._parts = parts

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        for part in self._parts:
            part.start(plant, now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        for part in self._parts:
            part.step(plant, now_seconds)
