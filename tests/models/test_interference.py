"""Who is to blame, on synthetic series of which the truth is known; and what a probe shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.container import FloatArray
from models.interference import draining, lowered, onset, raised, rank

TICKS = 120
START = 80


def bursts(rng: np.random.Generator, cores: float, share: float = 0.4) -> FloatArray:
    """On and off at random, from the start of the harm on."""
    use = cores * (rng.random(TICKS) < share) * rng.uniform(0.7, 1.0, TICKS)
    use[:START] = 0.0
    return use


def steady(rng: np.random.Generator, cores: float, since: int = 0) -> FloatArray:
    use = cores * rng.normal(1.0, 0.03, TICKS).clip(0.5)
    use[:since] = 0.0
    return use


def harm_of(rng: np.random.Generator, *causes: FloatArray) -> FloatArray:
    return (0.05 + 0.5 * sum(causes) + rng.normal(0, 0.03, TICKS)).clip(0, 1)


def load(rng: np.random.Generator) -> FloatArray:
    return rng.normal(0.6, 0.05, TICKS).clip(0)


@pytest.mark.parametrize("seed", range(20))
class TestTruthIsKnown:
    def test_steady_hog_that_begins_with_the_harm(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        hog, others = steady(rng, 0.8, START), [steady(rng, 1.0), steady(rng, 0.5)]
        found = rank(harm_of(rng, hog), load(rng), np.column_stack([*others, hog]))
        assert found.score.argmax() == 2
        assert found.evidence["shift"][2] > 0.8

    def test_hog_that_never_moves_is_known_by_its_share(self, seed: int) -> None:
        """The blind spot of every correlation."""
        rng = np.random.default_rng(seed)
        hog, small = steady(rng, 1.5), steady(rng, 0.1)
        found = rank(np.full(TICKS, 0.9), load(rng), np.column_stack([small, hog]))
        assert found.score.argmax() == 1
        assert found.evidence["correlation"].max() == 0.0

    def test_guilty_bursts_among_larger_innocents(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        guilty = bursts(rng, 1.2)
        others = [steady(rng, 1.0), steady(rng, 0.8), steady(rng, 1.5)]
        found = rank(harm_of(rng, guilty), load(rng), np.column_stack([*others, guilty]))
        assert found.score.argmax() == 3
        assert np.sort(found.score)[-2] < 0.5 * found.score[3]

    def test_coincidental_correlate(self, seed: int) -> None:
        """It starts with the guilty one and is often on at the same time, by chance."""
        rng = np.random.default_rng(seed)
        guilty = bursts(rng, 1.2)
        chance = np.where(rng.random(TICKS) < 0.7, guilty, bursts(rng, 1.2)) * 0.5
        found = rank(harm_of(rng, guilty), load(rng), np.column_stack([chance, guilty]))
        assert found.score.argmax() == 1

    def test_two_guilty(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        one, two = bursts(rng, 0.8), bursts(rng, 0.8)
        innocent = steady(rng, 1.0)
        found = rank(harm_of(rng, one, two), load(rng), np.column_stack([innocent, one, two]))
        assert found.score.argmin() == 0

    def test_harm_that_comes_of_its_own_load(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        own = load(rng)
        own[START:] += rng.uniform(0.2, 0.8, TICKS - START)
        peers = np.column_stack([steady(rng, 0.5), bursts(rng, 0.05)])
        found = rank(harm_of(rng, 0.8 * own), own, peers)
        assert found.evidence["shift"].max() < 0.2
        assert found.evidence["explained"].max() < 0.2

    def test_nobody(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        peers = np.column_stack([bursts(rng, 1.0), steady(rng, 1.0), bursts(rng, 0.5)])
        found = rank(rng.uniform(0, 1, TICKS), load(rng), peers)
        assert found.evidence["correlation"].max() < 0.5

    def test_who_gives_way_is_hardly_suspected(self, seed: int) -> None:
        """It uses what others leave: the more the victim waits, the less it runs."""
        rng = np.random.default_rng(seed)
        guilty = bursts(rng, 1.2)
        rest = 1.4 - guilty
        found = rank(harm_of(rng, guilty), load(rng), np.column_stack([rest / 2, rest / 2, guilty]))
        assert found.score[2] > 0.8
        assert found.score[:2].max() < 0.15


def test_one_jump_together_is_no_correlation() -> None:
    """A single burst of a second: however quiet it was before, that is one observation."""
    use = np.zeros((TICKS, 1))
    use[-8:-4] = 2.0
    found = rank(use[:, 0] / 2, np.full(TICKS, 0.5), use)
    assert found.evidence["correlation"][0] == 0.0


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Correlation beyond chance in at most one of twenty families of tests."""
    alarms = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        found = rank(rng.random(TICKS), rng.random(TICKS), rng.random((TICKS, 6)))
        alarms += bool(found.evidence["correlation"].any())
    assert alarms / 400 <= 0.05


