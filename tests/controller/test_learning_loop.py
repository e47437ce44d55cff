"""The learner in the closed loop, and what the parts of the engine are switched off with."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller.config import Config, ConfigError, merge
from controller.simulation import Loop
from tests.controller.policies import OFFLINE, ONLINE

QUOTA: dict[str, Any] = {"rung0": {"actuator": "off"}}  # where a weight answers, no step is made
LEARNING: dict[str, Any] = {"learner": {"enabled": True}}


def surges(changes: dict[str, Any], until: float = 70.0, seed: int = 3) -> Loop:
    """A surge of 30 s each minute, beside busy loops, on two CPUs."""
    rates = [
        (at, rate)
        for n in range(20)
        for at, rate in ((60.0 * n, 25.0), (60.0 * n + 10, 100.0), (60.0 * n + 40, 25.0))
    ]
    node = SimulatedNode(2)
    node.add_container(
        "web", "/web", OnlineService(poisson_arrivals(rates, max(until, 60.0), seed=seed), 0.013, threads=8)
    )
    node.add_container("batch", "/batch", Hogs(4))
    loop = Loop(
        node, {"web": ONLINE | {"image": "sha256:1"}, "batch": OFFLINE}, merge(Config(), QUOTA | changes)
    )
    return loop.run(until)


def writes(loop: Loop) -> list[tuple[float, float]]:
    return [(write.at_seconds, write.limit.cores) for write in loop.node.writes]


def test_unlearnt_it_does_what_fixed_gains_do() -> None:
    assert writes(surges(LEARNING, 20.0)) == writes(surges({"learner": {"enabled": False}}, 20.0))


def test_it_learns_of_the_release_and_stays_within_its_bounds() -> None:
    bounds = {"factor_min": 0.5, "factor_max": 1.5, "exploration": 4.0}
    loop = surges({"learner": {"enabled": True, **bounds}}, 170.0)
    table = loop.engine.center.learner.table()
    assert {row["workload"] for row in table} == {"sha256:1"}
    tried = {row["factor"] for row in table}
    assert tried <= {0.5, 1.0, 1.5}
    assert len(tried) > 1, "others than 1 are tried too"
    assert all(-2.0 <= row["mean_reward"] <= 0.0 for row in table)
    limits = [cores for _, cores in writes(loop)]
    parts = [1 - after / before for before, after in pairwise(limits) if after < before < 2]
    assert max(parts) <= Config().control.step_max_ratio * 1.5 + 0.01


def test_it_does_the_same_again() -> None:
    assert writes(surges(LEARNING, 45.0)) == writes(surges(LEARNING, 45.0))


def test_off_it_learns_nothing_and_a_dry_run_has_nothing_to_learn_from() -> None:
    assert surges({"learner": {"enabled": False}}, 25.0).engine.center.learner.table() == []
    assert surges(LEARNING | {"dry_run": True}, 25.0).engine.center.learner.table() == []


def test_what_a_restore_by_hand_or_a_freeze_cuts_short_is_not_learnt() -> None:
    loop = surges(LEARNING, 13.0)
    assert loop.node.writes, "a step is open"
    loop.engine.restore_all("by hand", 13.0, 13.0)
    loop.run(21.0)
    assert loop.engine.center.learner.table() == []
    loop = surges(LEARNING, 13.0)
    loop.health.reasons = ("disk-readonly: /",)
    loop.run(21.0)
    assert loop.engine.center.learner.table() == []


def test_learner_that_is_judged_before_a_step_settles_is_refused() -> None:
    with pytest.raises(ConfigError, match="judged_over"):
        merge(Config(), {"learner": {"judged_over": "500ms"}})


@pytest.mark.parametrize("model", ["prior", "proportional"])
def test_without_the_estimate_or_the_model_the_surge_is_answered_too(model: str) -> None:
    loop = surges({"control": {"model": model}})
    methods = {
        record.data["reason"].rpartition("(")[2]
        for record in loop.records("transition", "web")
        if "first cut" in record.data["reason"]
    }
    assert methods == {"model)" if model == "prior" else "proportional)"}
    assert loop.p95("web", 20.0, 40.0) < 0.25
    assert np.isinf(loop.node.limit("/batch").cores)


def test_without_the_forecast_the_last_second_stands_for_the_next() -> None:
    loop = surges({"forecast": {"enabled": False}}, 25.0)
    seen = loop.engine.seen
    assert seen is not None
    last = seen.history.window("cpu_demand_cores", 1.0)[:, :2].mean(axis=0)
    assert seen.forecast_cores[:2] == pytest.approx(last)
    loop = surges({}, 25.0)
    assert loop.engine.seen is not None
    assert loop.engine.seen.forecast_cores[0] > last[0]


def test_dwell_times_may_be_nothing() -> None:
    loop = surges({"states": {"throttling_peer_dwell": "0s", "recovering_dwell": "0s"}})
    assert loop.states("web")[-1] == "normal"
    assert np.isinf(loop.node.limit("/batch").cores)
