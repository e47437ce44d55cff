"""The scenarios and their right answers, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.demo.acts import Conditions
from controller.demo.timeline import Phase, Timeline

CPU_MS = 12.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an observer outside the engine saw, and which alerts were raised.

    Changes count every time the limit in a group's file was another one than 50 ms before.
    """

    online_limit_changes: int
    offline_limit_changes: int
    online_limit_raised: bool
    restored: bool
    alerts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One act: load as shares of the machine, what is special about it, and what is right."""

    name: str
    what: str
    right: str
    phases: tuple[tuple[float, float], ...]
    conditions: Conditions
    is_right: Callable[[Outcome], bool]
    hogs_per_cpu: int = 2
    downstream_ms: float = 0.0

    def timeline(self, cpus: int) -> Timeline:
        """Its load on a machine of so many CPUs."""
        named = zip(("before", "surge", "after"), self.phases, strict=True)
        phases = [Phase(name, s, share * cpus * 1000 / CPU_MS) for name, (s, share) in named]
        return Timeline(self.name, *phases, cpu_ms=CPU_MS, hogs=self.hogs_per_cpu * cpus)


def _nothing(outcome: Outcome) -> bool:
    return outcome.online_limit_changes == outcome.offline_limit_changes == 0


def _not_local(outcome: Outcome) -> bool:
    return _nothing(outcome) and "not-local" in outcome.alerts


def _cut(outcome: Outcome) -> bool:
    return outcome.offline_limit_changes > 0 and outcome.restored


def _own_raised(outcome: Outcome) -> bool:
    return outcome.online_limit_raised and outcome.offline_limit_changes == 0


IDLE = Conditions(hog_intervals=())

SCENARIOS = (
    Scenario(
        name="hog-1s",
        what="busy loops for one second",
        right="nothing is written",
        phases=((5, 0.4), (10, 0.4), (5, 0.4)),
        conditions=Conditions(hog_intervals=((8, 9),)),
        is_right=_nothing,
    ),
    Scenario(
        name="hog-5s",
        what="busy loops for five seconds",
        right="the loops are cut, and get everything back",
        phases=((5, 0.65), (10, 0.65), (15, 0.2)),
        conditions=Conditions(hog_intervals=((6, 11),)),
        is_right=_cut,
    ),
    Scenario(
        name="spike",
        what="all requests of 0.3 s are slow for once, beside busy loops",
        right="nothing is written",
        phases=((5, 0.2), (10, 0.2), (5, 0.2)),
        conditions=Conditions(changes=((8, {"downstream_ms": 1000}), (8.3, {"downstream_ms": 0}))),
        is_right=_nothing,
    ),
    Scenario(
        name="downstream",
        what="the service waits 400 ms for another one in every request, no contention",
        right="nothing is written, alert not-local",
        phases=((5, 0.1), (10, 0.1), (5, 0.1)),
        conditions=Conditions(hog_intervals=(), changes=((4, {"downstream_ms": 400}),)),
        is_right=_not_local,
    ),
    Scenario(
        name="self-overload",
        what="more requests than the machine can serve, peers idle",
        right="nothing is written, alert not-local",
        phases=((5, 0.3), (14, 1.2), (1, 0.1)),
        conditions=IDLE,
        is_right=_not_local,
    ),
    Scenario(
        name="own-quota",
        what="the service's own limit is too small, peers idle",
        right="its limit is raised, peers are left alone",
        phases=((5, 0.1), (15, 0.35), (1, 0.1)),
        conditions=Conditions(hog_intervals=(), online_limit_cores=0.4),
        is_right=_own_raised,
    ),
)
