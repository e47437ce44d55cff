from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.lab.arrivals import DATA_VARIABLE, data_file, phases
from benchmarks.lab.scenario import SCENARIOS, Scenario, load_scenario

NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_is_valid_and_says_why_in_a_line(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert scenario.why
    assert "\n" not in scenario.why
    assert scenario.warm_up_seconds <= scenario.surge_seconds[0] or scenario.surge_seconds[0] == 0
    if scenario.release_seconds is not None:
        assert scenario.surge_seconds[0] < scenario.release_seconds < scenario.seconds


@pytest.mark.parametrize("name", NAMES)
def test_loads_and_stretches_lie_within_the_scenario_in_order(name: str) -> None:
    scenario = load_scenario(name)
    for online in scenario.online:
        starts = [start for start, _ in online.load]
        assert starts == sorted(set(starts))
        assert online.trace is not None or starts[0] == 0
        assert all(0 <= start < scenario.seconds for start in starts)
        assert all(0 <= change.at_seconds < scenario.seconds for change in online.changes)
    for peer in scenario.peers:
        times = [time for stretch in peer.active or () for time in stretch]
        assert times == sorted(times)
        assert all(0 <= time <= scenario.seconds for time in times)
        assert 0 < peer.duty <= 1


@pytest.mark.parametrize("name", NAMES)
def test_somebody_is_guilty_exactly_where_somebody_is_to_be_cut(name: str) -> None:
    scenario = load_scenario(name)
    assert (scenario.answer == "cut") == any(peer.guilty for peer in scenario.peers)


def test_a_load_of_one_fills_the_machine() -> None:
    scenario = make(online=[{"load": [[0, 1.0], [4, 0.5]], "cpu_ms": 8, "handling_ms": 2}])
    rates = [(rate.seconds, rate.rate_per_second) for rate in phases(scenario, scenario.victim, cpus=2)]
    assert rates == [(4.0, 200.0), (6.0, 100.0)]


def test_data_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, "/nowhere")
    with pytest.raises(ValueError, match=r"/nowhere/a/trace\.txt is not there: set QUOTAPILOT_DATA"):
        data_file("a/trace.txt")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"peers": [{"name": "web"}]}, "every name once"),
        ({"peers": [{"name": "load"}]}, "not load or agent"),
        ({"peers": [{"group": "/web"}]}, "groups are used twice: /web"),
        ({"peers": [{"group": "/slice/batch"}]}, "/slice/batch: its parent is not among the slices"),
        ({"slices": {"/a/b": 1024, "/a": 1024}}, "/a/b: its parent is not among the slices before it"),
        ({"surge_seconds": [8, 11]}, "surge_seconds must lie within"),
    ],
)
def test_a_scenario_that_cannot_be_run_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        make(**change)


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no scenario s0; there are .*s1-offline-step"):
        load_scenario("s0")


def make(**changes: Any) -> Scenario:
    parts: dict[str, Any] = {
        "name": "made",
        "title": "made",
        "why": "made",
        "seconds": 10,
        "surge_seconds": [5, 10],
        "online": [{}],
        "peers": [{}],
    }
    return Scenario.model_validate(parts | changes)
