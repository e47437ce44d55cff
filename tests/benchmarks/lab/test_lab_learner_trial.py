"""The learner's trial: what it compares, and when it says that learning pays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.lab import learner_trial
from benchmarks.lab.learner_trial import Difference, Trial, compared, difference, pays, table
from benchmarks.lab.scenario import Scenario

SHORT = {
    "title": "short",
    "why": "a test",
    "seconds": 16,
    "warm_up_seconds": 2,
    "surge_seconds": (3, 16),
    "online": [{"load": ((0.0, 0.82),)}],
    "peers": [{"active": ((3.0, 16.0),)}],
}


def trial(seed: int, gains: str, violation: float, work: float, held_out: bool = True) -> Trial:
    return Trial("s" if held_out else "t", held_out, seed, gains, violation, work, 3)


def test_differences_are_of_the_same_scenario_and_seed() -> None:
    trials = [trial(n, "fixed", 5.0 + n, 40.0) for n in range(5)]
    trials += [trial(n, "learner", 4.0 + n, 41.0 + n % 2) for n in reversed(range(5))]
    found = compared(trials, "learner")
    assert found["violation_seconds"] == Difference(-1.0, -1.0, -1.0, 5)
    assert found["offline_work"].mean == pytest.approx(1.4)
    assert found["offline_work"].low <= 1.4 <= found["offline_work"].high
    assert found["changes"].mean == 0.0


def test_the_interval_is_of_the_mean_and_the_same_each_time() -> None:
    values = [0.0] * 10 + [1.0] * 10
    found = difference(values)
    assert found.mean == 0.5
    assert 0.2 < found.low < 0.35 < 0.65 < found.high < 0.8
    assert difference(values) == found


@pytest.mark.parametrize(
    ("violation", "work", "expected"),
    [
        ((-2, -1), (-1, 1), True),
        ((-1, 1), (1, 2), True),
        ((-2, -1), (1, 2), True),
        ((-1, 1), (-1, 1), False),
        ((-2, -1), (-2, -1), False),
        ((1, 2), (1, 2), False),
    ],
)
def test_it_pays_when_one_is_better_and_the_other_not_worse(violation, work, expected: bool) -> None:
    def of(bounds: tuple[float, float]) -> Difference:
        return Difference(sum(bounds) / 2, *bounds, 5)

    assert pays(of(violation), of(work)) is expected


def test_the_table_has_a_row_for_each_place() -> None:
    kinds = ("fixed", "learner", "always-gentle", "always-bold")
    trials = [trial(n, g, 1.0, 2.0, held_out=h) for n in range(2) for g in kinds for h in (True, False)]
    text = table(trials)
    assert text.count("| learner - fixed | held-out scenarios | 2 |") == 1
    assert text.count("trained scenarios, other seeds") == 4


def test_a_whole_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = []

    def short(name: str) -> Scenario:
        names.append(name)
        return Scenario.model_validate({"name": name, **SHORT})

    monkeypatch.setattr(learner_trial, "load_scenario", short)
    monkeypatch.setattr(learner_trial, "TRAINED", ("a",))
    monkeypatch.setattr(learner_trial, "HELD_OUT", ("b",))
    monkeypatch.setattr(learner_trial, "calibrate", lambda *_: type("Found", (), {"slo_seconds": 0.2}))
    arguments = ["learner_trial", "--training-seeds", "1", "--test-seeds", "1"]
    arguments += ["--variant", "quotapilot-quota", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert learner_trial.main() == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["trials"]) == 2 * 4
    assert {run["held_out"] for run in report["trials"]} == {True, False}
    assert report["learnt"], "the training has taught it something"
    by_gains = {run["gains"]: run for run in report["trials"] if run["held_out"]}
    assert by_gains["always-gentle"]["offline_work"] > by_gains["always-bold"]["offline_work"]
    out = capsys.readouterr().out
    assert "the learner pays" in out or "the learner does not pay" in out
    assert set(names) == {"a", "b"}