column = arrays.arrays(float, 24, elements=st.floats(0, 4, allow_subnormal=False))


@settings(max_examples=150, deadline=None)
@given(column, column, arrays.arrays(float, (24, 3), elements=st.floats(0, 4, allow_subnormal=False)))
def test_scores_are_shares_whatever_is_seen(harm: FloatArray, own: FloatArray, use: FloatArray) -> None:
    found = rank(harm, own, use)
    for values in (found.score, *found.evidence.values()):
        assert ((values >= 0) & (values <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(0.1, 10))
def test_units_do_not_matter(seed: int, harm_unit: float, cpu_unit: float) -> None:
    rng = np.random.default_rng(seed)
    harm, own, use = rng.random(TICKS), rng.random(TICKS), rng.random((TICKS, 4))
    one, other = rank(harm, own, use), rank(harm * harm_unit, own * cpu_unit, use * cpu_unit)
    np.testing.assert_allclose(one.score, other.score, atol=1e-6)


@pytest.mark.parametrize("ticks", [0, 1, 3, 9])
def test_little_or_nothing_seen(ticks: int) -> None:
    found = rank(np.ones(ticks), np.ones(ticks), np.ones((ticks, 2)))
    assert found.score.shape == (2,)
    assert np.isfinite(found.score).all()


def test_unknown_ticks_are_left_out() -> None:
    rng = np.random.default_rng(1)
    guilty, other = bursts(rng, 1.0), steady(rng, 1.0)
    harm, own, use = harm_of(rng, guilty), load(rng), np.column_stack([other, guilty])
    harm[::7], own[::11], use[::13, 0] = np.nan, np.nan, np.nan
    assert rank(harm, own, use).score.argmax() == 1


def test_onset() -> None:
    rng = np.random.default_rng(3)
    assert onset(harm_of(rng, steady(rng, 1.0, START))) == START
    assert onset(np.zeros(TICKS)) == 0
    assert onset(np.linspace(1, 0, TICKS)) == 0, "it got better"


class TestEffect:
    rng = np.random.default_rng(5)

    def test_level(self) -> None:
        high, low = self.rng.normal(0.3, 0.03, 8), self.rng.normal(0.1, 0.03, 8)
        assert lowered(high, low).z > 2
        assert lowered(high, low).gain_ratio == pytest.approx(2 / 3, abs=0.1)
        assert lowered(low, high).z < -2
        assert raised(low, high).z > 2

    def test_chance_is_no_effect(self) -> None:
        guilty = 0
        for seed in range(300):
            rng = np.random.default_rng(seed)
            found = lowered(rng.normal(0.3, 0.05, 8), rng.normal(0.3, 0.05, 12))
            guilty += found.z >= 2 and found.gain_ratio >= 0.2
        assert guilty / 300 < 0.03

    def test_rise_that_ends_by_itself_is_no_effect(self) -> None:
        found = lowered(np.linspace(0.1, 0.4, 8), np.full(12, 0.4))
        assert found.gain_ratio < 0.2

    def test_queue_that_drains_is_one_though_it_is_still_long(self) -> None:
        during = np.linspace(1.6, 1.1, 12) + self.rng.normal(0, 0.02, 12)
        assert lowered(np.linspace(0.4, 1.0, 8), during).gain_ratio < 0.2
        assert draining(during).z > 2
        assert draining(during).gain_ratio > 0.2
        assert draining(during[::-1]).z < -2

    def test_nothing_seen_says_nothing(self) -> None:
        none = np.full(5, np.nan)
        assert lowered(none, none).z == raised(none, none).z == draining(none).z == 0.0
