"""Rung 0 in the closed loop, on the simulated node: when weights answer pressure, and when quotas have to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller.config import Config, merge
from controller.simulation import Loop
from controller.view import containers
from tests.controller.policies import OFFLINE, ONLINE, QUOTA_ONLY

CPU_SECONDS = 0.013
SURGE = [(0.0, 25.0), (10.0, 100.0), (50.0, 25.0)]
RUNG0 = merge(Config(), {"rung0": {"actuator": "idle"}})


def service(rates: list[tuple[float, float]] = SURGE, until: float = 110.0, seed: int = 3) -> OnlineService:
    return OnlineService(poisson_arrivals(rates, until, seed=seed), CPU_SECONDS, threads=8)


def siblings(config: Config = RUNG0, hogs: Hogs | None = None, **peer: Any) -> Loop:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service())
    node.add_container("batch", "/batch", hogs or Hogs(4), weight=700)
    return Loop(node, {"web": ONLINE, "batch": {**OFFLINE, **peer}}, config)


def in_a_slice(config: Config = RUNG0) -> Loop:
    """As Burstable pods are: the offline container beside another one in a slice of its own."""
    node = SimulatedNode(2)
    node.add_container("web", "/web", service())
    node.add_group("/slice")
    node.add_container("batch", "/slice/batch", Hogs(4))
    node.add_container("other", "/slice/other", None)
    return Loop(node, {"web": ONLINE, "batch": OFFLINE, "other": ONLINE}, config)


def rungs(loop: Loop) -> list[str]:
    """The rungs of what was applied, in order."""
    applied = [record for record in loop.records("revision") if record.data["result"] == "applied"]
    return [record.data["rung"] for record in reversed(applied)]


@pytest.mark.parametrize("actuator", ["idle", "weight"])
def test_sibling_gives_way_by_weight_and_loses_no_quota(actuator: str) -> None:
    loop = siblings(merge(Config(), {"rung0": {"actuator": actuator}})).run(30.0)
    assert rungs(loop) == [actuator]
    (claim,) = loop.engine.center.ledger.of_victim("web")
    assert (claim.rung, claim.target_cores) == (actuator, math.inf)
    batch = next(shown for shown in containers(loop.engine) if shown["id"] == "batch")
    assert batch["cpu_weight"] == (0 if actuator == "idle" else 2)
    assert batch["holds"][0]["rung"] == actuator
    assert batch["holds"][0]["target_cores"] is None
    loop.run(100.0)
    assert loop.p95("web", 16.0, 50.0) < 0.175
    assert loop.states("web") == ["pressured", "throttling-peer", "recovering", "normal"]
    assert loop.node.writes == []
    assert loop.node.weight("/batch").weight == 700


def test_batch_work_is_not_less_than_with_quotas() -> None:
    def work(config: Config) -> float:
        hogs = Hogs(4)
        siblings(config, hogs).run(60.0)
        return hogs.work_units

    assert work(RUNG0) > work(QUOTA_ONLY)


def test_peer_in_another_slice_is_cut_at_once() -> None:
    first = in_a_slice(QUOTA_ONLY).run(30.0).records("revision", "batch")[-1]
    loop = in_a_slice().run(30.0)
    assert set(rungs(loop)) == {"quota"}
    assert loop.records("revision", "batch")[-1].at_seconds == first.at_seconds
    assert not loop.node.weight("/slice/batch").idle


def test_peer_that_may_not_be_reweighted_is_cut_at_once() -> None:
    loop = siblings(reweight=False).run(30.0)
    assert set(rungs(loop)) == {"quota"}
    assert loop.node.weight("/batch").weight == 700


def test_quota_follows_on_evidence_that_a_weight_does_not_suffice() -> None:
    """The victim's own weight is as low as a weight can get, so the idle peer still takes its part."""
    config = merge(RUNG0, {"recovery": {"comfort_ratio": 0}})
    loop = siblings(config, hogs=Hogs(4, active=[(0.0, 45.0)]))
    loop.node.set_weight("/web", 2)
    loop.run(40.0)
    assert rungs(loop)[0] == "idle"
    assert "quota" in rungs(loop)
    first, then = list(reversed(loop.records("revision", "batch")))[:2]
    assert then.data["rung"] == "quota"
    assert then.at_seconds - first.at_seconds >= RUNG0.diagnosis.window
    assert {claim.rung for claim in loop.engine.center.ledger.of_victim("web")} == {"idle", "quota"}
    assert loop.p95("web", 25.0, 40.0) < 0.25
    order = []
    loop.run(110.0, lambda now: order.append((loop.node.limit("/batch").cores, loop.node.weight("/batch"))))
    assert loop.engine.center.ledger.of_victim("web") == []
    full = next(n for n, (cores, _) in enumerate(order) if math.isinf(cores))
    restored = next(n for n, (_, weight) in enumerate(order) if not weight.idle)
    assert full < restored, "the quota goes back first"
    assert loop.node.weight("/batch").weight == 700


