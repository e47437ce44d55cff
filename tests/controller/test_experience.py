"""What a step's outcome is worth, round by round, on a made-up node."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from controller.cases import Case, Decision, Round, Step, learner_settings_of
from controller.claims import Claim, Ledger
from controller.config import Config, merge
from controller.experience import Experience
from models.container import Container, Slo
from models.control import Gains, Sensitivity
from models.history import History
from models.learner import Learner
from models.observation import Observation

SETTINGS: dict[str, Any] = {
    "learner": {"enabled": True, "cores_cost": 0.1, "write_cost": 0.02, "judged_over": "4s"}
}
CONTAINERS = (
    Container("web", "/web", 1, slo=Slo(0.25), app="shop"),
    Container("batch", "/batch", 2),
)


class Scene:
    """One victim with one claim, a signal of our choice, a round each half second."""

    def __init__(self, **changes: Any) -> None:
        self.settings = merge(merge(Config(), SETTINGS), changes)
        self.learner = Learner(learner_settings_of(self.settings))
        self.case = Case("web", 1, Sensitivity(Gains()))
        self.ledger = Ledger()
        self.claim = Claim("web", "batch", 0.4, 1.4, 0.0)
        self.ledger.put(self.claim)
        self.history = History(60.0, 0.5)
        self.history.keep(("web", "batch"))
        self.experience = Experience()
        self.now = 0.0

    def cut(self, boldness: float = 2.0) -> None:
        self.case.step = Step(self.now, "latency_seconds", 0.175, 1.0, {"batch": 0.5}, boldness)

    def round(self, latency_seconds: float, write: bool = True) -> None:
        # "now" is the mean of the last moments: the signal is to be what it says in each of them.
        self.history.clear()
        self.history.push(self.now, {"latency_seconds": np.array([latency_seconds, np.nan])})
        seen = Observation(
            now_seconds=self.now,
            containers=CONTAINERS,
            history=self.history,
            cpus=2,
            priority=np.zeros(2, np.int64),
            limit_cores=np.full(2, np.inf),
            base_cores=np.full(2, np.inf),
            forecast_cores=np.zeros(2),
            allowed_cpus=(frozenset({0, 1}),) * 2,
        )
        decision = Decision(write=write)
        round_ = Round(seen, self.settings, self.ledger, decision, self.learner)
        self.experience.follow({"web": self.case}, self.learner, round_)
        self.now += 0.5

    def rewards(self) -> list[tuple[str, str, float, float]]:
        return [
            (row["workload"], row["severity"], row["factor"], row["mean_reward"])
            for row in self.learner.table()
        ]


def test_the_reward_is_violation_withheld_cores_and_writes_per_second() -> None:
    scene = Scene()
    scene.cut()
    scene.round(0.5)
    for latency in (0.5, 0.5, 0.3, 0.2, 0.2, 0.2):  # violated for 1.5 s
        scene.round(latency)
    assert scene.rewards() == []
    scene.claim.target_cores = 0.9
    scene.round(0.2)
    scene.round(0.2)
    withheld = 1.0 * 3.0 + 0.5 * 1.0
    expected = -(1.5 + 0.1 * withheld + 0.02 * 1) / 4.0
    assert scene.rewards() == [("shop", "clear", 2.0, pytest.approx(expected))]


def test_a_step_is_judged_once() -> None:
    scene = Scene()
    scene.cut()
    for _ in range(40):
        scene.round(0.2)
    assert [row["samples"] for row in scene.learner.table()] == [1.0]


def test_without_an_slo_the_threshold_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    monkeypatch.setattr(
        "tests.controller.test_experience.CONTAINERS", (Container("web", "/web", 1), CONTAINERS[1])
    )
    scene.claim.target_cores = scene.claim.reference_cores
    scene.cut()
    for _ in range(10):
        scene.round(0.2)  # above the threshold of 0.175
    assert scene.rewards() == [("web", "clear", 2.0, pytest.approx(-1.0))]


@pytest.mark.parametrize("seen", [0, 3])
def test_what_was_hardly_seen_is_not_learnt_from(seen: int) -> None:
    scene = Scene()
    scene.cut()
    for number in range(12):
        scene.round(0.2 if number <= seen else math.nan)
    assert scene.rewards() == []


def test_a_raise_of_its_own_limit_is_no_cut() -> None:
    scene = Scene()
    scene.case.step = Step(0.0, "cpu_throttled_ratio", 0.25, 1.0, {})
    for _ in range(12):
        scene.round(0.2)
    assert scene.rewards() == []


def test_a_frozen_node_a_dry_run_and_a_dropped_step_teach_nothing() -> None:
    scene = Scene()
    scene.cut()
    for number in range(12):
        scene.round(0.2, write=number != 3)
    assert scene.rewards() == []
    for changes in ({"dry_run": True}, {"learner": {"enabled": False}}):
        scene = Scene(**changes)
        scene.cut()
        for _ in range(12):
            scene.round(0.2)
        assert scene.rewards() == []
    scene = Scene()
    scene.cut()
    scene.round(0.2)
    scene.experience.drop()
    for _ in range(12):
        scene.round(0.2)
    assert scene.rewards() == []
