"""Campaigns on a stage that takes no time: what is run, in which order, how often, what is left on disk."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.lab import cli, terminal
from benchmarks.lab.campaign import MOST_REPEATS, Campaign, Outcome
from benchmarks.lab.plan import PLANS, Cells, Plan, load_plan
from benchmarks.lab.run import Caps, Run, RunFailed
from benchmarks.lab.scenario import Scenario, scenario_names
from benchmarks.lab.store import Store
from benchmarks.lab.terminal import Lines
from tests.benchmarks.lab.fake_runs import SLO, make_run, make_scenario

SCENARIOS = {name: make_scenario(name=name) for name in ("s1-a", "s2-b")}
PLAN = Plan(seeds=(1, 2, 3), cells=(Cells(scenarios=("*",), controllers=("none", "quotapilot", "oracle")),))


class FakeStage:
    """Calls `each` with the number of the call; what it raises, the run fails of."""

    backend = "simulated"
    cpus = 2

    def __init__(self, each: Callable[[int, Run], Run] = lambda number, run: run) -> None:
        self._each = each
        self.calls: list[tuple[str, str, int]] = []
        self.caps: list[Caps | None] = []
        self.slos: set[float] = set()

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        self.calls.append((scenario.name, controller, seed))
        self.caps.append(caps)
        self.slos.add(slo_seconds)
        run = make_run(scenario, controller=controller, seed=seed)
        return self._each(len(self.calls), replace(run, slo_seconds=slo_seconds))


class Known:
    """A preparation that measures nothing."""

    def __init__(self, slo_seconds: float = SLO) -> None:
        self._slo_seconds = slo_seconds

    def slo_seconds(self, scenario: Scenario) -> float:
        return self._slo_seconds

    def caps(self, scenario: Scenario) -> Caps:
        return ((0.0, {"batch": 0.5}),)


def make_campaign(path: Path, stage: FakeStage, **changes: Any) -> Campaign:
    usual: dict[str, Any] = {"plan": PLAN, "preparation": Known(), "scenarios": SCENARIOS, "commit": "c"}
    return Campaign(stage=stage, store=Store(path), machine="m", **(usual | changes))


def spoil(run: Run) -> Run:
    return replace(run, stolen_seconds=0.5 * (run.at_seconds - run.at_seconds[0]))


def test_all_cells_are_run_seed_by_seed_each_in_an_order_of_its_own(tmp_path: Path) -> None:
    stage = FakeStage()
    ticks = itertools.count()
    # Each run of 60 s takes 70.
    campaign = make_campaign(tmp_path, stage, clock=lambda: 70.0 * next(ticks))
    outcomes = list(campaign.run())
    assert [seed for _, _, seed in stage.calls] == [1] * 6 + [2] * 6 + [3] * 6
    orders = [[call[:2] for call in stage.calls if call[2] == seed] for seed in (1, 2, 3)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1]
    assert stage.slos == {SLO}
    assert all(
        (caps is not None) == (call[1] == "oracle")
        for call, caps in zip(stage.calls, stage.caps, strict=True)
    )
    left = [outcome.seconds_left for outcome in outcomes]
    assert left == [pytest.approx(70.0 * (18 - number)) for number in range(1, 19)]


def test_a_campaign_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    def interrupt(number: int, run: Run) -> Run:
        if number == 8:
            raise KeyboardInterrupt
        return run

    first = FakeStage(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(make_campaign(tmp_path, first).run())
    assert len(list(Store(tmp_path).records())) == 7
    second = FakeStage()
    campaign = make_campaign(tmp_path, second)
    list(campaign.run())
    assert second.calls[0] == first.calls[7]
    assert (campaign.tally.run, campaign.tally.reused) == (11, 7)
    third = FakeStage()
    list(make_campaign(tmp_path, third).run())
    assert third.calls == []


def test_what_is_saved_is_the_run(tmp_path: Path) -> None:
    list(make_campaign(tmp_path, FakeStage()).run())
    records = list(Store(tmp_path).records())
    assert len(records) == 18 and all(record.valid for record in records)
    record = next(record for record in records if record.scenario.name == "s2-b")
    run = record.load()
    assert (run.scenario, run.controller, run.seed) == ("s2-b", record.controller, record.seed)
    assert record.scenario == SCENARIOS["s2-b"]
    assert (record.commit, record.machine, record.slo_seconds) == ("c", "m", SLO)


@pytest.mark.parametrize(
    "changed",
    [
        {"preparation": Known(0.3)},
        {"scenarios": {name: make_scenario(name=name, seconds=61.0) for name in SCENARIOS}},
    ],
)
def test_another_scenario_or_slo_is_another_run(tmp_path: Path, changed: dict[str, Any]) -> None:
    list(make_campaign(tmp_path, FakeStage()).run())
    stage = FakeStage()
    list(make_campaign(tmp_path, stage, **changed).run())
    assert len(stage.calls) == 18
    assert len(list(Store(tmp_path).records())) == 36


def test_an_invalid_run_is_put_aside_and_repeated(tmp_path: Path) -> None:
    stage = FakeStage(lambda number, run: spoil(run) if number == 1 else run)
    campaign = make_campaign(tmp_path, stage)
    list(campaign.run())
    assert stage.calls[0] == stage.calls[1]
    assert len(stage.calls) == 19
    assert (campaign.tally.run, campaign.tally.invalid, campaign.tally.lost) == (18, 1, [])
    invalid = [record for record in Store(tmp_path).records() if not record.valid]
    assert [record.reasons for record in invalid] == [("25.0% of the machine was stolen; at most 5%",)]


def test_repeats_are_bounded_and_an_invalid_run_is_never_used(tmp_path: Path) -> None:
    plan = Plan(seeds=(1,), cells=(Cells(scenarios=("s1-a",), controllers=("none",)),))
    stage = FakeStage(lambda number, run: spoil(run))
    campaign = make_campaign(tmp_path, stage, plan=plan)
    list(campaign.run())
    assert len(stage.calls) == MOST_REPEATS + 1
    assert campaign.tally.lost == ["s1-a · none · seed 1"]
    again = FakeStage()
    list(make_campaign(tmp_path, again, plan=plan).run())
    assert len(again.calls) == 1


def test_a_failed_run_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    def fail(number: int, run: Run) -> Run:
        if run.controller == "quotapilot":
            raise RunFailed("the agent died:\nlast words")
        return run

    told: list[str] = []
    lines = Lines(told.append)
    campaign = make_campaign(tmp_path, FakeStage(fail))
    for outcome in campaign.run():
        lines.ended(outcome)
    assert campaign.tally.run == 12 and campaign.tally.failed == 6 * (MOST_REPEATS + 1)
    assert len(campaign.tally.lost) == 6
    failed = [record for record in Store(tmp_path).records() if not record.valid]
    assert {record.failure for record in failed} == {"the agent died:\nlast words"}
    assert sum("quotapilot · seed 1: failed: the agent died: last words" in line for line in told) == 8


def test_what_can_never_work_is_not_tried_again(tmp_path: Path) -> None:
    def unknown(number: int, run: Run) -> Run:
        raise ValueError("no controller of that name")

    stage = FakeStage(unknown)
    campaign = make_campaign(tmp_path, stage)
    list(campaign.run())
    assert len(stage.calls) == 18 and len(campaign.tally.lost) == 18


def test_a_scenario_that_cannot_be_prepared_loses_its_own_cells_only(tmp_path: Path) -> None:
    class Half(Known):
        def slo_seconds(self, scenario: Scenario) -> float:
            if scenario.name == "s1-a":
                raise RunFailed("nginx is not there")
            return SLO

    stage = FakeStage()
    campaign = make_campaign(tmp_path, stage, preparation=Half())
    outcomes: list[Outcome] = list(campaign.run())
    assert {call[0] for call in stage.calls} == {"s2-b"}
    failures = {outcome.failure for outcome in outcomes if outcome.failure is not None}
    assert failures == {"not prepared: nginx is not there"}
    assert (campaign.tally.run, campaign.tally.failed, len(campaign.tally.lost)) == (9, 9, 9)


def test_what_is_forgotten_is_run_again(tmp_path: Path) -> None:
    list(make_campaign(tmp_path, FakeStage()).run())
    stage = FakeStage()
    campaign = make_campaign(tmp_path, stage)
    assert campaign.forget(lambda controller: controller == "quotapilot") == 12
    list(campaign.run())
    assert {call[1] for call in stage.calls} == {"quotapilot"}


def test_only_the_wanted_cells_are_run(tmp_path: Path) -> None:
    stage = FakeStage()
    list(make_campaign(tmp_path, stage, wanted=lambda *cell: cell == ("s1-a", "oracle", 2)).run())
    assert stage.calls == [("s1-a", "oracle", 2)]


def test_the_command_lists_what_it_would_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--stage", "simulated", "--out", str(tmp_path), "--list"]
    chosen = ["--plan", "core", "--scenarios", "s14-*", "--controllers", "quota*", "--seeds", "2"]
    assert cli.main(["run", *options, *chosen]) == 0
    told = capsys.readouterr().out.splitlines()
    assert sorted(told[:-1]) == [
        f"{scenario} · {controller} · seed 2"
        for scenario in ("s14-burst-1s", "s14-burst-5s")
        for controller in ("none", "quotapilot")
    ]
    assert told[-1].startswith("4 runs, ")


def test_a_half_written_run_is_none(tmp_path: Path) -> None:
    list(make_campaign(tmp_path, FakeStage()).run())
    victim = next(tmp_path.glob("s1-a__none__1__*.json"))
    victim.unlink()
    stage = FakeStage()
    list(make_campaign(tmp_path, stage).run())
    assert stage.calls == [("s1-a", "none", 1)]


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.yaml")))
def test_the_plans_can_be_run(name: str) -> None:
    cells = load_plan(name).by_seed(scenario_names())
    assert next(iter(cells)) == 1
    assert all(("none" in {controller for _, controller in found}) for found in cells.values())


def test_full_includes_all_others() -> None:
    names = scenario_names()

    def triples(plan: str) -> set[tuple[int, str, str]]:
        return {(seed, *cell) for seed, found in load_plan(plan).by_seed(names).items() for cell in found}

    for name in ("core", "rivals", "ablation", "short"):
        assert triples(name) <= triples("full")


def test_a_bad_plan_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plan nothing: No such file or directory; there are ablation, core"):
        load_plan("nothing")
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: [1]\n")
    with pytest.raises(ValueError, match="neither cells nor other plans"):
        load_plan(str(path))
    path.write_text("seeds: [1]\ncells: [{scenarios: [s99], controllers: [none]}]\n")
    with pytest.raises(ValueError, match="no scenario s99; there are s1-a"):
        load_plan(str(path)).by_seed(["s1-a"])


def test_an_interrupted_command_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(number: int, run: Run) -> Run:
        if number == 2:
            raise KeyboardInterrupt
        return run

    monkeypatch.setattr(cli, "open_stage", lambda name: FakeStage(interrupt))
    command = ["run", "--plan", "core", "--scenarios", "s1-*", "--slo", "0.25", "--out", str(tmp_path)]
    assert cli.main([*command, "--seeds", "1", "--controllers", "quotapilot"]) == cli.INTERRUPTED
    assert "interrupted: 1 run, " in capsys.readouterr().err
    monkeypatch.setattr(cli, "open_stage", lambda name: FakeStage())
    assert cli.main([*command, "--seeds", "1", "--controllers", "quotapilot"]) == 0
    assert "1 run, 1 on disk already, 0 invalid, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "report.json").exists()


def test_a_lost_cell_is_told_by_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "open_stage", lambda name: FakeStage(lambda number, run: spoil(run)))
    command = ["run", "--plan", "core", "--scenarios", "s1-*", "--slo", "0.25", "--out", str(tmp_path)]
    assert cli.main([*command, "--seeds", "1", "--controllers", "none"]) == 1


def test_a_bar_shows_the_time_left_and_what_went_wrong(tmp_path: Path) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=160)
    with terminal.screen(console) as screen:
        stage = FakeStage(lambda number, run: spoil(run) if number == 1 else run)
        campaign = make_campaign(tmp_path, stage, started=screen.started)
        for outcome in campaign.run():
            screen.measuring("the service alone")
            screen.ended(outcome)
    told = shown.getvalue()
    assert "invalid, repeated: 25.0% of the machine was stolen" in told
    assert "the service alone" in told and "18/18" in told and "0 s left" in told


@pytest.mark.parametrize(
    ("seconds", "text"), [(20, "20 s left"), (600, "10 min left"), (36_000, "10.0 h left")]
)
def test_the_time_left_is_told_roughly(seconds: float, text: str) -> None:
    assert terminal.left(seconds) == text
