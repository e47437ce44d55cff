"""No control: what happens by itself."""

from __future__ import annotations

from benchmarks.lab.plant import Plant


class NoControl:
    """Touches nothing."""

    name = "none"
    interval_seconds = 1.0

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
