from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.demo.plot import plot
from controller.demo.report import act_figures, write_report
from controller.demo.result import ActResult

MakeAct = Callable[..., ActResult]

CONTRACT = {
    *("backend", "slo_seconds", "onset_at_seconds", "first_cut_at_seconds", "recovered_at_seconds"),
    *("time_to_first_cut_seconds", "time_to_recover_seconds"),
    *("p95_before_seconds", "p95_during_seconds", "p95_after_seconds"),
    *("offline_cores_before", "offline_cores_during", "offline_cores_after"),
    *("transitions", "revisions", "restored", "uncontrolled", "commit", "machine"),
}


def test_the_report_holds_what_the_contract_names(tmp_path: Path, make_act: MakeAct) -> None:
    path = tmp_path / "reports" / "report.json"
    uncontrolled = make_act("no control", bad_until=55.0, cut_at=None)
    returned = write_report(
        path,
        slo_seconds=0.25,
        controlled=make_act(),
        uncontrolled=uncontrolled,
        transitions=[{"seq": 1}],
        revisions=[{"seq": 2}],
    )
    report = json.loads(path.read_text())
    assert report == returned
    assert report.keys() >= CONTRACT
    assert "idle" not in report
    assert report["onset_at_seconds"] == pytest.approx(11.1, abs=0.11)
    assert report["first_cut_at_seconds"] == pytest.approx(12.0, abs=0.051)
    assert report["time_to_first_cut_seconds"] == pytest.approx(0.9, abs=0.15)
    assert report["recovered_at_seconds"] == pytest.approx(15.0, abs=0.11)
    assert report["time_to_recover_seconds"] == pytest.approx(3.9, abs=0.2)
    assert report["longest_relapse_seconds"] == 0
    assert report["offline_cores_during"] == pytest.approx(1.0)
    assert report["foreign_load_ratio"] == pytest.approx(0.05)
    assert report["uncontrolled"]["first_cut_at_seconds"] is None
    assert report["uncontrolled"]["p95_during_seconds"] == 0.8
    assert (report["transitions"], report["revisions"]) == ([{"seq": 1}], [{"seq": 2}])
    assert report["restored"] is True


def test_a_run_that_was_never_hurt_recovered_in_no_time(make_act: MakeAct) -> None:
    found = act_figures(make_act(bad_until=0.0), 0.25, onset_at_seconds=11.0)
    assert found["recovered_at_seconds"] is None
    assert found["time_to_recover_seconds"] == 0
    assert found["violation_seconds"] == 0


def test_one_that_did_not_recover_says_so(make_act: MakeAct) -> None:
    found = act_figures(make_act(bad_until=99.0), 0.25, onset_at_seconds=11.0)
    assert found["recovered_at_seconds"] is None
    assert found["time_to_recover_seconds"] is None


def test_the_weights_only_run_is_reported_when_there_is_one(tmp_path: Path, make_act: MakeAct) -> None:
    report = write_report(
        tmp_path / "report.json",
        slo_seconds=0.25,
        controlled=make_act(),
        uncontrolled=make_act(),
        idle=make_act("cpu.idle", bad_until=0.0),
    )
    assert report["idle"]["violation_seconds"] == 0


def test_the_picture_is_a_png_with_and_without_states(tmp_path: Path, make_act: MakeAct) -> None:
    states = ((-3.0, "normal"), (11.5, "pressured"), (12.0, "throttling-peer"), (50.0, "recovering"))
    for number, told in enumerate((states, ())):
        path = tmp_path / f"{number}.png"
        plot(
            path,
            slo_seconds=0.25,
            controlled=make_act(states=told),
            uncontrolled=make_act("no control", bad_until=55.0, cut_at=None),
            idle=make_act("cpu.idle", bad_until=0.0),
        )
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 20_000
