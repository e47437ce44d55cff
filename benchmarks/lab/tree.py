"""The groups of a scenario on a machine: its containers below one node group, load and agent beside it."""

from __future__ import annotations

from benchmarks.lab.scenario import WEIGHT, Scenario
from controller.demo.playground import HIGH_SHARES, Branch

LOAD, AGENT = "/load", "/agent"
_NODE = "/node"


def branches(scenario: Scenario) -> tuple[Branch, ...]:
    """The tree to make, parents first."""
    slices = [Branch(_NODE + path, weight) for path, weight in scenario.slices.items()]
    parts = [Branch(_NODE + part.group, part.weight, part.cpus) for part in scenario.containers]
    return (
        Branch(LOAD, HIGH_SHARES),
        Branch(AGENT, HIGH_SHARES),
        Branch(_NODE, WEIGHT),
        *slices,
        *parts,
    )


def containers(scenario: Scenario, prefix: str) -> dict[str, str]:
    """The groups of all containers by name, the services first."""
    return {part.name: prefix + _NODE + part.group for part in scenario.containers}
