"""Static weights: `cpu.shares` 2 or `cpu.idle` on every peer, set once, no quota.

Where the scenario forbids re-weighting the plant writes nothing, and this is no control.
"""

from __future__ import annotations

from benchmarks.lab.plant import Plant

LEAST_SHARES = 2  # kernel/sched/sched.h, MIN_SHARES


class Shares:
    """`cpu.shares` 2, as the kubelet gives the best-effort class."""

    name = "shares"
    interval_seconds = 1.0

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        for name in plant.peers:
            plant.set_shares(name, LEAST_SHARES)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""


class Idle:
    """`cpu.idle` 1 (Linux 5.15)."""

    name = "idle"
    interval_seconds = 1.0

    def start(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
        for name in plant.peers:
            plant.set_idle(name, True)

    def step(self, plant: Plant, now_seconds: float) -> None:
        """See `Baseline`."""
