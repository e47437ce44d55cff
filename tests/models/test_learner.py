"""The learner: whatever it is told it stays within its bounds, and it finds what pays."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learner import MOST_WORKLOADS, SEVERITIES, Learner, LearnerSettings, severity

SETTINGS = LearnerSettings()
anything = st.floats(allow_nan=True, allow_infinity=True)
names = st.sampled_from(["web", "shop", ""])


def play(learner: Learner, better: float, steps: int, seed: int = 1, error: float = 1.0) -> list[float]:
    """A workload for which one factor pays 0.3 a second more than the others, with noise as large."""
    chance = random.Random(seed)
    chosen = []
    for _ in range(steps):
        factor = learner.choose("web", error)
        chosen.append(factor)
        learner.reward("web", error, factor, chance.gauss(-0.3 if factor == better else -0.6, 0.3))
    return chosen


def test_unlearnt_it_changes_nothing() -> None:
    assert {Learner(SETTINGS).choose("web", e) for e in (-1.0, 0.1, 1.0, 4.9, math.inf)} == {1.0}


@pytest.mark.parametrize("better", SETTINGS.factors)
@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_better_factor_within_some_dozens_of_steps(better: float, seed: int) -> None:
    chosen = play(Learner(SETTINGS), better, 100, seed)
    assert chosen[-40:].count(better) >= 30


def test_it_adapts_when_another_factor_becomes_better() -> None:
    learner = Learner(SETTINGS)
    play(learner, 2.0, 100)
    assert play(learner, 0.5, 150)[-40:].count(0.5) >= 30
    slow = Learner(LearnerSettings(forgetting=1.0))
    play(slow, 2.0, 1000)
    play(learner, 2.0, 900)
    assert play(learner, 0.5, 100).count(0.5) > play(slow, 0.5, 100).count(0.5)


def test_severities_and_workloads_are_learnt_apart() -> None:
    learner = Learner(SETTINGS)
    play(learner, 2.0, 100, error=1.0)
    assert learner.choose("web", 1.0) == 2.0
    assert learner.choose("web", 3.0) == 1.0
    assert learner.choose("other", 1.0) == 1.0
    assert {row["severity"] for row in learner.table()} == {"clear"}


def test_without_exploration_it_leaves_everything_as_it_is() -> None:
    assert set(play(Learner(LearnerSettings(exploration=0.0)), 2.0, 50)) == {1.0}


def test_the_same_rewards_give_the_same_factors() -> None:
    assert play(Learner(SETTINGS), 2.0, 200) == play(Learner(SETTINGS), 2.0, 200)


@given(
    st.lists(st.tuples(names, anything, st.sampled_from([*SETTINGS.factors, 3.0, math.nan]), anything)),
    anything,
)
def test_no_reward_moves_it_out_of_its_bounds(
    told: list[tuple[str, float, float, float]], error: float
) -> None:
    learner = Learner(SETTINGS)
    for workload, at, factor, reward in told:
        learner.reward(workload, at, factor, reward)
    assert learner.choose("web", error) in SETTINGS.factors
    again = Learner.from_dict(json.loads(json.dumps(learner.to_dict())), SETTINGS)
    assert again.to_dict() == learner.to_dict()
    assert again.choose("web", error) == learner.choose("web", error)


json_values = st.recursive(
    st.none() | st.booleans() | anything | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
tables = st.lists(st.lists(anything, min_size=3, max_size=3), min_size=3, max_size=3) | json_values


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "version": st.just(1) | json_values,
            "cpu_model": st.just("") | json_values,
            "factors": st.just(list(SETTINGS.factors)) | json_values,
            "workloads": st.dictionaries(
                names, st.fixed_dictionaries({"counts": tables, "sums": tables}) | json_values
            )
            | json_values,
        },
    )
    | json_values,
    anything,
)
def test_no_state_moves_it_out_of_its_bounds(state: Any, error: float) -> None:
    try:
        learner = Learner.from_dict(state, SETTINGS)
    except ValueError as refused:
        assert str(refused)
        return
    for workload in ("web", "shop", "", "unknown"):
        assert learner.choose(workload, error) in SETTINGS.factors
    learner.reward("web", 1.0, 1.0, -0.5)
    assert learner.choose("web", 1.0) in SETTINGS.factors


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "version 1"),
        ({"cpu_model": "B"}, r"another CPU \(B\)"),
        ({"factors": [0.1, 1.0, 9.0]}, "other bounds"),
        ({"workloads": None}, "no table"),
        ({"workloads": {"web": {"counts": [[-1.0] * 3] * 3, "sums": [[0.0] * 3] * 3}}}, "contradict"),
        ({"workloads": {"web": {"counts": [[0.0] * 3] * 3, "sums": [[9.0] * 3] * 3}}}, "contradict"),
        ({"workloads": {"web": {"counts": [[1e999] * 3] * 3, "sums": [[0.0] * 3] * 3}}}, "not as it was"),
        ({"workloads": {"web": {"counts": [[1.0] * 2] * 3, "sums": [[0.0] * 3] * 3}}}, "not as it was"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_says_why(change: dict[str, Any], why: str) -> None:
    learner = Learner(SETTINGS, "A")
    play(learner, 2.0, 10)
    with pytest.raises(ValueError, match=why):
        Learner.from_dict(learner.to_dict() | change, SETTINGS, "A")


def test_reset_forgets_everything_and_says_what() -> None:
    learner = Learner(SETTINGS)
    play(learner, 2.0, 100)
    before = learner.changes
    assert learner.reset() == ["web"]
    assert learner.changes > before
    assert learner.choose("web", 1.0) == 1.0
    assert learner.table() == []


def test_other_bounds_forget_what_was_learnt_of_the_old_ones() -> None:
    learner = Learner(SETTINGS)
    play(learner, 2.0, 100)
    learner.reconfigure(LearnerSettings(exploration=0.1))
    assert learner.choose("web", 1.0) == 2.0
    learner.reconfigure(LearnerSettings(factor_max=1.5))
    assert learner.choose("web", 1.0) == 1.0


def test_with_no_room_between_the_bounds_there_is_one_factor() -> None:
    learner = Learner(LearnerSettings(factor_min=1.0, factor_max=1.0))
    assert set(play(learner, 1.0, 20)) == {1.0}


def test_it_keeps_the_workloads_that_it_last_learnt_of() -> None:
    learner = Learner(SETTINGS)
    for number in range(MOST_WORKLOADS):
        learner.reward(str(number), 1.0, 1.0, -0.5)
    learner.reward("0", 1.0, 1.0, -0.5)
    learner.reward("new", 1.0, 1.0, -0.5)
    kept = [row["workload"] for row in learner.table()]
    assert len(kept) == MOST_WORKLOADS
    assert {"0", "new"} <= set(kept)
    assert "1" not in kept


def test_severities_are_ordered() -> None:
    assert [SEVERITIES[severity(e)] for e in (0.01, 0.49, 0.5, 1.4, 1.6, 5.0)] == [
        "slight", "slight", "clear", "clear", "severe", "severe",
    ]  # fmt: skip
