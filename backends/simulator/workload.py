"""What runs in a simulated container, as the scheduler sees it."""

from __future__ import annotations

from typing import Protocol

TINY_SECONDS = 1e-6
"""CPU or wall time too short to matter. Well above the rounding of a clock that holds seconds since 1970."""


class Workload(Protocol):
    """Threads that want CPU. The scheduler calls `plan`, then `run`, once for each slice, in time's order."""

    def may_wake(self, end_seconds: float) -> bool:
        """Might a thread that sleeps now become runnable before `end_seconds`?"""

    def plan(self, start_seconds: float, end_seconds: float, cpus: int, wakeup_wait_seconds: float) -> float:
        """The CPU seconds it would use in this slice if it had `cpus` CPUs for itself.

        A thread that wakes up in the slice first waits `wakeup_wait_seconds` for a CPU.
        """

    def run(self, granted_seconds: float) -> tuple[float, float]:
        """Live through the planned slice with this much CPU.

        Returns the CPU seconds used, never more than granted, and the wall seconds in which at least one
        runnable thread did not run (PSI `some`).
        """

    def runnable_threads(self) -> int:
        """How many threads ran or waited for a CPU at the end of the last slice."""

    def take_finished(self) -> list[tuple[float, float]]:
        """(finish time, latency) in seconds of the requests finished since the last call, oldest first."""
