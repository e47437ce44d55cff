"""The simulator's traits measured on runs, and runs set beside each other."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lab.comparison import NEAR_SECONDS, Sides, compare, page, unit_cost_seconds, victims_share
from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Online, Peer, Scenario
from benchmarks.lab.simulated import SimulatedStage
from benchmarks.lab.traits import Pair, Traits, keep_traits, kept_traits, measure

SCENARIO = Scenario(
    name="s1-trial",
    title="a surge",
    why="a test",
    seconds=9.0,
    warm_up_seconds=1.0,
    surge_seconds=(2.0, 8.0),
    online=(Online(load=((0.0, 0.2), (2.0, 0.62))),),
    peers=(Peer(),),
)
TRUE = Traits(service_ms=0.6, generator_ms=0.4, stacked_ratio=0.7, sleeper_bonus_ratio=0.3)


def simulate(pair: Pair, traits: Traits) -> Run:
    stage = SimulatedStage(traits=traits)
    return stage.run(SCENARIO, pair[0].controller, pair[0].seed, slo_seconds=0.2)


def run(controller: str, traits: Traits = TRUE) -> Run:
    return SimulatedStage(traits=traits).run(SCENARIO, controller, 1, slo_seconds=0.2)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {name: run(name) for name in ("alone", "none", "idle")}


def test_traits_are_found_again_from_the_runs_they_made(runs: dict[str, Run]) -> None:
    found = measure([(each, SCENARIO) for each in runs.values()], simulate)
    assert found.service_ms == pytest.approx(TRUE.service_ms, abs=0.1)  # some work is of requests sent before
    assert found.generator_ms == pytest.approx(TRUE.generator_ms, abs=0.05)
    assert found.sleeper_bonus_ratio == pytest.approx(TRUE.sleeper_bonus_ratio, abs=0.05)
    assert found.stacked_ratio == pytest.approx(TRUE.stacked_ratio, abs=0.1)


def test_what_is_needed_to_measure_traits_is_named(runs: dict[str, Run]) -> None:
    with pytest.raises(ValueError, match="no runs of none, idle or shares"):
        measure([(runs["alone"], SCENARIO)], simulate)


def test_traits_are_kept_with_where_they_come_from(tmp_path: Path) -> None:
    keep_traits(TRUE, {"machine": "this"}, tmp_path / "traits.json")
    assert kept_traits(tmp_path / "traits.json") == TRUE
    shipped = kept_traits()
    assert all(0.0 < value < 2.0 for value in dataclasses.astuple(shipped))


@pytest.mark.parametrize(
    ("real", "simulated", "error", "near"),
    [
        (1.0, 1.2, 0.2, True),
        (1.0, 1.6, 0.6, False),
        (1.0, 0.7, -0.3, True),  # within half a second
        (math.inf, math.inf, 0.0, True),
        (math.inf, 1.0, math.inf, False),
        (0.0, 3.0, math.inf, False),
        (0.0, 0.0, 0.0, True),
    ],
)
def test_near(real: float, simulated: float, error: float, near: bool) -> None:
    sides = Sides(real, simulated)
    assert sides.error_ratio == pytest.approx(error)
    assert sides.is_near(NEAR_SECONDS) == near


def test_a_run_is_like_itself_and_other_traits_show(runs: dict[str, Run]) -> None:
    none = runs["none"]
    same = compare((none, SCENARIO), none, (none, none), 1.0)
    assert same.recover is not None
    assert [s.error_ratio for s in (same.p95, same.recover, same.work)] == [0.0, 0.0, 0.0]
    other = compare((none, SCENARIO), run("none", Traits()), (none, none), 1.0)
    assert other.p95.error_ratio > 0.2  # without its bonus the service gets less
    assert other.work.error_ratio > 0.05
    text = page([same, other], TRUE, [0.5, 0.6], "here")
    assert "| s1-trial | none | 2 |" in text
    assert "50% to 60% here (2 runs" in text


def test_units_of_another_size_cost_what_they_cost(runs: dict[str, Run]) -> None:
    none = runs["none"]
    batch = none.groups["batch"]
    coarse = dataclasses.replace(batch, work_units=batch.work_units / 50)
    real = dataclasses.replace(none, groups={**none.groups, "batch": coarse})
    assert unit_cost_seconds([(real, SCENARIO)]) == pytest.approx(50.0)
    assert compare((real, SCENARIO), none, None, 50.0).work.error_ratio == pytest.approx(0.0)


def test_the_victims_share(runs: dict[str, Run]) -> None:
    share = victims_share((runs["none"], SCENARIO))
    assert share == pytest.approx(1.3 / 2.3, abs=0.02)
    assert np.isclose(victims_share((runs["alone"], SCENARIO)), 1.0)
