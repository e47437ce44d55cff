"""What runs in a simulated container, as the scheduler sees it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

TINY_SECONDS = 1e-6
"""CPU or wall time too short to matter. Well above the rounding of a clock that holds seconds since 1970."""


class Crowd(NamedTuple):
    """What it means for a group's threads that others run beside them.

    A thread that wakes up in the slice first waits `wakeup_wait_seconds` for a CPU. `stacked_ratio` is the
    chance that one more runnable thread lands behind those that run already and stays there, though another
    CPU runs somebody else's thread; 0 when no other is there, since a CPU without work pulls one of them.
    """

    wakeup_wait_seconds: float = 0.0
    stacked_ratio: float = 0.0

    def cpus_in_use(self, threads: int, cpus: int) -> float:
        """On how many of `cpus` CPUs that many runnable threads run, in the mean."""
        spread = min(threads, cpus)
        if not self.stacked_ratio or threads < 2:
            return spread
        return spread - (spread - 1) * self.stacked_ratio ** (threads - 1)


ALONE = Crowd()


class Workload(Protocol):
    """Threads that want CPU. The scheduler calls `plan`, then `run`, once for each slice, in time's order.

    `sleeps`: its threads sleep and wake up all the time, as those that serve requests do.
    """

    sleeps: bool

    def may_wake(self, end_seconds: float) -> bool:
        """Might a thread that sleeps now become runnable before `end_seconds`?"""

    def plan(self, start_seconds: float, end_seconds: float, cpus: int, crowd: Crowd) -> float:
        """The CPU seconds it would use in this slice if it got all of `cpus` CPUs that it can use in this
        crowd."""

    def run(self, granted_seconds: float) -> tuple[float, float]:
        """Live through the planned slice with this much CPU.

        Returns the CPU seconds used, never more than granted, and the wall seconds in which at least one
        runnable thread did not run (PSI `some`).
        """

    def runnable_threads(self) -> int:
        """How many threads ran or waited for a CPU at the end of the last slice."""

    def take_finished(self) -> list[tuple[float, float]]:
        """(finish time, latency) in seconds of the requests finished since the last call, oldest first."""