def test_weight_is_kept_for_a_while_and_given_back_when_the_peer_wants_nothing_any_more() -> None:
    loop = siblings(hogs=Hogs(4, active=[(0.0, 20.0)])).run(45.0)
    assert loop.node.weight("/batch").idle, "20 s of peace and 30 s of keeping"
    loop.run(56.0)
    assert loop.node.weight("/batch").weight == 700


def test_on_and_off_peers_move_no_weight_to_and_fro() -> None:
    on_and_off = [(10.0 * n, 10.0 * n + 5.0) for n in range(12)]
    node = SimulatedNode(2)
    node.add_container("web", "/web", service([(0.0, 100.0)], 120.0))
    node.add_container("batch", "/batch", Hogs(4, active=on_and_off))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, RUNG0).run(115.0)
    assert rungs(loop) == ["idle"]
    assert loop.p95("web", 20.0, 115.0) < 0.25


def test_each_victim_releases_only_its_own() -> None:
    node = SimulatedNode(4)
    for n, (name, until) in enumerate((("a", 40.0), ("b", 70.0))):
        rates = [(0.0, 20.0), (10.0, 140.0), (until, 20.0)]
        node.add_container(name, f"/{name}", service(rates, 150.0, seed=n))
    node.add_container("batch", "/batch", Hogs(8))
    loop = Loop(node, {"a": ONLINE, "b": ONLINE, "batch": OFFLINE}, RUNG0)
    holders = []

    def look(now: float) -> None:
        victims = {claim.victim for claim in loop.engine.center.ledger.on_peer("batch")}
        holders.append(victims)
        if now > 1.0 and loop.node.weight("/batch").idle and not victims:
            raise AssertionError(f"held for nobody at {now}")

    loop.run(150.0, look)
    assert {"a", "b"} in holders
    assert holders[-1] == set()
    assert not node.weight("/batch").idle


def test_group_with_somebody_in_it_who_may_not_be_touched_keeps_its_weight() -> None:
    """At pod level: a sidecar of the same tier as the victim shares the pod."""
    node = SimulatedNode(2)
    for group in ("/kubepods", "/kubepods/podweb", "/kubepods/podbatch"):
        node.add_group(group)
    node.add_container("web", "/kubepods/podweb/c", service())
    node.add_container("batch", "/kubepods/podbatch/c", Hogs(4))
    node.add_container("proxy", "/kubepods/podbatch/proxy", None)
    config = merge(RUNG0, {"rung0": {"level": "pod"}})
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE, "proxy": ONLINE}, config).run(30.0)
    assert set(rungs(loop)) == {"quota"}


def test_pod_gives_way_as_a_whole() -> None:
    node = SimulatedNode(2)
    for group in ("/kubepods", "/kubepods/podweb", "/kubepods/podbatch"):
        node.add_group(group)
    node.add_container("web", "/kubepods/podweb/c", service())
    node.add_container("one", "/kubepods/podbatch/one", Hogs(2))
    node.add_container("two", "/kubepods/podbatch/two", Hogs(2))
    config = merge(RUNG0, {"rung0": {"level": "pod"}})
    loop = Loop(node, {"web": ONLINE, "one": OFFLINE, "two": OFFLINE}, config).run(30.0)
    assert node.weight("/kubepods/podbatch").idle
    assert rungs(loop) == ["idle"], "one write for both"
    loop.run(100.0)
    assert not node.weight("/kubepods/podbatch").idle


