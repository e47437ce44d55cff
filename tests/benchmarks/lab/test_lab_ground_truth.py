from __future__ import annotations

import pytest

from benchmarks.lab.ground_truth import harm_ratio, is_as_said, measure, with_peer
from benchmarks.lab.run import Caps
from benchmarks.lab.scenario import Peer, Scenario, load_scenario
from tests.benchmarks.lab.fake_stage import FakeStage

S7 = load_scenario("s7-one-guilty")


def test_the_harm_is_the_median_of_what_each_seed_shows() -> None:
    assert harm_ratio([1.0, 2.0, 4.0], [1.5, 2.0, 5.0]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("guilty", "harm", "right"),
    [(True, 0.21, True), (True, 0.2, False), (False, 0.049, True), (False, 0.05, False)],
)
def test_between_guilty_and_innocent_is_a_gap(guilty: bool, harm: float, right: bool) -> None:
    assert is_as_said(Peer(guilty=guilty), harm) is right


def test_each_peer_is_measured_by_itself() -> None:
    def latency(scenario: Scenario, caps: Caps | None, seed: int) -> float:
        return 0.1 if [peer.name for peer in scenario.peers] == ["burst"] else 0.04

    stage = FakeStage(latency)
    harm = measure(stage, S7, seeds=(5,))
    assert harm == pytest.approx({"indexer": 0.0, "report": 0.0, "backup": 0.0, "burst": 1.5})
    assert [(len(scenario.peers), controller) for scenario, controller, _, _ in stage.asked] == [
        (4, "alone"),
        *[(1, "none")] * 4,
    ]


def test_the_guilty_one_is_there_once() -> None:
    assert [peer.name for peer in S7.peers if peer.guilty] == ["burst"]
    assert with_peer(S7, S7.peers[0]).peers == (S7.peers[0],)
