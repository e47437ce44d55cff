"""The oracle: which situations there are, what is searched, and the caps that come of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lab.measured import Measured
from benchmarks.lab.oracle import (
    SEEDS,
    Level,
    Oracle,
    Situation,
    best_static_cores,
    constant,
    largest,
    situations,
)
from benchmarks.lab.run import Caps, Floats
from benchmarks.lab.scenario import Change, Online, Peer, Scenario
from tests.benchmarks.lab.fake_stage import FakeStage

SLO_SECONDS = 0.1


def scenario(*peers: Peer, load: tuple[tuple[float, float], ...] = ((0, 0.6),), **more: object) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "test",
            "title": "",
            "why": "",
            "seconds": 60,
            "surge_seconds": (10, 50),
            "online": (Online(load=load),),
            "peers": peers or (Peer(),),
            **more,
        }
    )


def by_room(found: Scenario, caps: Caps | None, seed: int) -> float:
    """Within the SLO while load and caps fill at most 1.95 of the two CPUs."""
    assert caps is not None
    return 0.05 if 2 * sum(o.load[0][1] for o in found.online) + sum(caps[0][1].values()) <= 1.95 else 0.5


def oracle(stage: FakeStage, directory: Path) -> Oracle:
    return Oracle(stage, Measured(directory / "oracle.json", "simulated"), 2, lambda line: None)


class TestLargest:
    CANDIDATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, math.inf)

    @pytest.mark.parametrize("guess", [-1.0, 0.05, 0.3, 0.55, 0.9, 7.0])
    @pytest.mark.parametrize("bound", [0.1, 0.2, 0.35, 0.5, 0.9])
    def test_it_finds_the_largest_that_holds_whatever_the_guess(self, bound: float, guess: float) -> None:
        asked: list[float] = []

        def holds(cores: float) -> bool:
            asked.append(cores)
            return cores <= bound

        found = largest(self.CANDIDATES, holds, guess)
        assert found == Level(max(cores for cores in self.CANDIDATES if cores <= bound), True)
        assert len(asked) == len(set(asked)) <= 7

    def test_a_good_guess_is_confirmed_by_its_neighbour(self) -> None:
        asked: list[float] = []

        def holds(cores: float) -> bool:
            asked.append(cores)
            return cores <= 0.5

        assert largest(self.CANDIDATES, holds, 0.55) == Level(0.5, True)
        assert asked == [math.inf, 0.5, 0.6]

    def test_no_cap_where_none_is_needed(self) -> None:
        assert largest(self.CANDIDATES, lambda cores: True, 0.5) == Level(math.inf, True)

    def test_the_least_where_none_holds(self) -> None:
        assert largest(self.CANDIDATES, lambda cores: False, 0.5) == Level(0.1, False)
        assert largest((0.1,), lambda cores: False, 0.5) == Level(0.1, False)


class TestSituations:
    def test_a_rise_is_reckoned_with_a_second_ahead_and_a_fall_when_it_comes(self) -> None:
        found = situations(scenario(load=((0, 0.3), (10, 0.6), (40, 0.2))), 2)
        assert found == [
            (-1.0, Situation((0.3,), ("batch",))),
            (9.0, Situation((0.6,), ("batch",))),
            (40.0, Situation((0.2,), ("batch",))),
        ]

    def test_the_peers_that_come_are_too(self) -> None:
        peers = (Peer(active=((8, 20), (30, 40))), Peer(name="two", group="/two", active=((15, 18),)))
        found = situations(scenario(*peers), 2)
        assert found == [
            (7.0, Situation((0.6,), ("batch",))),
            (14.0, Situation((0.6,), ("batch", "two"))),
            (18.0, Situation((0.6,), ("batch",))),
        ]

    def test_innocent_peers_alone_are_no_reason_for_a_cap(self) -> None:
        peers = (Peer(active=((20, 30),)), Peer(name="two", group="/two", guilty=False))
        assert situations(scenario(*peers), 2) == [(19.0, Situation((0.6,), ("batch", "two")))]

    def test_of_a_trace_it_is_the_mean_of_a_second_rounded_up_to_a_tenth(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = [20, 20, 20, 20, 10, 20, 20, 60, 81, 81, 81, 81, 20, 20, 20, 20]
        (tmp_path / "trace.txt").write_text("\n".join(str(line) for line in lines))
        monkeypatch.setenv("QUOTAPILOT_DATA", str(tmp_path))
        online = Online(trace="trace.txt", trace_peak_load=0.81, trace_line_seconds=0.5)
        found = situations(scenario(online=(online,), seconds=8, surge_seconds=(0, 8)), 2)
        assert [(at, held.loads) for at, held in found] == [
            (-1.0, (0.2,)),
            (2.0, (0.4,)),
            (3.0, (0.9,)),
            (6.0, (0.2,)),
        ]


class TestConstant:
    def test_it_has_the_situation_and_nothing_else(self) -> None:
        online = (
            Online(load=((0, 0.3), (10, 0.6)), changes=(Change(at_seconds=3, cpu_ms=30),)),
            Online(name="side", group="/side", load=((0, 0.1),)),
        )
        peers = (Peer(active=((8, 20),)), Peer(name="two", group="/two"))
        trial = constant(scenario(*peers, online=online), Situation((0.6, 0.1), ("batch",)))
        assert [(o.name, o.load, o.changes) for o in trial.online] == [
            ("web", ((0.0, 0.6),), ()),
            ("side", ((0.0, 0.1),), ()),
        ]
        assert trial.peers == (Peer(),)

    def test_a_quick_rhythm_stays_and_a_slow_one_is_all_work(self) -> None:
        quick = Peer(duty=0.5, period_seconds=4.0)
        slow = Peer(name="slow", group="/slow", duty=0.5, period_seconds=20.0)
        trial = constant(scenario(quick, slow), Situation((0.6,), ("batch", "slow")))
        assert [peer.duty for peer in trial.peers] == [0.5, 1.0]


class TestOracle:
    def test_the_caps_leave_the_services_their_room(self, tmp_path: Path) -> None:
        stage = FakeStage(by_room)
        found = scenario(load=((0, 0.3), (10, 0.6), (40, 0.0)))
        caps = oracle(stage, tmp_path).caps(found, SLO_SECONDS)
        assert caps == ((-1.0, {"batch": 1.3}), (9.0, {"batch": 0.7}), (40.0, {"batch": 1.9}))
        assert {controller for _, controller, _, _ in stage.asked} == {"oracle"}

    def test_guilty_peers_share_the_cap_and_innocent_ones_have_none(self, tmp_path: Path) -> None:
        peers = (
            Peer(),
            Peer(name="two", group="/two", active=((20, 30),)),
            Peer(name="good", group="/good", guilty=False),
        )
        caps = oracle(FakeStage(by_room), tmp_path).caps(scenario(*peers), SLO_SECONDS)
        assert caps == (
            (-1.0, {"batch": 0.7}),
            (19.0, {"batch": 0.35, "two": 0.35}),
            (30.0, {"batch": 0.7}),
        )

    def test_what_needs_no_cap_gets_none(self, tmp_path: Path) -> None:
        stage = FakeStage(lambda found, caps, seed: 0.05)
        assert oracle(stage, tmp_path).caps(scenario(), SLO_SECONDS) == ((-1.0, {"batch": math.inf}),)
        again = FakeStage(lambda found, caps, seed: 0.5)
        assert oracle(again, tmp_path).caps(scenario(), SLO_SECONDS) == ((-1.0, {"batch": math.inf}),)
        assert len(stage.asked) == len(SEEDS) and not again.asked

    def test_the_floor_where_the_slo_cannot_be_held(self, tmp_path: Path) -> None:
        levels = oracle(FakeStage(lambda found, caps, seed: 0.5), tmp_path).levels(
            scenario(Peer(floor_cores=0.2)), SLO_SECONDS
        )
        assert list(levels.values()) == [Level(0.2, False)]

    def test_a_heavier_load_is_not_searched_above_what_a_lighter_one_left(self, tmp_path: Path) -> None:
        stage = FakeStage(by_room)
        oracle(stage, tmp_path).levels(scenario(load=((0, 0.6), (10, 0.8))), SLO_SECONDS)
        heavy = [caps[0][1]["batch"] for found, _, _, caps in stage.asked if found.victim.load[0][1] == 0.8]
        assert max(heavy) == 0.7

    @pytest.mark.parametrize(
        ("bad_seconds", "level", "runs_at_first_cap"),
        [
            ((0.0, 0.0), Level(math.inf, True), 2),
            ((1.0, 0.5), Level(math.inf, True), 2),  # within 5 % of the windows, together
            ((1.0, 2.5), Level(0.1, False), 2),
            ((4.0, 0.0), Level(0.1, False), 1),  # hopeless by the first seed
        ],
    )
    def test_a_cap_holds_over_both_seeds(
        self, tmp_path: Path, bad_seconds: tuple[float, float], level: Level, runs_at_first_cap: int
    ) -> None:
        bad = dict(zip(SEEDS, bad_seconds, strict=True))

        def rule(found: Scenario, caps: Caps | None, seed: int) -> Floats:
            return np.where(np.arange(0.0, found.seconds, 0.01) >= found.seconds - bad[seed], 0.5, 0.05)

        stage = FakeStage(rule)
        assert list(oracle(stage, tmp_path).levels(scenario(), SLO_SECONDS).values()) == [level]
        first = stage.asked[0][3]
        assert sum(caps == first for _, _, _, caps in stage.asked) == runs_at_first_cap

    def test_where_nobody_is_to_be_cut_it_does_nothing(self, tmp_path: Path) -> None:
        stage = FakeStage(by_room)
        assert oracle(stage, tmp_path).caps(scenario(answer="nothing"), SLO_SECONDS) == ()
        assert not stage.asked

    def test_the_best_static_setting_is_the_least_level(self) -> None:
        levels = {Situation((0.3,), ()): Level(math.inf, True), Situation((0.6,), ()): Level(0.7, True)}
        assert best_static_cores(levels) == 0.7
        assert best_static_cores({}) == math.inf
