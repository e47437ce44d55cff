"""Runs made by hand, whose figures are known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.lab.run import Group, Requests, Run
from benchmarks.lab.scenario import Scenario

SLO = 0.25
GOOD, BAD = 0.05, 1.0
POLL = 0.05


def make_scenario(**changes: Any) -> Scenario:
    """60 s, warm-up 5 s, surge from 10 to 40, release at 40; one peer."""
    usual: dict[str, Any] = {
        "name": "s1-test",
        "title": "a test",
        "why": "figures are to be right",
        "seconds": 60.0,
        "surge_seconds": (10.0, 40.0),
        "release_seconds": 40.0,
        "online": [{"load": [[0, 0.5]]}],
        "peers": [{}],
    }
    return Scenario.model_validate(usual | changes)


def polls(scenario: Scenario) -> np.ndarray:
    """From 3 s before the load on."""
    return np.arange(-3.0, scenario.seconds + 1, POLL)


def make_group(at: np.ndarray, *, cores: Any = 0.0, work: Any = 0.0, **levers: Any) -> Group:
    """`cores` and `work` are rates, `levers` (limit, weight, idle) values; numbers or functions of time."""

    def column(value: Any) -> np.ndarray:
        known = [value(t) for t in at] if callable(value) else [value] * at.size
        return np.array(known, dtype=float)

    def total(rate: Any) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(column(rate)[:-1] * np.diff(at))])

    return Group(
        usage_seconds=total(cores),
        limit_cores=column(levers.get("limit", np.inf)),
        throttled_seconds=np.zeros(at.size),
        wait_seconds=np.zeros(at.size),
        weight=column(levers.get("weight", 1024)),
        idle=column(levers.get("idle", 0)),
        work_units=total(work),
    )


def make_run(
    scenario: Scenario,
    *,
    controller: str = "none",
    seed: int = 1,
    bad: tuple[tuple[float, float], ...] = (),
    groups: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> Run:
    """A request every 10 ms that takes 50 ms, or 1 s if it is due in a `bad` stretch."""
    at = polls(scenario)
    intended = np.arange(0.0, scenario.seconds, 0.01)
    latency = np.full(intended.size, GOOD)
    for start, end in bad:
        latency[(intended >= start) & (intended < end)] = BAD
    found = {name: make_group(at, **how) for name, how in (groups or {"web": {}, "batch": {}}).items()}
    usual: dict[str, Any] = {
        "scenario": scenario.name,
        "controller": controller,
        "seed": seed,
        "backend": "simulated",
        "cpus": 2,
        "slo_seconds": SLO,
        "at_seconds": at,
        "busy_seconds": sum(group.usage_seconds for group in found.values()),
        "stolen_seconds": np.zeros(at.size),
        "groups": found,
        "restored": True,
    }
    requests = Requests(intended, latency, np.zeros(intended.size))
    return Run(**{"requests": requests, **usual, **changes})
