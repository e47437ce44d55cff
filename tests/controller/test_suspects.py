"""Who is cut when several could be: on the simulated node, closed loop, where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller import view
from controller.config import Config, merge
from controller.simulation import Loop
from models.container import Slo
from tests.controller.policies import OFFLINE, ONLINE

INNOCENT = ("i1", "i2", "i3")
Interval = tuple[float, float]


def bursts(rng: np.random.Generator, start: float, end: float) -> list[Interval]:
    """About a second apart, a fifth to a third of the time."""
    intervals, at = [], start
    while at < end:
        intervals.append((at, at + rng.uniform(0.2, 0.35)))
        at += rng.uniform(0.8, 1.2)
    return intervals


def node_with(
    rates: list[Interval],
    peers: dict[str, tuple[Hogs, float]],
    seed: int,
    slo: float = 0.25,
    rung0: str = "off",
    **settings: object,
) -> Loop:
    """An online service beside peers (workload, weight) on two CPUs, the peers found in a random order."""
    node = SimulatedNode(2)
    arrivals = poisson_arrivals(rates, 90.0, seed=seed)
    node.add_container("web", "/web", OnlineService(arrivals, 0.012, threads=8))
    for name in np.random.default_rng(seed).permutation(list(peers)).tolist():
        hogs, weight = peers[name]
        node.add_container(name, f"/{name}", hogs, weight=weight)
    config = merge(Config(), {"rung0": {"actuator": rung0}, "interference": settings})
    policies = {"web": {**ONLINE, "slo": Slo(slo)}, **dict.fromkeys(peers, OFFLINE)}
    return Loop(node, policies, config)


def one_guilty(seed: int, rung0: str = "off") -> Loop:
    """Three light peers that only use what is left over, and a heavy one in bursts, which uses less."""
    rng = np.random.default_rng(seed)
    peers = {name: (Hogs(1), 2.0) for name in INNOCENT}
    peers["guilty"] = (Hogs(4, bursts(rng, 10.0, 60.0)), 10240.0)
    return node_with([(0.0, 50.0)], peers, seed, slo=0.12, rung0=rung0)


def until_a_probe(loop: Loop) -> Loop:
    """Run on to the first round of a probe, or to the end."""
    while loop.node.clock_seconds < 60.0:
        loop.run(loop.node.clock_seconds + 0.25)
        if loop.engine.center.cases["web"].probe is not None:
            return loop
    raise AssertionError("there was no probe")


def cut(loop: Loop) -> list[str]:
    """The groups written, in order."""
    return [write.group.removeprefix("/") for write in loop.node.writes]


@pytest.mark.parametrize("rung0", ["off", "idle"])
def test_guilty_one_is_held_first_and_no_innocent_at_all(rung0: str) -> None:
    first = []
    for seed in range(10):
        loop = one_guilty(seed, rung0)
        held: list[str] = []
        loop.run(45.0, lambda now: held.extend(claim.peer for claim in loop.engine.center.ledger))  # noqa: B023
        assert not set(held) & set(INNOCENT)
        first += held[:1]
    assert first.count("guilty") >= 9


def test_transition_tells_the_suspects_and_the_view_too() -> None:
    loop = until_a_probe(one_guilty(0))
    records = [r.data for r in loop.records("transition", "web") if r.data["to"] == "throttling-peer"]
    suspects = records[-1]["inputs"]["suspects"]
    assert set(suspects) == {"guilty", *INNOCENT}
    assert max(suspects, key=lambda name: suspects[name]["score"]) == "guilty"
    assert suspects["guilty"].keys() == {"score", "share", "shift", "coincidence", "correlation", "explained"}
    web = view.container(loop.engine, "web")
    assert web["suspects"][0]["peer"] == "guilty"
    held = [(claim["peer"], claim["probe"], claim["guilty"]) for claim in web["claims"]]
    assert held == [("guilty", True, False)]


@pytest.mark.parametrize("seed", [1, 2])
def test_two_that_are_guilty_together_are_cut_together_when_it_hurts_badly(seed: int) -> None:
    peers = {name: (Hogs(4, [(20.0, 50.0)]), 1024.0) for name in ("one", "two")}
    peers["light"] = (Hogs(1), 2.0)
    loop = node_with([(0.0, 85.0)], peers, seed).run(89.0)
    assert set(cut(loop)[:2]) == {"one", "two"}
    assert "light" not in cut(loop)
    assert loop.node.writes[0].at_seconds < 23.0
    assert math.isinf(loop.node.limit("/one").cores)
    assert math.isinf(loop.node.limit("/two").cores)


def test_suspect_whose_cut_changes_nothing_is_acquitted_and_the_next_is_tested() -> None:
    """The waiting has a cause that nobody may touch: one suspect after the other is let go."""
    node = SimulatedNode(2)
    arrivals = poisson_arrivals([(0.0, 30.0), (10.0, 90.0)], 90.0, seed=3)
    node.add_container("web", "/web", OnlineService(arrivals, 0.012, threads=8))
    node.add_container("boss", "/boss", Hogs(4), weight=100_000)
    for name in ("a", "b"):
        node.add_container(name, f"/{name}", Hogs(1), weight=64)
    untouchable = {"tier": "online", "priority": 100}
    loop = Loop(node, {"web": ONLINE, "boss": untouchable, "a": OFFLINE, "b": OFFLINE})
    held: list[tuple[float, set[str]]] = []
    loop.run(60.0, lambda now: held.append((now, set(loop.engine.executor.held()))))
    for name in ("a", "b"):
        spans = [now for now, names in held if name in names]
        assert len(spans) * 0.25 < 14.0, "a probe is short"
        assert math.isinf(node.limit(f"/{name}").cores)
    assert ("not-local", "web") in loop.alerts()


def test_single_peer_needs_no_probe() -> None:
    loop = node_with([(0.0, 100.0)], {"batch": (Hogs(4), 1024.0)}, seed=3)
    loop.run(30.0, lambda now: none_is_tested(loop))
    assert cut(loop)


def test_switched_off_all_are_cut_alike() -> None:
    peers = {name: (Hogs(1), 1024.0) for name in ("a", "b", "c")}
    loop = node_with([(0.0, 25.0), (10.0, 110.0)], peers, seed=3, enabled=False)
    loop.run(30.0, lambda now: none_is_tested(loop))
    assert set(cut(loop)[:3]) == {"a", "b", "c"}


def none_is_tested(loop: Loop) -> None:
    assert all(case.probe is None for case in loop.engine.center.cases.values())


def test_frozen_node_ends_a_probe_without_a_verdict() -> None:
    loop = until_a_probe(one_guilty(0))
    loop.health.reasons = ("disk-full: /",)
    loop.run(loop.node.clock_seconds + 10.0)
    loop.health.reasons = ()
    loop.run(loop.node.clock_seconds + 35.0)
    assert loop.engine.center.cases["web"].acquitted == {}