def test_victim_that_vanishes_leaves_no_weight_behind() -> None:
    loop = siblings().run(25.0)
    assert loop.node.weight("/batch").idle
    loop.node.vanish("/web")
    loop.run(35.0)
    assert loop.node.weight("/batch").weight == 700


def test_switching_it_off_while_it_is_in_force_leaves_it_to_quotas() -> None:
    loop = siblings().run(20.0)
    assert loop.node.weight("/batch").idle
    loop.engine.reconfigure(QUOTA_ONLY)
    loop.run(23.0)
    assert loop.node.weight("/batch").weight == 700
    loop.run(45.0)
    assert "quota" in rungs(loop)


def test_peer_that_others_made_idle_is_cut_by_quota() -> None:
    loop = siblings()
    loop.node.set_weight("/web", 2)
    loop.node.set_idle("/batch", True)
    loop.run(40.0)
    assert set(rungs(loop)) == {"quota"}


def test_node_rule_trims_by_quota() -> None:
    loop = siblings(merge(RUNG0, {"rules": {"node-busy": {"enabled": True}}})).run(9.0)
    assert set(rungs(loop)) == {"quota"}


def test_frozen_node_keeps_the_weight_as_it_is() -> None:
    loop = siblings().run(25.0)
    loop.health.reasons = ("disk full",)
    loop.run(80.0)
    assert loop.node.weight("/batch").idle


def test_dry_run_says_it_and_sets_nothing() -> None:
    loop = siblings(merge(RUNG0, {"dry_run": True})).run(40.0)
    kinds = {(record.data["rung"], record.data["result"]) for record in loop.records("revision")}
    assert ("idle", "dry-run") in kinds
    assert {result for _, result in kinds} == {"dry-run"}
    assert loop.node.weight("/batch").weight == 700


def test_standing_rung0_is_there_before_anybody_is_hurt_and_moves_nothing_after() -> None:
    loop = siblings(merge(Config(), {"rung0": {"when": "always"}})).run(1.0)
    assert loop.node.weight("/batch").idle
    assert not loop.node.weight("/web").idle
    loop.run(60.0)
    assert loop.states("web") == []
    assert loop.p95("web", 10.0, 50.0) < 0.175
    assert rungs(loop) == ["idle"]
    loop.engine.restore_all("by hand", 60.0, 60.0)
    assert not loop.node.weight("/batch").idle
    loop.run(100.0)
    assert not loop.node.weight("/batch").idle, "whoever restores by hand is not contradicted at once"
    loop.run(130.0)
    assert loop.node.weight("/batch").idle


def test_standing_rung0_leaves_alone_who_could_hurt_nobody_by_weight() -> None:
    loop = in_a_slice(merge(Config(), {"rung0": {"when": "always"}}))
    loop.run(5.0)
    assert loop.node.weight("/slice/batch").idle  # beside "other", which is more important
    assert not loop.node.weight("/slice").idle
    alone = siblings(merge(Config(), {"rung0": {"when": "always"}}), reweight=False).run(5.0)
    assert not alone.node.weight("/batch").idle


def test_victim_that_nearly_fills_the_node_is_no_evidence_against_a_weight() -> None:
    """It waits behind its own threads, stacked as the kernel does beside busy CPUs, and the peer runs in
    between: a quota would only cost work."""
    node = SimulatedNode(2, stacked_ratio=0.85)
    node.add_container("web", "/web", service([(0.0, 25.0), (10.0, 100.0), (40.0, 136.0)], 48.0))
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, RUNG0).run(48.0)
    assert loop.p95("web", 40.0, 48.0) > 0.175, "it is hurt again"
    assert rungs(loop) == ["idle"]
