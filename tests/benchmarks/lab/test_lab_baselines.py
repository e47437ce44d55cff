"""Every rule of every baseline, in fast time on a plant without a machine."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest

from benchmarks.lab.baselines import make, names
from benchmarks.lab.baselines.batch import BatchGroup, split
from benchmarks.lab.baselines.captain import Scaler
from benchmarks.lab.plant import Baseline
from tests.benchmarks.lab.fake_plant import FakePlant


def started(name: str, plant: FakePlant) -> Baseline:
    baseline = make(name)
    baseline.start(plant, plant.now)
    return baseline


class TestRegistry:
    @pytest.mark.parametrize("name", [name for name in names() if "CORES" not in name and name != "oracle"])
    def test_a_baseline_has_the_name_it_is_made_by(self, name: str) -> None:
        assert make(name).name == name

    @pytest.mark.parametrize("name", ["static-0.4", "idle+static-0.8"])
    def test_static_quotas_are_parsed(self, name: str) -> None:
        assert make(name).name == name

    @pytest.mark.parametrize(
        "name",
        ["best", "", "static-", "static-x", "static-0", "static-nan", "static-inf", "idle+", "oracle+idle"],
    )
    def test_an_unknown_name_is_told_what_there_is(self, name: str) -> None:
        with pytest.raises(ValueError, match="there are none, shares, idle, koordlet"):
            make(name)

    def test_the_oracle_needs_caps(self) -> None:
        with pytest.raises(ValueError, match="needs its caps"):
            make("oracle")


class TestBatchGroup:
    NO_LIMITS: ClassVar = {"a": math.inf, "b": math.inf}

    def test_a_peer_gets_what_it_uses_and_a_quarter_and_the_others_what_it_leaves(self) -> None:
        assert split(1.0, {"a": 0.2, "b": 1.5}, self.NO_LIMITS) == pytest.approx({"a": 0.25, "b": 0.75})

    def test_a_peer_at_its_limit_wants_an_equal_share(self) -> None:
        shares = split(1.0, {"a": 0.9, "b": 0.1}, {"a": 0.9, "b": 0.1})
        assert shares == pytest.approx({"a": 0.5, "b": 0.5})

    def test_what_nobody_wants_is_shared_evenly(self) -> None:
        assert split(1.0, {"a": 0.0, "b": 0.4}, self.NO_LIMITS) == pytest.approx(
            {"a": 0.25, "b": 0.75}, abs=0.01
        )
        assert split(1.0, {"a": 0.0, "b": 0.0}, self.NO_LIMITS) == {"a": 0.5, "b": 0.5}

    def test_no_total_is_no_limit_for_anybody(self) -> None:
        assert split(math.inf, {"a": 0.3, "b": 0.1}, {"a": 0.3, "b": 1.0}) == self.NO_LIMITS

    def test_one_peer_has_it_all_and_none_is_fine(self) -> None:
        assert split(1.3, {"a": 0.3}, {"a": 0.5}) == {"a": 1.3}
        assert split(1.3, {}, {}) == {}

    def test_a_peer_that_wakes_gets_its_equal_share(self) -> None:
        plant = FakePlant(peers=("a", "b"))
        group = BatchGroup(plant, 0.0)
        plant.use_cores |= {"a": 2.0, "b": 0.0}
        for _ in range(5):
            plant.advance(1.0)
            group.set_total(plant, 1.0, plant.now)
        assert (plant.limits["a"], plant.limits["b"]) == pytest.approx((0.99, 0.01))
        plant.use_cores["b"] = 2.0
        for _ in range(5):
            plant.advance(1.0)
            group.set_total(plant, 1.0, plant.now)
            assert plant.batch_cores() == pytest.approx(1.0)
        assert plant.limits == pytest.approx({"web": math.inf, "a": 0.5, "b": 0.5})

    def test_small_moves_of_the_shares_are_not_written(self) -> None:
        plant = FakePlant(peers=("a", "b"))
        group = BatchGroup(plant, 0.0)
        plant.use_cores |= {"a": 0.5, "b": 0.5}
        group.set_total(plant, 1.0, plant.now)
        writes = plant.limit_writes
        plant.use_cores["a"] = 0.45
        plant.advance(1.0)
        group.set_total(plant, 1.0, plant.now)
        assert plant.limit_writes == writes

    def test_no_peer_falls_below_the_kernels_least_quota(self) -> None:
        plant = FakePlant(peers=("a", "b"))
        group = BatchGroup(plant, 0.0)
        group.set_total(plant, -1.0, 0.0)
        assert plant.limits["a"] == plant.limits["b"] == 0.01


class TestStatic:
    def test_none_touches_nothing(self) -> None:
        plant = FakePlant()
        plant.run(started("none", plant), 5.0)
        assert plant.limit_writes == 0 and not plant.shares and not plant.idle

    def test_a_static_quota_is_for_all_peers_together(self) -> None:
        plant = FakePlant(peers=("a", "b"))
        plant.run(started("static-0.8", plant), 5.0)
        assert (plant.limits["a"], plant.limits["b"]) == (0.4, 0.4)
        assert plant.limit_writes == 2

    def test_weights_reach_every_peer_and_nobody_else(self) -> None:
        plant = FakePlant(peers=("a", "b"))
        started("shares", plant)
        started("idle", plant)
        assert plant.shares == {"a": 2, "b": 2}
        assert plant.idle == {"a": True, "b": True}

    def test_both_at_once(self) -> None:
        plant = FakePlant()
        plant.run(started("idle+static-0.8", plant), 5.0)
        assert plant.idle == {"batch": True} and plant.limits["batch"] == 0.8


class TestKoordlet:
    def test_the_batch_work_gets_65_percent_less_online_and_system(self) -> None:
        plant = FakePlant()
        plant.use_cores |= {"web": 0.5, "batch": 2.0}
        plant.system_cores = 0.2
        plant.run(started("koordlet", plant), 1.0)
        assert plant.batch_cores() == pytest.approx(1.3 - 0.5 - 0.2)

    def test_it_cuts_at_once_down_to_the_floor(self) -> None:
        plant = FakePlant()
        koordlet = started("koordlet", plant)
        plant.run(koordlet, 2.0)
        plant.use_cores["web"] = 1.9
        plant.run(koordlet, 1.0)
        assert plant.batch_cores() == pytest.approx(0.02)

    def test_it_raises_by_a_tenth_of_the_node_a_second_at_most(self) -> None:
        plant = FakePlant()
        plant.use_cores["web"] = 1.0
        koordlet = started("koordlet", plant)
        plant.run(koordlet, 1.0)
        assert plant.batch_cores() == pytest.approx(0.3)
        plant.use_cores["web"] = 0.0
        seen = []
        for _ in range(6):
            plant.run(koordlet, 1.0)
            seen.append(plant.batch_cores())
        assert seen == pytest.approx([0.5, 0.7, 0.9, 1.1, 1.3, 1.3])

    def test_a_change_below_one_percent_of_the_node_is_left_out(self) -> None:
        plant = FakePlant()
        plant.use_cores["web"] = 0.5
        koordlet = started("koordlet", plant)
        plant.run(koordlet, 1.0)
        plant.use_cores["web"] = 0.515
        plant.run(koordlet, 1.0)
        assert plant.batch_cores() == pytest.approx(0.8)
        plant.use_cores["web"] = 0.53
        plant.run(koordlet, 1.0)
        assert plant.batch_cores() == pytest.approx(0.77)


class TestHeracles:
    def grown(self, name: str = "heracles-1s", seconds: float = 11.0) -> tuple[FakePlant, Baseline]:
        plant = FakePlant()
        heracles = started(name, plant)
        plant.run(heracles, seconds)
        return plant, heracles

    def test_it_starts_with_one_core_and_adds_one_every_two_seconds(self) -> None:
        plant, heracles = self.grown(seconds=1.0)
        assert plant.batch_cores() == pytest.approx(0.1)
        plant.run(heracles, 10.0)
        assert plant.batch_cores() == pytest.approx(0.6)

    def test_it_leaves_the_service_one_core(self) -> None:
        plant, _ = self.grown(seconds=100.0)
        assert plant.batch_cores() == pytest.approx(1.9)

    def test_no_growth_without_a_tenth_of_slack(self) -> None:
        plant, heracles = self.grown()
        plant.latency = 0.095
        plant.run(heracles, 2.0)
        before = plant.batch_cores()
        plant.run(heracles, 10.0)
        assert plant.batch_cores() == before

    def test_negative_slack_switches_it_off_for_the_cool_down(self) -> None:
        plant, heracles = self.grown()
        plant.latency = 0.11
        plant.run(heracles, 1.0)
        assert plant.batch_cores() == 0.01
        plant.latency = 0.02
        plant.run(heracles, 19.0)
        assert plant.batch_cores() == 0.01
        plant.run(heracles, 1.0)
        assert plant.batch_cores() >= 0.1

    def test_a_load_above_85_percent_switches_it_off_and_one_below_80_on(self) -> None:
        plant, heracles = self.grown()
        plant.load = 0.86
        plant.run(heracles, 1.0)
        assert plant.batch_cores() == 0.01
        plant.load = 0.82
        plant.run(heracles, 10.0)
        assert plant.batch_cores() == 0.01
        plant.load = 0.79
        plant.run(heracles, 1.0)
        assert plant.batch_cores() in (0.1, 0.2)

    def test_between_the_loads_little_slack_holds_and_less_shrinks_to_two_cores(self) -> None:
        plant, heracles = self.grown()
        plant.load, plant.latency = 0.82, 0.093
        plant.run(heracles, 1.0)
        before = plant.batch_cores()
        plant.latency = 0.02  # growth stays forbidden until the load is below 0.80
        plant.run(heracles, 10.0)
        assert plant.batch_cores() == before
        plant.latency = 0.097
        plant.run(heracles, 1.0)
        assert plant.batch_cores() == pytest.approx(0.2)

    def test_outside_these_loads_little_slack_does_not_shrink_it(self) -> None:
        plant, heracles = self.grown()
        before = plant.batch_cores()
        plant.latency = 0.097
        plant.run(heracles, 1.0)
        assert plant.batch_cores() == pytest.approx(before, abs=0.101)

    def test_the_papers_interval_is_15_seconds_and_its_cool_down_five_minutes(self) -> None:
        plant, heracles = self.grown("heracles-15s", seconds=20.0)
        plant.latency = 0.2
        plant.run(heracles, 9.0)
        assert plant.batch_cores() > 0.01
        plant.run(heracles, 1.0)
        assert plant.batch_cores() == 0.01
        plant.latency = 0.02
        plant.run(heracles, 299.0)
        assert plant.batch_cores() == 0.01
        plant.run(heracles, 16.0)
        assert plant.batch_cores() >= 0.1
        assert plant.windows_asked == {15.0}

    def test_without_requests_nothing_grows_and_nothing_is_cut(self) -> None:
        plant, heracles = self.grown()
        before = plant.batch_cores()
        plant.latency = math.nan
        plant.run(heracles, 10.0)
        assert plant.batch_cores() == pytest.approx(before)


class TestParties:
    def test_everybody_starts_with_the_same_part(self) -> None:
        plant = FakePlant()
        started("parties", plant)
        assert plant.batch_cores() == pytest.approx(1.0)

    def test_it_takes_one_unit_and_watches_five_checks(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.latency = 0.12
        plant.run(parties, 0.1)
        assert plant.batch_cores() == pytest.approx(0.9)
        plant.run(parties, 0.5)
        assert plant.batch_cores() == pytest.approx(0.9)
        plant.run(parties, 0.1)
        assert plant.batch_cores() == pytest.approx(0.8)

    def test_a_unit_taken_is_not_given_back_when_it_did_not_help(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.latency = 0.12
        plant.run(parties, 0.1)
        plant.latency = 0.3
        plant.run(parties, 0.5)
        assert plant.batch_cores() == pytest.approx(0.9)

    def test_it_needs_both_slacks_to_act(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.latency = 0.085  # neither little nor ample slack
        plant.run(parties, 1.0)
        plant.latency = 0.12
        plant.run(parties, 0.2)  # the mean of the last second is still fine
        assert plant.limit_writes == 1
        plant.run(parties, 0.3)
        assert plant.batch_cores() == pytest.approx(0.9)

    def test_it_gives_a_unit_while_slack_is_ample(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.run(parties, 0.7)
        assert plant.batch_cores() == pytest.approx(1.2)

    def test_a_unit_given_that_hurts_is_taken_back_and_then_it_rests_ten_seconds(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.run(parties, 0.1)
        assert plant.batch_cores() == pytest.approx(1.1)
        plant.latency = 0.097
        plant.run(parties, 0.5)
        assert plant.batch_cores() == pytest.approx(1.0)
        plant.latency = 0.02
        plant.run(parties, 9.9)
        assert plant.batch_cores() == pytest.approx(1.0)
        plant.run(parties, 0.3)
        assert plant.batch_cores() == pytest.approx(1.1)

    def test_each_side_keeps_a_unit(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.run(parties, 30.0)
        assert plant.batch_cores() == pytest.approx(1.9)
        plant.latency = 0.5
        plant.run(parties, 60.0)
        assert plant.batch_cores() == pytest.approx(0.1)

    def test_without_requests_nothing_moves(self) -> None:
        plant = FakePlant()
        parties = started("parties", plant)
        plant.latency = math.nan
        plant.run(parties, 5.0)
        assert plant.limit_writes == 1


class TestCaptain:
    def test_up_by_the_throttling_above_three_targets(self) -> None:
        scaler = Scaler(1.0, 2.0)
        for sample in range(10):
            scaler.sample(1.0, int(sample < 5))
        assert scaler.limit_cores == pytest.approx(1.2)

    def test_down_to_the_peak_and_a_margin_of_deviations(self) -> None:
        scaler = Scaler(1.0, 2.0)
        for sample in range(10):
            scaler.sample(0.5 + 0.02 * (sample % 2), 0)
        assert scaler.margin == pytest.approx(2.9)
        assert scaler.limit_cores == pytest.approx(0.52 + 0.0105409 * 2.9, rel=1e-4)

    def test_never_below_half_and_not_for_less_than_a_tenth(self) -> None:
        scaler = Scaler(1.0, 2.0)
        for _ in range(10):
            scaler.sample(0.1, 0)
        assert scaler.limit_cores == pytest.approx(0.5)
        settled = Scaler(1.0, 2.0)
        for _ in range(10):
            settled.sample(0.95, 0)
        assert settled.limit_cores == 1.0

    def test_a_cut_that_throttles_is_undone_with_as_much_again(self) -> None:
        scaler = Scaler(1.0, 2.0)
        for _ in range(10):
            scaler.sample(0.7, 0)
        assert scaler.limit_cores == pytest.approx(0.7)
        for _ in range(3):
            scaler.sample(0.7, 1)
        assert scaler.limit_cores == pytest.approx(0.7)  # three of ten periods are not above three targets
        scaler.sample(0.7, 1)
        assert scaler.limit_cores == pytest.approx(1.3)

    def test_not_above_the_machine(self) -> None:
        scaler = Scaler(1.9, 2.0)
        for _ in range(10):
            scaler.sample(1.9, 1)
        assert scaler.limit_cores == 2.0

    def test_the_batch_work_gets_what_the_service_leaves(self) -> None:
        plant = FakePlant()
        plant.use_cores |= {"web": 0.6, "batch": 2.0}
        captain = started("captain", plant)
        assert plant.limits["web"] == 2.0 and plant.batch_cores() == 0.01
        plant.run(captain, 10.0)
        assert plant.limits["web"] == pytest.approx(0.6, abs=0.01)
        assert plant.limits["web"] + plant.batch_cores() == pytest.approx(2.0)

    def test_a_service_starts_at_its_own_limit(self) -> None:
        plant = FakePlant()
        plant.limits["web"] = 0.5
        started("captain", plant)
        assert plant.limits["web"] == 0.5 and plant.batch_cores() == pytest.approx(1.5)


class TestPerfIso:
    def test_all_but_peak_and_buffer_is_the_batch_works(self) -> None:
        plant = FakePlant()
        plant.use_cores |= {"web": 0.5, "batch": 2.0}
        plant.run(started("perfiso", plant), 2.0)
        assert plant.batch_cores() == pytest.approx(2 - 0.5 - 1 / 3)

    def test_it_shrinks_within_a_tenth_of_a_second(self) -> None:
        plant = FakePlant()
        perfiso = started("perfiso", plant)
        plant.run(perfiso, 2.0)
        plant.use_cores["web"] = 1.2
        plant.run(perfiso, 0.1)
        assert plant.batch_cores() == pytest.approx(2 - 1.2 - 1 / 3)

    def test_it_grows_when_the_peak_has_left_the_window(self) -> None:
        plant = FakePlant()
        perfiso = started("perfiso", plant)
        plant.use_cores["web"] = 1.2
        plant.run(perfiso, 2.0)
        writes = plant.limit_writes
        plant.use_cores["web"] = 0.2
        plant.run(perfiso, 0.9)
        assert plant.batch_cores() == pytest.approx(2 - 1.2 - 1 / 3)
        plant.run(perfiso, 1.1)
        assert plant.batch_cores() == pytest.approx(2 - 0.2 - 1 / 3)
        assert plant.limit_writes == writes + 1

    def test_the_least_quota_is_left_in_overload(self) -> None:
        plant = FakePlant()
        plant.use_cores["web"] = 2.0
        plant.run(started("perfiso", plant), 1.0)
        assert plant.batch_cores() == 0.01


class TestOracle:
    CAPS = ((0.0, {"batch": 1.5}), (9.0, {"batch": 0.4}), (20.0, {"batch": math.inf}))

    def test_it_follows_its_caps(self) -> None:
        plant = FakePlant()
        plant.now = -0.2
        oracle = make("oracle", self.CAPS)
        oracle.start(plant, plant.now)
        assert plant.limit_writes == 0
        plant.run(oracle, 1.0)
        assert plant.batch_cores() == 1.5
        plant.run(oracle, 10.0)
        assert plant.batch_cores() == 0.4
        plant.run(oracle, 10.0)
        assert plant.batch_cores() == math.inf
        assert plant.limit_writes == 3

    def test_a_cap_on_no_peer_is_refused(self) -> None:
        oracle = make("oracle", ((0.0, {"web": 1.0}),))
        with pytest.raises(KeyError, match="the oracle's caps name web"):
            oracle.start(FakePlant(), 0.0)
