from __future__ import annotations

from benchmarks.lab.tree import branches, containers
from controller.demo.playground import HIGH_SHARES, Branch
from tests.benchmarks.lab.small_scenario import SMALL


def test_load_and_agent_are_beside_the_experiment_and_weigh_ten_times_as_much() -> None:
    made = {branch.path: branch for branch in branches(SMALL)}
    assert made["/load"].shares == made["/agent"].shares == HIGH_SHARES
    assert made["/node"].shares * 10 == HIGH_SHARES


def test_the_scenarios_tree_is_made_below_the_node_parents_first() -> None:
    *_, node, slice_, web, batch, light = branches(SMALL)
    assert [node.path, slice_, web.path, batch.path, light] == [
        "/node",
        Branch("/node/slice", 512),
        "/node/slice/web",
        "/node/slice/batch",
        Branch("/node/light", 2, (0,)),
    ]


def test_containers_are_found_by_the_scenarios_names() -> None:
    assert containers(SMALL, "/prefix") == {
        "web": "/prefix/node/slice/web",
        "batch": "/prefix/node/slice/batch",
        "light": "/prefix/node/light",
    }
