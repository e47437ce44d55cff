"""What happens when in an act: phases of load on the online service, busy loops beside it."""

from __future__ import annotations

from dataclasses import dataclass

LOW_SHARE = 0.15
SURGE_SHARE = 0.62
HOGS_PER_CPU = 2
# Seconds of low load, surge, low load. "article" is as in the original: low until 90 s, 300 s in all.
SHAPES: dict[str, tuple[float, float, float]] = {
    "compressed": (10.0, 40.0, 20.0),
    "short": (5.0, 20.0, 12.0),
    "article": (90.0, 150.0, 60.0),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of even load."""

    name: str
    seconds: float
    rate_per_second: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Three phases: "before", "surge" and "after"; times in seconds from the start of the first.

    `cpu_ms` is the CPU time of a request, `hogs` the number of busy loops that run all the time.
    """

    name: str
    before: Phase
    surge: Phase
    after: Phase
    cpu_ms: float
    hogs: int

    @property
    def phases(self) -> tuple[Phase, Phase, Phase]:
        return (self.before, self.surge, self.after)

    @property
    def surge_from_seconds(self) -> float:
        return self.before.seconds

    @property
    def surge_until_seconds(self) -> float:
        return self.before.seconds + self.surge.seconds

    @property
    def total_seconds(self) -> float:
        return self.surge_until_seconds + self.after.seconds

    def phase_at(self, seconds: float) -> Phase:
        """The phase at a time; the first before the start, the last after the end."""
        if seconds < self.surge_from_seconds:
            return self.before
        return self.surge if seconds < self.surge_until_seconds else self.after


def make_timeline(
    name: str, seconds: tuple[float, float, float], *, cpus: int, cpu_ms: float = 12.0
) -> Timeline:
    """Load of 0.15 of the machine, then 0.62, then 0.15 again; two busy loops per CPU.

    Alone the service is well at both. With an equal share for the busy loops it gets half of the machine, so
    a queue grows by a third of a second of waiting per second of surge.
    """
    low = LOW_SHARE * cpus * 1000 / cpu_ms
    high = SURGE_SHARE * cpus * 1000 / cpu_ms
    before, surge, after = seconds
    return Timeline(
        name=name,
        before=Phase("before", before, low),
        surge=Phase("surge", surge, high),
        after=Phase("after", after, low),
        cpu_ms=cpu_ms,
        hogs=HOGS_PER_CPU * cpus,
    )
