"""Figures of runs made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.lab.figures import drain_seconds, figures, first_cut_at, reasons_invalid
from tests.benchmarks.lab.fake_runs import make_run, make_scenario

INF = math.inf
# The p95 of a second exceeds the SLO once more than 5 % of its requests are bad, and is well again when at
# most 5 % are: a bad stretch [a, b) shows from a + 0.1 on, and until b + 0.9.
UP, DOWN = 0.1, 1.0


def step(*changes: tuple[float, float], first: float):
    """A lever: `first`, then each value from its time on."""

    def value(at: float) -> float:
        return next((to for since, to in reversed(changes) if at >= since - 1e-9), first)

    return value


def test_onset_and_violation_are_those_of_the_windowed_p95() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 30.0),))
    found = figures(none, scenario, none=none)
    assert found.onset_at_seconds == pytest.approx(12.0 + UP)
    assert found.violation_seconds == pytest.approx(18.0 + DOWN - UP, abs=0.11)
    # 55 s are judged, less the first whole second.
    assert found.judged_seconds == pytest.approx(54.0, abs=0.11)
    assert found.over_slo_ratio == pytest.approx(18 / 55)
    assert found.p50_surge_seconds == 1.0 and found.p95_surge_seconds == 1.0


def test_what_happens_in_the_warm_up_does_not_count() -> None:
    scenario = make_scenario()
    run = make_run(scenario, bad=((0.0, 4.5),))
    found = figures(run, scenario, none=run)
    assert (found.violation_seconds, found.over_slo_ratio, found.onset_at_seconds) == (0.0, 0.0, None)
    assert found.time_to_recover_seconds is None


def test_times_count_from_the_onset_without_control() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 40.0),))
    run = make_run(
        scenario,
        bad=((12.0, 16.0),),
        groups={"web": {}, "batch": {"limit": step((13.6, 0.4), (45.0, INF), first=INF)}},
    )
    found = figures(run, scenario, none=none)
    assert found.time_to_first_cut_seconds == pytest.approx(13.6 - 12.1, abs=0.051)
    assert found.time_to_recover_seconds == pytest.approx(16.0 + DOWN - 0.05 - 12.1, abs=0.11)
    assert found.recovered and found.longest_relapse_seconds == 0.0


def test_a_run_that_never_violates_recovers_in_no_time_and_may_have_cut_before_the_onset() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 40.0),))
    run = make_run(scenario, groups={"web": {}, "batch": {"idle": step((-1.0, 1), first=0)}})
    found = figures(run, scenario, none=none)
    assert found.time_to_first_cut_seconds == pytest.approx(-12.1, abs=0.051)
    assert found.time_to_recover_seconds == 0.0 and found.recovered


def test_a_cut_that_was_given_back_before_the_onset_is_not_its_answer() -> None:
    scenario = make_scenario()
    limit = step((6.0, 1.0), (8.0, INF), (15.0, 0.5), first=INF)
    run = make_run(scenario, groups={"web": {}, "batch": {"limit": limit}})
    assert first_cut_at(run, scenario, 12.1) == pytest.approx(15.0, abs=0.051)
    # One that still holds at the onset is.
    assert first_cut_at(run, scenario, 7.0) == pytest.approx(6.0, abs=0.051)
    assert first_cut_at(make_run(scenario), scenario, 12.1) is None


def test_only_a_guilty_peers_cut_is_an_answer() -> None:
    scenario = make_scenario(
        peers=[{"name": "good", "group": "/good", "guilty": False}, {"name": "bad", "group": "/bad"}]
    )
    cut = {"good": {"limit": step((11.0, 0.5), first=INF)}, "bad": {"limit": step((14.0, 0.5), first=INF)}}
    run = make_run(scenario, groups={"web": {}, **cut})
    none = make_run(scenario, bad=((12.0, 40.0),), groups={"web": {}, "good": {}, "bad": {}})
    found = figures(run, scenario, none=none)
    assert found.time_to_first_cut_seconds == pytest.approx(14.0 - 12.1, abs=0.051)
    assert found.culprit_first is False
    assert found.wrong_actions == 1


def test_five_good_seconds_must_lie_within_the_surge() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 40.0),))
    found = figures(make_run(scenario, bad=((12.0, 36.0),)), scenario, none=none)
    assert found.time_to_recover_seconds is None and not found.recovered


def test_a_relapse_is_told() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 40.0),))
    found = figures(make_run(scenario, bad=((12.0, 14.0), (25.0, 27.0))), scenario, none=none)
    assert found.longest_relapse_seconds == pytest.approx(2.0 + DOWN - UP, abs=0.11)


def test_offline_work_is_relative_to_the_oracles_and_counted_after_the_warm_up() -> None:
    scenario = make_scenario()
    oracle = make_run(scenario, groups={"web": {}, "batch": {"cores": 1.0, "work": 10.0}})
    run = make_run(scenario, groups={"web": {}, "batch": {"cores": 1.0, "work": 5.0}})
    found = figures(run, scenario, oracle=oracle)
    assert found.offline_work_vs_oracle_ratio == pytest.approx(0.5)
    assert found.offline_work_units == {"batch": pytest.approx(5.0 * 55)}
    assert figures(run, scenario).offline_work_vs_oracle_ratio is None


def test_units_of_different_work_count_by_what_they_cost() -> None:
    scenario = make_scenario(peers=[{"name": "a", "group": "/a"}, {"name": "b", "group": "/b"}])
    possible = {"a": {"cores": 1.5, "work": 1.0}, "b": {"cores": 0.5, "work": 1000.0}}
    oracle = make_run(scenario, groups={"web": {}, **possible})
    run = make_run(scenario, groups={"web": {}, "a": {"work": 0.5}, "b": {"work": 1000.0}})
    found = figures(run, scenario, oracle=oracle)
    assert found.offline_work_vs_oracle_ratio == pytest.approx((1.5 * 0.5 + 0.5) / 2.0)


def test_where_nobody_is_to_be_cut_no_control_is_the_oracle() -> None:
    scenario = make_scenario(answer="nothing")
    none = make_run(scenario, groups={"web": {}, "batch": {"cores": 1.0, "work": 10.0}})
    run = make_run(scenario, groups={"web": {}, "batch": {"cores": 1.0, "work": 9.0}})
    assert figures(run, scenario, none=none).offline_work_vs_oracle_ratio == pytest.approx(0.9)


def test_give_back_counts_from_the_release_to_nine_tenths_of_the_oracles_work() -> None:
    scenario = make_scenario()
    oracle = make_run(scenario, groups={"web": {}, "batch": {"cores": 1.0, "work": 10.0}})
    slow = {"web": {}, "batch": {"work": step((47.0, 10.0), first=4.0)}}
    found = figures(make_run(scenario, groups=slow), scenario, oracle=oracle)
    # Nine tenths over 2 s: of (2 - x) s at 4 and x at 10, 18 units, so x = 10 / 6.
    assert found.time_to_give_back_seconds == pytest.approx(7.0 - 2.0 + 10 / 6, abs=0.26)
    assert found.gave_back is True
    never = figures(make_run(scenario, groups={"web": {}, "batch": {"work": 4.0}}), scenario, oracle=oracle)
    assert never.time_to_give_back_seconds is None and never.gave_back is False
    endless = make_scenario(release_seconds=None)
    assert figures(make_run(endless), endless, oracle=oracle).gave_back is None


def test_changes_and_reversals_are_counted_by_container_and_poll() -> None:
    scenario = make_scenario()
    limit = step((12.0, 1.0), (13.0, 0.5), (20.0, 1.0), (25.0, 0.5), first=INF)
    # On v1 cpu.idle moves cpu.shares: one write, two files, one change.
    weight, idle = step((30.0, 3), first=1024), step((30.0, 1), first=0)
    run = make_run(scenario, groups={"web": {}, "batch": {"limit": limit, "weight": weight, "idle": idle}})
    found = figures(run, scenario)
    assert found.limit_changes_per_minute == pytest.approx(5.0)
    assert found.reversals_per_minute == pytest.approx(2.0)
    assert found.wrong_actions == 0


def test_what_is_put_back_after_the_end_is_no_change() -> None:
    scenario = make_scenario()
    run = make_run(scenario, groups={"web": {}, "batch": {"limit": step((60.5, INF), first=0.5)}})
    assert figures(run, scenario).limit_changes_per_minute == 0.0


@pytest.mark.parametrize(("answer", "wrong"), [("cut", 0), ("raise-own", 2), ("nothing", 3)])
def test_which_changes_are_wrong_depends_on_the_right_answer(answer: str, wrong: int) -> None:
    scenario = make_scenario(answer=answer)
    groups = {
        "web": {"limit": step((12.0, 1.5), first=1.0)},
        "batch": {"limit": step((12.0, 1.0), (20.0, INF), first=INF)},
    }
    assert figures(make_run(scenario, groups=groups), scenario).wrong_actions == wrong


def test_the_drain_time_is_that_of_the_queue_with_the_peers_at_their_floors() -> None:
    # A request costs 10 ms of CPU at 100 a second: one core. The floor of 0.1 leaves 1.9 of two cores, so the
    # queue drains at 0.9 s of work a second.
    scenario = make_scenario()
    run = make_run(scenario, groups={"web": {"cores": 60.0 / 64.0}, "batch": {"cores": 1.0}})
    latency = run.requests.latency_seconds.copy()
    intended = run.requests.intended_seconds
    latency[(intended >= 10) & (intended < 19)] = 30.0  # 900 requests, 9 s of work, wait at 19 s
    run = replace(run, requests=replace(run.requests, latency_seconds=latency))
    cost = float(np.ptp(run.groups["web"].usage_seconds)) / intended.size
    waiting = 900 + int(np.count_nonzero((intended < 19) & (intended > 18.95) & (latency < 1)))
    expected = waiting * cost / (1.9 - 100 * cost)
    assert drain_seconds(run, scenario, 19.0) == pytest.approx(expected, rel=0.02)
    # Nothing drains when the victim needs more than is left.
    full = make_run(scenario, bad=((10.0, 60.0),), groups={"web": {"cores": 1.95}, "batch": {"cores": 0.05}})
    assert drain_seconds(full, scenario, 19.0) == INF


def test_the_bound_of_recovery_is_five_seconds_or_what_the_queue_needs() -> None:
    scenario = make_scenario()
    none = make_run(scenario, bad=((12.0, 40.0),))
    groups = {"web": {"cores": 1.0}, "batch": {"limit": step((13.1, 0.1), first=INF)}}
    found = figures(make_run(scenario, groups=groups), scenario, none=none)
    assert found.recover_bound_seconds == 5.0
    late = {"web": {"cores": 1.0}, "batch": {"limit": step((22.1, 0.1), first=INF)}}
    found = figures(make_run(scenario, groups=late), scenario, none=none)
    assert found.recover_bound_seconds == pytest.approx(10.0, abs=0.3)


def test_a_quiet_run_is_valid() -> None:
    scenario = make_scenario()
    assert reasons_invalid(make_run(scenario), scenario) == []


def test_why_a_run_is_invalid() -> None:
    scenario = make_scenario()
    run = make_run(scenario)
    at = run.at_seconds
    foreign = replace(run, busy_seconds=run.busy_seconds + 0.12 * (at - at[0]))
    assert reasons_invalid(foreign, scenario) == ["others used 6.0% of the machine; at most 5%"]
    stolen = replace(run, stolen_seconds=0.2 * (at - at[0]))
    assert reasons_invalid(stolen, scenario) == ["10.0% of the machine was stolen; at most 5%"]
    late = replace(run, requests=replace(run.requests, send_lag_seconds=np.full(6000, 0.03)))
    assert reasons_invalid(late, scenario) == [
        "the generator was 30 ms late at p99; at most 10% of the SLO of 250 ms"
    ]
    short = replace(run, at_seconds=at / 2)
    assert reasons_invalid(short, scenario) == ["the observer did not see all of the run"]


def test_figures_are_tidy_for_json() -> None:
    scenario = make_scenario()
    told = figures(make_run(scenario), scenario).tidy()
    assert told["agent_memory_bytes"] is None and told["restored"] is True
    assert told["violation_seconds"] == 0.0
