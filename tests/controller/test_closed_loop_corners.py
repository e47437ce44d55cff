"""Corners of the closed loop in which a limit was once left, lost, or set without right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from backends.base import Discovery
from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller.config import merge
from controller.simulation import Loop
from models.container import Container, CpuLimit
from tests.controller.policies import OFFLINE, ONLINE, QUOTA_ONLY

CPU_SECONDS = 0.013


def service(rates: list[tuple[float, float]], until: float) -> OnlineService:
    return OnlineService(poisson_arrivals(rates, until, seed=3), CPU_SECONDS, threads=8)


class Changed:
    """A discovery whose containers have got other policies."""

    def __init__(self, inner: Discovery, changes: dict[str, dict[str, Any]]) -> None:
        self._inner, self._changes = inner, changes

    def containers(self) -> list[Container]:
        return [replace(c, **self._changes.get(c.id, {})) for c in self._inner.containers()]


def two(rates: list[tuple[float, float]], until: float, **offline: Any) -> Loop:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service(rates, until))
    node.add_container("batch", "/batch", Hogs(4))
    return Loop(node, {"web": ONLINE, "batch": {**OFFLINE, **offline}}, QUOTA_ONLY)


@pytest.mark.parametrize("floor", [0.05, 0.1])
def test_guilty_peers_at_their_floor_are_held_and_not_acquitted(floor: float) -> None:
    loop = two([(0.0, 25.0), (10.0, 150.0)], 60.0, floor_cores=floor).run(60.0)
    limits = [write.limit.cores for write in loop.node.writes]
    assert floor <= min(limits) <= 0.1, "what is left is not worth taking"
    assert limits[-1] == min(limits)
    assert ("exhausted", "web") in loop.alerts()
    assert ("not-local", "web") not in loop.alerts()


def test_second_surge_does_not_make_an_effective_cut_look_ineffective() -> None:
    loop = two([(0.0, 25.0), (10.0, 80.0), (30.0, 135.0)], 60.0).run(45.0)
    after = [write.limit.cores for write in loop.node.writes if write.at_seconds > 30.0]
    assert after
    assert max(after) < 0.7


@pytest.mark.parametrize("change", ["priority", "adjustable"])
def test_claim_goes_with_the_right_to_it(change: str) -> None:
    loop = two([(0.0, 100.0)], 60.0).run(20.0)
    assert loop.engine.executor.held()
    changed = {"web": {"priority": 0}} if change == "priority" else {"batch": {"adjustable": False}}
    loop.engine.discovery = Changed(loop.engine.discovery, changed)
    loop.run(24.0)
    assert list(loop.engine.center.ledger) == []
    assert math.isinf(loop.node.limit("/batch").cores)


def test_container_that_is_held_does_not_raise_its_own_limit() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service([(0.0, 25.0), (10.0, 130.0), (40.0, 20.0)], 80.0))
    node.add_container("rt", "/rt", Hogs(4), limit=CpuLimit(120_000))
    middle = {"tier": "realtime", "priority": 50, "floor_cores": 0.1}
    loop = Loop(node, {"web": ONLINE, "rt": middle}, QUOTA_ONLY)
    loop.run(80.0, lambda now: assert_nothing_raised_while_held(loop))
    assert node.writes


def assert_nothing_raised_while_held(loop: Loop) -> None:
    center = loop.engine.center
    claims = center.ledger.on_peer("rt")
    if claims and loop.node.clock_seconds - claims[0].since_seconds > 1.5:
        assert center.cases["rt"].own_cores is None
        assert loop.node.limit("/rt").cores <= 1.2


@pytest.mark.parametrize("rate", [40.0, 50.0])
def test_everything_is_given_back_beside_a_moderate_load(rate: float) -> None:
    loop = two([(0.0, rate), (10.0, 105.0), (50.0, rate)], 200.0).run(200.0)
    assert any(write.at_seconds > 10 for write in loop.node.writes)
    assert math.isinf(loop.node.limit("/batch").cores)


def test_thousandth_relapse_fails_no_tick() -> None:
    loop = two([(0.0, 100.0)], 60.0).run(20.0)
    loop.engine.center.cases["web"].relapses = 5000
    loop.run(60.0)
    assert loop.health.failures == 0


def test_without_a_dead_band_no_tick_fails() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", service([(0.0, 60.0)], 30.0), limit=CpuLimit(30_000))
    node.add_container("other", "/other", Hogs(4))
    config = merge(QUOTA_ONLY, {"executor": {"dead_band_cores": 0}})
    loop = Loop(node, {"web": ONLINE, "other": {**ONLINE, "slo": None}}, config).run(30.0)
    assert loop.health.failures == 0
    assert ("exhausted", "web") in loop.alerts()


def test_one_container_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = two([(0.0, 25.0), (10.0, 100.0), (40.0, 20.0)], 80.0)
    node = loop.node
    node.add_container("odd", "/odd", service([(0.0, 25.0)], 80.0))
    loop.policies["odd"] = ONLINE
    from controller import command_center

    learn = command_center.learn

    def failing(case: Any, round_: Any) -> None:
        if case.id == "odd":
            raise RuntimeError("on purpose")
        learn(case, round_)

    monkeypatch.setattr(command_center, "learn", failing)
    loop.run(80.0)
    assert loop.states("web")[-1] == "normal"
    assert ("stood-down", "odd") in loop.alerts()


def test_nothing_is_judged_by_what_was_seen_while_frozen() -> None:
    loop = two([(0.0, 25.0), (5.0, 100.0)], 80.0)
    loop.health.reasons = ("disk-full: /",)
    loop.run(20.0)
    loop.health.reasons = ()
    loop.run(80.0)
    thawed = [r.at_seconds for r in loop.records("transition", "web") if r.data["from"] == "frozen-node"]
    first = loop.wall_start_seconds + loop.node.writes[0].at_seconds
    assert first - thawed[0] >= 1.0


def test_own_limit_that_cannot_be_raised_is_told() -> None:
    for policy in ({"adjustable": False}, {"ceiling_cores": 0.3}):
        node = SimulatedNode(2)
        node.add_container("web", "/web", service([(0.0, 60.0)], 30.0), limit=CpuLimit(30_000))
        loop = Loop(node, {"web": {**ONLINE, **policy}}, QUOTA_ONLY).run(30.0)
        assert node.writes == []
        assert ("exhausted", "web") in loop.alerts()


def test_own_limit_under_an_ancestors_is_told() -> None:
    node = SimulatedNode(2)
    node.add_group("/pod", limit=CpuLimit(30_000))
    node.add_container("web", "/pod/web", service([(0.0, 60.0)], 30.0), limit=CpuLimit(30_000))
    loop = Loop(node, {"web": ONLINE}, QUOTA_ONLY).run(30.0)
    assert node.writes == []
    assert ("exhausted", "web") in loop.alerts()


def test_reload_keeps_what_unchanged_rules_have_learnt() -> None:
    loop = two([(0.0, 25.0)], 20.0)
    before = list(loop.engine.center.rules._built)
    loop.engine.reconfigure(merge(QUOTA_ONLY, {"control": {"gain": 0.5}}))
    after = loop.engine.center.rules._built
    assert all(one is other for (_, one), (_, other) in zip(before, after, strict=True))
    assert loop.engine.center.cases == {}
    loop.run(5.0)
    loop.engine.reconfigure(merge(QUOTA_ONLY, {"control": {"forgetting": 0.8}}))
    assert loop.engine.center.cases["web"].sensitivity.gains.forgetting == 0.8


def test_claims_of_a_vanished_victim_decay_in_spite_of_relapses() -> None:
    loop = two([(0.0, 100.0)], 60.0).run(20.0)
    loop.engine.center.cases["web"].relapses = 8
    for claim in loop.engine.center.ledger:
        claim.hurt_cores, claim.not_before_seconds = claim.target_cores, 1e6
    loop.node.vanish("/web")
    loop.run(60.0)
    assert math.isinf(loop.node.limit("/batch").cores)


def test_operators_restore_is_not_undone_at_once() -> None:
    loop = two([(0.0, 100.0)], 120.0).run(20.0)
    loop.engine.restore_all("test", 20.0, 20.0)
    loop.run(40.0)
    assert math.isinf(loop.node.limit("/batch").cores)
    assert loop.states("web")[-1] == "pressured"


def test_frozen_container_comes_back_under_another_inode() -> None:
    loop = two([(0.0, 100.0)], 60.0).run(20.0)
    loop.node.vanish("/batch")
    loop.node.add_container("batch", "/batch", Hogs(4))
    loop.run(22.0)
    held = loop.engine.executor.held()
    assert not held or held["batch"] == loop.node.limit("/batch").cores
    assert loop.health.failures == 0
