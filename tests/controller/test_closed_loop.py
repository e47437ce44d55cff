"""What the engine does over time, on the simulated node: the scenarios of the design, in fast time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller.config import merge
from controller.simulation import Loop
from models.container import CpuLimit
from tests.controller.policies import OFFLINE, ONLINE, QUOTA_ONLY

CPU_SECONDS = 0.013
SURGE = [(0.0, 25.0), (10.0, 100.0), (50.0, 25.0)]


def service(rates: list[tuple[float, float]], until: float, **options: float) -> OnlineService:
    return OnlineService(poisson_arrivals(rates, until, seed=3), CPU_SECONDS, threads=8, **options)


def two(rates: list[tuple[float, float]], hogs: Hogs | None, until: float = 90.0) -> Loop:
    """An online service and a batch container on two CPUs."""
    node = SimulatedNode(2)
    node.add_container("web", "/web", service(rates, until))
    node.add_container("batch", "/batch", hogs)
    return Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY)


def test_surge_is_answered_and_everything_is_given_back() -> None:
    loop = two(SURGE, Hogs(4)).run(80.0)
    assert loop.states("web") == ["pressured", "throttling-peer", "recovering", "normal"]
    assert loop.p95("web", 20.0, 50.0) < 0.25
    assert math.isinf(loop.node.limit("/batch").cores)
    limits = [write.limit.cores for write in loop.node.writes]
    cuts = limits[: int(np.argmin(limits)) + 1]
    assert cuts == sorted(cuts, reverse=True)
    assert len(cuts) >= 2, "small steps, not one leap"
    assert min(limits) >= OFFLINE["floor_cores"]


def test_comfortable_victim_lets_a_limit_rise_beyond_the_forecasts_room() -> None:
    def reached(comfort_ratio: float) -> float:
        loop = two(SURGE, Hogs(4))
        loop.engine.reconfigure(merge(QUOTA_ONLY, {"recovery": {"comfort_ratio": comfort_ratio}}))
        loop.run(50.0)
        return loop.node.writes[-1].limit.cores

    assert reached(0.6) > reached(0.0) + 0.1


def test_catching_up_is_no_demand() -> None:
    """While the queue drains the service takes all it gets; that says nothing about the next seconds."""
    loop = two(SURGE, Hogs(4))
    while "recovering" not in loop.states("web"):
        loop.run(loop.node.clock_seconds + 0.25)
    loop.run(loop.node.clock_seconds + 1.0)
    seen = loop.engine.seen
    assert seen is not None
    row = seen.row("web")
    assert seen.history.window("cpu_usage_cores", 5.0)[:, row].max() > 1.7
    assert seen.forecast_cores[row] < 1.7


def test_writes_are_at_least_a_second_apart() -> None:
    loop = two(SURGE, Hogs(4)).run(80.0)
    at = [write.at_seconds for write in loop.node.writes]
    assert min(np.diff(at)) >= 1.0 - 1e-6


def test_dry_run_decides_and_writes_nothing() -> None:
    loop = two(SURGE, Hogs(4))
    loop.engine.reconfigure(merge(QUOTA_ONLY, {"dry_run": True}))
    loop.run(40.0)
    assert "throttling-peer" in loop.states("web")
    assert {record.data["result"] for record in loop.records("revision")} == {"dry-run"}
    assert loop.node.writes == []


@pytest.mark.parametrize("rate", [25.0, 60.0, 75.0])
def test_hog_burst_of_a_second_moves_nothing(rate: float) -> None:
    loop = two([(0.0, rate)], Hogs(4, active=[(20.0, 21.0)])).run(40.0)
    assert loop.node.writes == []


def test_hog_of_five_seconds_is_cut() -> None:
    loop = two([(0.0, 100.0)], Hogs(4, active=[(20.0, 25.0)])).run(60.0)
    assert loop.node.writes
    assert 20.0 < loop.node.writes[0].at_seconds < 25.0
    assert math.isinf(loop.node.limit("/batch").cores)


def test_single_latency_spike_moves_nothing() -> None:
    loop = two([(0.0, 40.0)], Hogs(4))
    loop.run(20.0)
    loop.latencies.push_spike("web", [2.0] * 20, loop.node.clock_seconds)
    loop.run(40.0)
    assert loop.node.writes == []


def test_slow_downstream_is_not_local() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service([(0.0, 15.0)], 60.0, downstream_seconds=0.4))
    node.add_container("batch", "/batch", Hogs(1, active=[(0.0, 60.0)]))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY).run(60.0)
    assert loop.node.writes == []
    assert ("not-local", "web") in loop.alerts()


def test_overload_of_its_own_with_idle_peers_is_not_local() -> None:
    loop = two([(0.0, 40.0), (10.0, 190.0)], None, until=60.0).run(60.0)
    assert loop.node.writes == []
    assert ("not-local", "web") in loop.alerts()


def test_own_quota_too_small_is_raised_and_peers_are_left_alone() -> None:
    node = SimulatedNode(2)
    limit = CpuLimit(30_000)
    node.add_container("web", "/web", service([(0.0, 15.0), (10.0, 60.0), (50.0, 10.0)], 110.0), limit=limit)
    node.add_container("batch", "/batch", Hogs(1, active=[(0.0, 0.1)]))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY).run(49.0)
    assert {write.group for write in loop.node.writes} == {"/web"}
    assert node.limit("/web").cores > 0.3
    assert loop.p95("web", 40.0, 49.0) < 0.25
    loop.run(110.0)
    assert node.limit("/web") == limit
    assert loop.states("web")[-1] == "normal"


def test_own_quota_too_small_on_a_full_node_takes_room_from_peers_first() -> None:
    node = SimulatedNode(2)
    node.add_container(
        "web", "/web", service([(0.0, 10.0), (10.0, 60.0)], 60.0), limit=CpuLimit(30_000), weight=100_000
    )
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY).run(60.0)
    first = next(write.group for write in loop.node.writes)
    assert first == "/batch"
    assert node.limit("/web").cores > 0.3
    assert loop.p95("web", 40.0, 60.0) < 0.3


def test_without_an_slo_waiting_for_cpu_is_what_counts() -> None:
    policy = {name: value for name, value in ONLINE.items() if name != "slo"}
    node = SimulatedNode(2)
    node.add_container("web", "/web", service(SURGE, 80.0))
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(node, {"web": policy, "batch": OFFLINE}, QUOTA_ONLY).run(80.0)
    assert loop.p95("web", 20.0, 50.0) < 0.25
    assert math.isinf(node.limit("/batch").cores)


def test_without_any_wait_signal_no_peer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = two(SURGE, Hogs(4))
    collect = loop.node.collect

    def blind(now_seconds: float):
        sample = collect(now_seconds)
        sample.wait_seconds[:] = np.nan
        return sample

    monkeypatch.setattr(loop.node, "collect", blind)
    loop.run(30.0)
    assert loop.node.writes == []
    assert loop.engine.center.cases["web"].verdict == "diagnosing"


def test_frozen_node_is_left_as_it_is_and_thaws_slowly() -> None:
    loop = two(SURGE, Hogs(4)).run(20.0)
    held = loop.node.limit("/batch")
    assert held.cores < 1
    loop.health.reasons = ("disk-readonly: /",)
    writes = len(loop.node.writes)
    loop.run(70.0)
    assert loop.states("web")[-1] == "frozen-node"
    assert loop.node.limit("/batch") == held
    loop.health.reasons = ()
    loop.run(99.0)
    assert len(loop.node.writes) == writes, "nothing before the thaw time"
    loop.run(125.0)
    assert loop.states("web")[-2:] == ["recovering", "normal"]
    assert math.isinf(loop.node.limit("/batch").cores)


def test_operator_freezes_and_thaws() -> None:
    loop = two(SURGE, Hogs(4)).run(5.0)
    loop.engine.operator_freeze = "maintenance"
    loop.run(40.0)
    assert loop.node.writes == []
    assert {loop.engine.center.cases[name].state for name in ("web", "batch")} == {"frozen-node"}


def test_vanished_peer_and_vanished_victim() -> None:
    loop = two(SURGE, Hogs(4)).run(18.0)
    loop.node.vanish("/batch")
    loop.run(25.0)
    assert loop.engine.executor.held() == {}
    loop = two(SURGE, Hogs(4)).run(18.0)
    loop.node.vanish("/web")
    loop.run(60.0)
    assert math.isinf(loop.node.limit("/batch").cores)
    assert "web" not in loop.engine.center.cases


def test_relapse_waits_longer_each_time() -> None:
    rates = [(0.0, 100.0)]
    loop = two(rates, Hogs(4), until=200.0).run(200.0)
    minutes = 200.0 / 60
    limits = [write.limit.cores for write in loop.node.writes]
    turns = np.count_nonzero(np.diff(np.sign(np.diff(limits))))
    assert turns / minutes <= 4
    assert loop.p95("web", 20.0, 200.0) < 0.25


def test_several_victims_share_one_peer_and_the_lowest_claim_counts() -> None:
    node = SimulatedNode(4)
    for name, until in (("a", 40.0), ("b", 70.0)):
        rates = [(0.0, 20.0), (10.0, 140.0), (until, 20.0)]
        arrivals = poisson_arrivals(rates, 110.0, seed=len(name) + ord(name))
        node.add_container(name, f"/{name}", OnlineService(arrivals, CPU_SECONDS, threads=8))
    node.add_container("batch", "/batch", Hogs(8))

    loop = Loop(node, {"a": ONLINE, "b": ONLINE, "batch": OFFLINE}, QUOTA_ONLY)
    both = []

    def look(now: float) -> None:
        claims = loop.engine.center.ledger.on_peer("batch")
        if len(claims) == 2:
            both.append(now)
        rested = not node.writes or now - node.writes[-1].at_seconds > 1.0  # else a write may wait its second
        if claims and rested and loop.engine.executor.held():
            lowest = min(claim.target_cores for claim in claims)
            assert loop.engine.executor.held()["batch"] >= lowest - 0.03

    loop.run(110.0, look)
    assert both
    assert math.isinf(node.limit("/batch").cores)


def test_peer_of_equal_priority_is_never_claimed() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service(SURGE, 40.0))
    node.add_container("other", "/other", Hogs(4))
    loop = Loop(node, {"web": ONLINE, "other": {**ONLINE, "slo": None}}, QUOTA_ONLY).run(40.0)
    assert loop.node.writes == []


def test_peer_on_other_cpus_is_never_claimed() -> None:
    node = SimulatedNode(4)
    web = service([(0.0, 20.0), (10.0, 190.0)], 40.0)
    node.add_container("web", "/web", web, allowed_cpus=frozenset({0, 1}))
    node.add_container("batch", "/batch", Hogs(4), allowed_cpus=frozenset({2, 3}))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY).run(40.0)
    assert loop.node.writes == []
    assert ("not-local", "web") in loop.alerts()


def test_node_rule_trims_offline_work_before_anyone_is_hurt() -> None:
    loop = two([(0.0, 25.0)], Hogs(4))
    loop.engine.reconfigure(merge(QUOTA_ONLY, {"rules": {"node-busy": {"enabled": True}}}))
    loop.run(60.0)
    assert loop.node.writes
    busy = loop.engine.seen.recent("node_cpu_ratio")[-1]
    assert busy < 0.95
    assert loop.states("web") == []


def test_innocent_small_peer_is_not_cut() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service(SURGE, 80.0))
    node.add_container("batch", "/batch", Hogs(4))
    node.add_container("idle", "/idle", Hogs(1, active=[(0.0, 0.5)]))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE, "idle": OFFLINE}, QUOTA_ONLY).run(80.0)
    assert {write.group for write in loop.node.writes} == {"/batch"}


def test_vanishing_signal_leaves_no_limit_behind() -> None:
    loop = two(SURGE, Hogs(4)).run(20.0)
    assert loop.engine.executor.held()
    loop.latencies.muted.add("web")
    loop.run(90.0)
    assert math.isinf(loop.node.limit("/batch").cores)


def test_limit_that_stands_off_the_spec_is_told() -> None:
    loop = two([(0.0, 100.0)], Hogs(4), until=100.0)
    loop.engine.reconfigure(merge(QUOTA_ONLY, {"divergence": {"for": "20s", "clear_after": "5s"}}))
    loop.run(60.0)
    assert ("vpa-divergence", "batch") in loop.alerts()
    loop.engine.restore_all("test", 60.0, 60.0)


def test_failing_tick_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = two(SURGE, Hogs(4)).run(5.0)
    decide = loop.engine.center.decide
    monkeypatch.setattr(loop.engine.center, "decide", lambda seen: 1 / 0)
    loop.run(6.0)
    assert loop.health.failures >= 2
    monkeypatch.setattr(loop.engine.center, "decide", decide)
    loop.run(80.0)
    assert loop.states("web")[-1] == "normal"
