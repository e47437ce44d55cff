"""What must hold in every round, whatever is seen: random nodes, random signals, random faults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.command_center import CommandCenter
from controller.config import Config, merge
from controller.rules import RuleBook
from controller.states import State
from models.container import Container, Slo
from models.history import History
from models.observation import Observation
from models.rates import NODE

TICK = 0.25
CPUS = 4
CONFIG = merge(Config(), {"freeze": {"thaw": "2s"}, "recovery": {"idle_for": "2s"}})
CONTAINERS = (
    Container("a", "/a", 1, "online", 100, slo=Slo(0.2)),
    Container("b", "/b", 2, "online", 100, slo=Slo(0.2)),
    Container("r", "/r", 3, "realtime", 50, floor_cores=0.3),
    Container("x", "/x", 4, "offline", 0, floor_cores=0.2),
    Container("y", "/y", 5, "offline", 0, floor_cores=0.1),
)

phase = st.fixed_dictionaries(
    {
        "ticks": st.integers(2, 16),
        "latency": st.lists(st.sampled_from([0.02, 0.15, 0.3, 2.0, math.nan]), min_size=2, max_size=2),
        "wait": st.sampled_from([0.0, 0.5, 1.0, math.nan]),
        "throttled": st.sampled_from([0.0, 0.0, 0.9]),
        "peer_use": st.lists(st.sampled_from([0.0, 0.15, 0.8, 2.0]), min_size=3, max_size=3),
        "abnormal": st.sampled_from([False, False, False, True]),
        "missing": st.sampled_from([(), (), ("x",), ("a",), ("y", "b")]),
    }
)


class Driver:
    """Feeds the command center what a node might show, with limits that follow its decisions."""

    def __init__(self) -> None:
        self.center = CommandCenter(CONFIG, RuleBook.of(CONFIG))
        self.history = History(CONFIG.forecast.slow_window, TICK)
        self.limits: dict[str, float] = {}
        self.now = 0.0

    def tick(self, shown: dict[str, Any]) -> tuple[Any, Observation]:
        self.now += TICK
        here = tuple(c for c in CONTAINERS if c.id not in shown["missing"])
        names = [c.id for c in here]
        self.history.keep((*names, NODE))
        wanted = dict(zip(("r", "x", "y"), shown["peer_use"], strict=True))
        limit = np.array([self.limits.get(name, math.inf) for name in names])
        use = np.minimum(np.array([wanted.get(name, 0.7) for name in names]), limit)
        latency = dict(zip(("a", "b"), shown["latency"], strict=True))

        def column(values: list[float], node: float = math.nan) -> Any:
            return np.array([*values, node])

        self.history.push(
            self.now,
            {
                "cpu_usage_cores": column(list(use)),
                "cpu_demand_cores": column(list(use)),
                "latency_seconds": column([latency.get(name, math.nan) for name in names]),
                "cpu_wait_ratio": column([shown["wait"]] * len(names)),
                "cpu_throttled_ratio": column([shown["throttled"] * (name == "b") for name in names]),
                "node_cpu_ratio": column([math.nan] * len(names), min(1.0, use.sum() / CPUS)),
            },
        )
        seen = Observation(
            now_seconds=self.now,
            containers=here,
            history=self.history,
            cpus=CPUS,
            priority=np.array([c.priority for c in here]),
            limit_cores=limit,
            base_cores=np.full(len(here), math.inf),
            forecast_cores=np.append(use, math.nan),
            allowed_cpus=tuple(frozenset(range(CPUS)) for _ in here),
            abnormal=("disk-full: /",) if shown["abnormal"] else (),
        )
        decision = self.center.decide(seen)
        if decision.write:
            self.limits = {name: target.cores for name, target in decision.targets.items()}
        if decision.clear_history:
            self.history.clear()
        return decision, seen


def claims(center: CommandCenter) -> dict[tuple[str, str], float]:
    return {(claim.victim, claim.peer): claim.target_cores for claim in center.ledger}


@settings(max_examples=150, deadline=None)
@given(st.lists(phase, min_size=1, max_size=8))
def test_every_round_keeps_the_laws(phases: list[dict[str, Any]]) -> None:
    driver = Driver()
    priority = {c.id: c.priority for c in CONTAINERS}
    floor = {c.id: c.floor_cores for c in CONTAINERS}
    for shown in phases:
        for _ in range(shown["ticks"]):
            before = claims(driver.center)
            decision, seen = driver.tick(shown)
            after = claims(driver.center)
            here = {c.id for c in seen.containers}

            for (victim, peer), cores in after.items():
                assert priority[victim] > priority[peer], "only a more important one may claim"
                assert peer in here, "a claim goes with its peer"
                assert cores >= floor[peer] - 1e-9, "never below the floor"
            for name, target in decision.targets.items():
                on_peer = [cores for (_, peer), cores in after.items() if peer == name]
                if target.victim == name:
                    assert not on_peer, "who is claimed is not raised"
                else:
                    assert target.cores == max(min(on_peer), floor[name]), "the lowest claim counts"

            moved = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            if shown["abnormal"]:
                assert not decision.write
                gone = {key for key in moved if key[1] not in here}
                assert moved == gone, "a frozen node is left as it is"
            for victim, peer in moved:
                key = (victim, peer)
                if {victim, peer} <= here and after.get(key, math.inf) > before.get(key, math.inf):
                    case = driver.center.cases[victim]
                    let_go = key not in after and case.acquitted.get(peer, 0.0) > driver.now
                    moved_on = key not in after and case.probe and peer not in case.probe.suspects
                    assert case.state is not State.THROTTLING_PEER or let_go or moved_on, (
                        "who is hurt gives nothing back, but to a suspect that is acquitted"
                    )

            for name, case in driver.center.cases.items():
                owns = [key for key in after if key[0] == name]
                if case.state is State.NORMAL:
                    assert not owns
                    assert case.own_cores is None
                if case.state is State.THROTTLING_PEER:
                    assert owns
                frozen = case.state is State.FROZEN_NODE
                assert frozen or not shown["abnormal"]
                assert not frozen or driver.center.gate.frozen


@settings(max_examples=60, deadline=None)
@given(st.lists(phase, min_size=1, max_size=6))
def test_when_all_is_well_again_nothing_is_held(phases: list[dict[str, Any]]) -> None:
    driver = Driver()
    for shown in phases:
        for _ in range(shown["ticks"]):
            driver.tick(shown)
    well = {
        "latency": [0.02, 0.02],
        "wait": 0.0,
        "throttled": 0.0,
        "peer_use": [0.0, 0.0, 0.0],
        "abnormal": False,
        "missing": (),
    }
    for _ in range(round(60 / TICK)):
        decision, _ = driver.tick(well)
    assert decision.targets == {}
    assert claims(driver.center) == {}
    assert {case.state for case in driver.center.cases.values()} == {State.NORMAL}


@settings(max_examples=60, deadline=None)
@given(st.lists(phase, min_size=1, max_size=6))
def test_the_same_is_decided_from_the_same(phases: list[dict[str, Any]]) -> None:
    one, other = Driver(), Driver()
    for shown in phases:
        for _ in range(shown["ticks"]):
            assert one.tick(shown)[0] == other.tick(shown)[0]
