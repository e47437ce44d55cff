"""The executor behind the real engine, on the simulated node."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from backends.simulator import Hogs, OnlineService, SimulatedDiscovery, SimulatedNode, poisson_arrivals
from controller.config import merge
from controller.engine import Engine
from controller.journal import Journal
from controller.restore import restore_journal
from controller.simulation import Loop
from models.container import Container
from tests.controller.policies import OFFLINE, ONLINE, QUOTA_ONLY


@pytest.fixture
def held() -> Loop:
    """A batch container that is held in the middle of a surge."""
    node = SimulatedNode(2)
    arrivals = poisson_arrivals([(0.0, 25.0), (10.0, 100.0)], 60.0, seed=3)
    node.add_container("web", "/web", OnlineService(arrivals, 0.013, threads=8))
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY).run(20.0)
    assert node.limit("/batch").cores < 1.5
    return loop


def test_switching_to_a_dry_run_gives_everything_back_at_the_next_tick(held: Loop) -> None:
    held.engine.reconfigure(merge(QUOTA_ONLY, {"dry_run": True}))
    held.run(20.25)
    assert math.isinf(held.node.limit("/batch").cores)
    written = len(held.node.writes)
    held.run(30.0)
    assert len(held.node.writes) == written


def test_on_a_frozen_node_a_dry_run_gives_back_only_after_the_thaw(held: Loop) -> None:
    before = held.node.limit("/batch")
    held.health.reasons = ("disk",)
    held.run(21.0)
    held.engine.reconfigure(merge(QUOTA_ONLY, {"dry_run": True, "freeze": {"thaw": "2s"}}))
    held.run(25.0)
    assert held.node.limit("/batch") == before
    held.health.reasons = ()
    held.run(30.0)
    assert math.isinf(held.node.limit("/batch").cores)


def test_an_engine_that_dies_leaves_what_the_next_gives_back(tmp_path: Path) -> None:
    node = SimulatedNode(2)
    arrivals = poisson_arrivals([(0.0, 25.0), (5.0, 100.0)], 60.0, seed=3)
    node.add_container("web", "/web", OnlineService(arrivals, 0.013, threads=8))
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE}, QUOTA_ONLY)
    policies = loop.policies
    discovery = SimulatedDiscovery(
        node, lambda name, group, inode: Container(name, group, inode, **policies.get(name, {}))
    )
    journal = Journal(tmp_path, "boot")
    loop.engine = Engine(QUOTA_ONLY, node, discovery, loop.latencies, loop.health, loop.feed, journal)
    loop.run(15.0)
    assert node.limit("/batch").cores < 1.5
    journal.close()
    journal = Journal(tmp_path, "boot")
    assert restore_journal(node, journal) == (["/batch"], [])
    assert math.isinf(node.limit("/batch").cores)
    assert journal.holds() == []
    journal.close()
