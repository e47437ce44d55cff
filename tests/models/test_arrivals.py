"""The curve of arrivals is found again from service and latency."""

from __future__ import annotations

import math

import pytest

from models.arrivals import Arrivals, IdleLatency

TICK = 0.25


def overload(
    demand_cores: float, capacity_cores: float, seconds: float, then_cores: float, until: float
) -> tuple[list[float], list[float]]:
    """A fluid queue: what is served and how late it is, tick by tick."""
    served, late = [], []
    queue = 0.0
    arrived_by: list[tuple[float, float]] = [(0.0, 0.0)]
    done = 0.0
    for n in range(round(until / TICK)):
        demand = demand_cores if n * TICK < seconds else then_cores
        work = min(queue + demand * TICK, capacity_cores * TICK)
        queue += demand * TICK - work
        arrived_by.append(((n + 1) * TICK, arrived_by[-1][1] + demand * TICK))
        done += work
        came = next(at for at, total in arrived_by if total >= done - 1e-9)
        served.append(work)
        late.append((n + 1) * TICK - came)
    return served, late


def test_arrivals_of_an_overload_are_found() -> None:
    served, late = overload(1.3, 1.0, 20.0, 0.3, 60.0)
    arrivals: Arrivals[int] = Arrivals()
    seconds_of: dict[int, float] = {}
    work_of: dict[int, float] = {}
    for n, (work, lateness) in enumerate(zip(served, late, strict=True)):
        for moment, seconds, arrived in arrivals.push(n, TICK, work, lateness):
            seconds_of[moment] = seconds_of.get(moment, 0.0) + seconds
            work_of[moment] = work_of.get(moment, 0.0) + arrived
    assert all(seconds == pytest.approx(TICK) for seconds in seconds_of.values())
    assert sum(work_of.values()) == pytest.approx(sum(served), rel=1e-3)
    assert list(seconds_of) == list(range(240)), "when the queue is gone all moments are known"
    during = sum(work_of[n] for n in range(20, 60)) / 10
    after = sum(work_of[n] for n in range(120, 240)) / 30
    assert during == pytest.approx(1.3, rel=0.08)
    assert after == pytest.approx(0.3, rel=0.08)


def test_no_queue_is_no_delay() -> None:
    arrivals: Arrivals[str] = Arrivals()
    assert arrivals.push("now", TICK, 0.1, 0.0) == [("now", TICK, pytest.approx(0.1))]


def test_what_comes_later_than_a_tick_waits_for_its_time() -> None:
    arrivals: Arrivals[int] = Arrivals()
    arrivals.push(0, TICK, 0.25, 0.0)
    assert arrivals.push(1, TICK, 0.25, 100.0) == [], "as late as time goes by: of no moment yet"
    known = arrivals.push(2, TICK, 0.25, 0.0)
    assert [moment for moment, _, _ in known] == [1, 2]
    assert sum(work for _, _, work in known) == pytest.approx(0.5)


def test_idle_latency_is_learnt_while_well_only() -> None:
    idle = IdleLatency(memory_seconds=10.0)
    assert math.isnan(idle.seconds)
    for _ in range(400):
        idle.see(0.04, True, TICK)
    assert idle.seconds == pytest.approx(0.04)
    for _ in range(400):
        idle.see(5.0, False, TICK)
    assert idle.seconds == pytest.approx(0.04)
    late = IdleLatency()
    late.see(5.0, False, TICK)
    late.see(0.05, False, TICK)
    assert late.seconds == 0.05, "a start in the middle of trouble is forgotten"
